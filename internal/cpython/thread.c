#define _GNU_SOURCE
#include "thread.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "refs.h"

atomic_int erlpy_state = STATE_RUN;
int erlpy_close_fd = -1;
int erlpy_forked;
_Thread_local int erlpy_is_main;

static _Thread_local erlpy_thread *self;
static pthread_key_t key;

/* Runs as the thread ends. Python is already gone for it: no GIL, no C-API; Go may be entered. */
static void on_thread_exit(void *p) {
    erlpy_thread *t = p;
    self = NULL;
    if (!erlpy_forked) thread_end(t);
    free(t);
}

static const char capsule_name[] = "erlang.thread";

/* This thread's first Python thread state has ended: what is called after that, by destructors or by a C thread that attaches anew, is
 * left to the key. */
static _Thread_local int detached;

/* Runs as the Python thread state is cleared, with the GIL; or, at the interpreter's end, on the main thread for all others, whose states are
 * still theirs. */
static void on_detach(PyObject *capsule) {
    if (erlpy_forked || self == NULL || py.PyCapsule_GetPointer(capsule, capsule_name) != self) return;
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
    erlpy_thread *t = self;
    pthread_setspecific(key, NULL);
    on_thread_exit(t);
}

static void on_fork_child(void) { erlpy_forked = 1; }

int thread_setup(void) {
    int err = pthread_key_create(&key, on_thread_exit);
    if (err == 0) err = pthread_atfork(NULL, NULL, on_fork_child);
    if (err == 0 && (erlpy_close_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0) err = errno;
    return err;
}

void thread_init(erlpy_thread *t) { *t = (erlpy_thread){.fd = -1, .wake_fd = -1}; }

void thread_end(erlpy_thread *t) {
    if (t->handle != 0) erlpy_go_exit(t);
    if (t->wake_fd >= 0) close(t->wake_fd);
    free(t->frame.p);
    free(t->frame.parts); /* a thread that the interpreter's end has cut off in a call: nobody drops their owners any more */
    thread_init(t);
}

erlpy_thread *thread_self(void) {
    if (self != NULL) return self;
    erlpy_thread *t = malloc(sizeof *t);
    if (t == NULL) return NULL;
    thread_init(t);
    if (pthread_setspecific(key, t) != 0) {
        free(t);
        return NULL;
    }
    self = t;
    tie(t);
    return t;
}

/* Threads between gil_release and gil_take. */
static atomic_int outside;
static pthread_mutex_t settle_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t settle_change = PTHREAD_COND_INITIALIZER;

static int state(void) { return atomic_load_explicit(&erlpy_state, memory_order_acquire); }

PyThreadState *gil_release(void) {
    atomic_fetch_add_explicit(&outside, 1, memory_order_relaxed);
    return py.PyEval_SaveThread();
}

void gil_take(PyThreadState *ts) {
    /* There is nothing to come back to: the process is about to end, and this thread waits for that. */
    while (!erlpy_is_main && state() == STATE_SEALED) pause();
    py.PyEval_RestoreThread(ts);
    atomic_fetch_sub_explicit(&outside, 1, memory_order_relaxed);
    if (state() == STATE_RUN) return;
    pthread_mutex_lock(&settle_lock);
    pthread_cond_signal(&settle_change);
    pthread_mutex_unlock(&settle_lock);
}

void thread_settle(void) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec++;
    pthread_mutex_lock(&settle_lock);
    while (atomic_load(&outside) > 1 && pthread_cond_timedwait(&settle_change, &settle_lock, &until) == 0) {
    }
    pthread_mutex_unlock(&settle_lock);
}

void erlpy_close(void) {
    int run = STATE_RUN;
    if (!atomic_compare_exchange_strong(&erlpy_state, &run, STATE_CLOSING)) return;
    erlpy_go_closing();
    uint64_t one = 1;
    while (write(erlpy_close_fd, &one, sizeof one) < 0 && errno == EINTR) {
    }
}
