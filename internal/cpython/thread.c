#define _GNU_SOURCE
#include "thread.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "refs.h"
#include "turn.h"

atomic_int erlpy_state = STATE_RUN;
int erlpy_close_fd = -1;
_Thread_local int erlpy_is_main;

/* A thread that has made a call, in the list of all. */
typedef struct member {
    erlpy_thread t;
    atomic_int outside; /* between gil_release and gil_take */
    struct member *next, **link;
} member;

static member *all;
static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;

static _Thread_local member *self;
static pthread_key_t key;

static void join(member *m) {
    pthread_mutex_lock(&all_lock);
    m->next = all;
    m->link = &all;
    if (all != NULL) all->link = &m->next;
    all = m;
    pthread_mutex_unlock(&all_lock);
}

static void part(member *m) {
    pthread_mutex_lock(&all_lock);
    *m->link = m->next;
    if (m->next != NULL) m->next->link = m->link;
    pthread_mutex_unlock(&all_lock);
}

/* Runs as the thread ends. Python is already gone for it: no GIL, no C-API; Go may be entered. */
static void on_thread_exit(void *p) {
    member *m = p;
    self = NULL;
    if (!erlpy_forked) { /* else the lock may be held for ever by a thread that is not there */
        thread_end(&m->t);
        part(m);
    }
    free(m);
}

static const char capsule_name[] = "erlang.thread";

/* This thread's first Python thread state has ended: what is called after that, by destructors or by a C thread that attaches anew, is
 * left to the key. */
static _Thread_local int detached;

/* Runs as the Python thread state is cleared, with the GIL; or, at the interpreter's end, on the main thread for all others, whose states are
 * still theirs. */
static void on_detach(PyObject *capsule) {
    if (erlpy_forked || self == NULL || py.PyCapsule_GetPointer(capsule, capsule_name) != &self->t) return;
    detached = 1;
    thread_leave();
}

/* Ties t to the Python thread state. Without memory for that the key alone releases it, a little later. */
static void tie(erlpy_thread *t) {
    PyObject *dict = detached ? NULL : py.PyThreadState_GetDict();
    if (dict == NULL) return;
    PyObject *capsule = py.PyCapsule_New(t, capsule_name, on_detach);
    if (capsule != NULL) py.PyDict_SetItemString(dict, capsule_name, capsule);
    drop(capsule);
    py.PyErr_Clear();
}

void thread_leave(void) {
    if (self == NULL) return;
    member *m = self;
    pthread_setspecific(key, NULL);
    on_thread_exit(m);
}

int thread_setup(void) {
    int err = pthread_key_create(&key, on_thread_exit);
    if (err == 0) err = fork_setup();
    if (err == 0 && (erlpy_close_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0) err = errno;
    return err;
}

void thread_init(erlpy_thread *t) { *t = (erlpy_thread){.fd = -1, .wake_fd = -1}; }

void thread_end(erlpy_thread *t) {
    turn_leave(t);
    if (t->handle != 0) erlpy_go_exit(t);
    if (t->wake_fd >= 0) close(t->wake_fd);
    free(t->frame.p);
    free(t->frame.parts); /* a thread that the interpreter's end has cut off in a call: nobody drops their owners any more */
    thread_init(t);
}

erlpy_thread *thread_self(void) {
    if (self != NULL) return &self->t;
    member *m = malloc(sizeof *m);
    if (m == NULL) return NULL;
    thread_init(&m->t);
    atomic_init(&m->outside, 0);
    if (pthread_setspecific(key, m) != 0) {
        free(m);
        return NULL;
    }
    join(m);
    self = m;
    tie(&m->t);
    return &m->t;
}

static int state(void) { return atomic_load_explicit(&erlpy_state, memory_order_acquire); }

/* A mark of the thread's own: a counter of all threads' would cost each call two locked instructions, and cache lines that travel. */
static void mark(int outside) {
    if (self != NULL) atomic_store_explicit(&self->outside, outside, memory_order_relaxed);
}

PyThreadState *gil_release(void) {
    if (erlpy_forked) fork_end();
    mark(1);
    return py.PyEval_SaveThread();
}

void gil_take(PyThreadState *ts) {
    /* There is nothing to come back to: the process is about to end, and this thread waits for that. */
    while (!erlpy_is_main && state() == STATE_SEALED) pause();
    py.PyEval_RestoreThread(ts);
    mark(0);
}

static int any_outside(void) {
    int found = 0;
    pthread_mutex_lock(&all_lock);
    for (member *m = all; m != NULL && !found; m = m->next) found = m != self && atomic_load(&m->outside);
    pthread_mutex_unlock(&all_lock);
    return found;
}

int erlpy_others_wait(void) {
    int found = 0;
    pthread_mutex_lock(&all_lock);
    for (member *m = all; m != NULL && !found; m = m->next) found = m != self && __atomic_load_n(&m->t.waits, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&all_lock);
    return found;
}

void thread_settle(void) {
    /* It asks, once a ms, since those who come back do not tell. */
    for (int ms = 0; ms < 1000 && any_outside(); ms++) nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

void erlpy_close(void) {
    int run = STATE_RUN;
    if (!atomic_compare_exchange_strong(&erlpy_state, &run, STATE_CLOSING)) return;
    erlpy_go_closing();
    uint64_t one = 1;
    while (write(erlpy_close_fd, &one, sizeof one) < 0 && errno == EINTR) {
    }
}
