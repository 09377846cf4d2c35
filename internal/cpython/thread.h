/* A Python thread's state in the shim, and the state of the whole. */
#ifndef ERLPY_THREAD_H
#define ERLPY_THREAD_H

#include <stdatomic.h>

#include "fork.h"
#include "pyapi.h"
#include "shim.h"

/* RUN: calls may be made. CLOSING: they fail, waits end. SEALED: the interpreter ends or is gone; a thread that comes back from Go is parked,
 * because PyEval_RestoreThread would touch thread states that are being freed. */
enum { STATE_RUN, STATE_CLOSING, STATE_SEALED };
extern atomic_int erlpy_state;

/* Becomes readable for good when the state leaves RUN: part of every wait. */
extern int erlpy_close_fd;

/* Set on the thread that runs Python's main thread: the only one that signals may interrupt. */
extern _Thread_local int erlpy_is_main;

/* Once, before the first entry into Go: its own thread key must come after ours, so that ours runs first at a thread's end. Returns 0 or an
 * errno. */
int thread_setup(void);

/* This thread's state, made on its first call; NULL when there is no memory. Needs the GIL.
 *
 * It ends with the Python thread state, which is before join() returns, so that the next thread finds the worker in the pool; and where that
 * does not happen, in a thread that the interpreter's end cuts off, by the destructor of a pthread key. */
erlpy_thread *thread_self(void);

/* Ends this thread's state before the thread itself ends. Python's main thread is one that Go made, and must: by the time that thread keys are
 * destroyed, Go cannot be entered from it any more. */
void thread_leave(void);

/* An unused state, and its end: gives the worker back and frees the memory. Need no GIL. */
void thread_init(erlpy_thread *t);
void thread_end(erlpy_thread *t);

/* Waits until no thread but the caller is outside Python in a call of ours, for at most a second: one may run a Go function that takes
 * longer. No GIL. */
void thread_settle(void);

/* Adds to one of the thread's own counters: no locked instruction, since nobody else writes it. */
static inline void count(uint64_t *total, uint64_t n) { __atomic_store_n(total, *total + n, __ATOMIC_RELAXED); }

/* Leaves Python (the GIL is given up), and comes back. Go and the channels lie outside, so a
 * forked child ends instead of leaving. */
PyThreadState *gil_release(void);
void gil_take(PyThreadState *ts);

#endif
