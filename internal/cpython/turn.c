#define _GNU_SOURCE
#include "turn.h"

#include <pthread.h>
#include <stdatomic.h>

#include "clock.h"

enum {
    MOST = 64,
    /* Calls in a turn, when others wait. Fewer than one in a hundred waits for its turn, then, and the 99th percentile is that of the others. */
    STREAK = 256,
    /* How long a turn is left to who is between two calls, and nobody waits: what Python takes from one to the next in a loop, and some. */
    GRACE_NS = 5000,
    /* After how long who waits longest looks whether those who have a turn use it: at first, and, doubled each time, at most. */
    FIRST_LOOK_NS = 100000,
    LOOK_NS = 1000000,
};

/* Taken from a thread between two calls with a compare-and-swap, and all else with the lock. */
struct erlpy_turn {
    _Atomic uintptr_t by; /* whose it is, and 1 more while that thread is in a call; 0: nobody's */
    uint64_t seen;        /* the calls of that thread at the last look */
};

typedef struct waiter {
    erlpy_thread *t;
    pthread_cond_t cond;
    int served;
    struct waiter *next;
} waiter;

static struct erlpy_turn turns[MOST];
static atomic_int count = 1;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static waiter *first, **last = &first;
static atomic_int waiting;

void erlpy_turns(int n) { atomic_store(&count, n < 1 ? 1 : n > MOST ? MOST : n); }

static uintptr_t idle(const erlpy_thread *t) { return (uintptr_t)t; }
static uintptr_t busy(const erlpy_thread *t) { return (uintptr_t)t | 1; }

static void give(struct erlpy_turn *turn, erlpy_thread *t) {
    t->turn = turn;
    t->streak = 0;
    turn->seen = UINT64_MAX;
    atomic_store(&turn->by, busy(t));
}

static void wake_first(void) {
    if (first != NULL) pthread_cond_signal(&first->cond);
}

static void unqueue(waiter *w) {
    waiter **p = &first;
    while (*p != w) p = &(*p)->next;
    *p = w->next;
    if (last == &w->next) last = p;
    atomic_fetch_sub(&waiting, 1);
}

/* Gives it to who waits longest; the next then is the one that looks. */
static void pass(struct erlpy_turn *turn) {
    waiter *w = first;
    if (w == NULL) {
        atomic_store(&turn->by, 0);
        return;
    }
    unqueue(w);
    give(turn, w->t);
    w->t->late = 0;
    w->served = 1;
    pthread_cond_signal(&w->cond);
    wake_first();
}

static struct erlpy_turn *find_free(void) {
    for (int i = 0, n = atomic_load(&count); i < n; i++)
        if (atomic_load(&turns[i].by) == 0) return &turns[i];
    return NULL;
}

static int take_free(erlpy_thread *t) {
    struct erlpy_turn *turn = find_free();
    if (turn != NULL) give(turn, t);
    return turn != NULL;
}

/* The turn of a thread that has begun no call for a while, and whose it is; NULL: there is none, or a free one. Without the lock. */
static struct erlpy_turn *find_idle(uintptr_t *by) {
    if (find_free() != NULL) return NULL;
    for (int i = 0, n = atomic_load(&count); i < n; i++) {
        struct erlpy_turn *turn = &turns[i];
        *by = atomic_load(&turn->by);
        if (*by == 0 || (*by & 1) != 0) continue;
        int64_t until = now_ns() + GRACE_NS;
        /* Watching this word and not the thread's count of calls leaves the owner's memory to the owner. */
        while (atomic_load(&turn->by) == *by)
            if (now_ns() > until) return turn;
    }
    return NULL;
}

static int take_idle(erlpy_thread *t, struct erlpy_turn *turn, uintptr_t by) {
    if (!atomic_compare_exchange_strong(&turn->by, &by, 1)) return 0;
    give(turn, t);
    return 1;
}

/* Passes on the turns of threads that have made no call since the last look, and are in none. */
static void look(void) {
    for (int i = 0, n = atomic_load(&count); i < n; i++) {
        struct erlpy_turn *turn = &turns[i];
        uintptr_t by = atomic_load(&turn->by);
        if (by == 0 || (by & 1) != 0) continue;
        /* SAFETY: a thread leaves its turn, with the lock, before its memory goes. */
        uint64_t calls = __atomic_load_n(&((erlpy_thread *)by)->loan.calls, __ATOMIC_RELAXED);
        if (turn->seen != calls)
            turn->seen = calls;
        else if (atomic_compare_exchange_strong(&turn->by, &by, 1)) /* nobody's, but not free */
            pass(turn);
    }
}

/* With the lock. 0 when that time has come. */
static int sleep_until(waiter *w, int64_t time) {
    if (time < 0) return pthread_cond_wait(&w->cond, &lock) == 0;
    return pthread_cond_timedwait(&w->cond, &lock, &(struct timespec){time / 1000000000, time % 1000000000}) == 0;
}

static int wait_for_one(erlpy_thread *t, int64_t deadline) {
    waiter w = {.t = t};
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&w.cond, &monotonic);
    *last = &w;
    last = &w.next;
    atomic_fetch_add(&waiting, 1);
    int64_t pause = FIRST_LOOK_NS;
    while (!w.served) {
        int64_t until = deadline;
        if (first == &w) {
            int64_t next = now_ns() + pause;
            pause = pause < LOOK_NS / 2 ? 2 * pause : LOOK_NS;
            if (until < 0 || next < until) until = next;
        }
        if (sleep_until(&w, until)) continue;
        if (until == deadline) break;
        look();
    }
    if (!w.served) {
        unqueue(&w);
        wake_first();
    }
    pthread_cond_destroy(&w.cond);
    return w.served;
}

int turn_begin(erlpy_thread *t, int64_t deadline) {
    uintptr_t by = idle(t);
    int has = t->turn != NULL && atomic_compare_exchange_strong(&t->turn->by, &by, busy(t));
    if (has && (++t->streak < STREAK || atomic_load_explicit(&waiting, memory_order_relaxed) == 0)) return 1;
    struct erlpy_turn *unused = has || atomic_load(&waiting) > 0 ? NULL : find_idle(&by);
    pthread_mutex_lock(&lock);
    if (has) pass(t->turn);
    int ok = take_free(t) || (unused != NULL && first == NULL && take_idle(t, unused, by)) || wait_for_one(t, deadline);
    pthread_mutex_unlock(&lock);
    return ok;
}

void turn_pause(erlpy_thread *t) {
    if (t->turn != NULL && atomic_load(&t->turn->by) == busy(t)) atomic_store(&t->turn->by, idle(t));
}

void turn_leave(erlpy_thread *t) {
    if (t->turn == NULL) return;
    pthread_mutex_lock(&lock);
    uintptr_t by = atomic_load(&t->turn->by);
    if (by == idle(t) || by == busy(t)) pass(t->turn);
    t->turn = NULL;
    pthread_mutex_unlock(&lock);
}
