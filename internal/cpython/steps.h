/* The step loop: ask Go what to do next, and do it. DESIGN: Go only computes; a thread sleeps, and takes the GIL, in C with no
 * Go frame below it. */
#ifndef ERLPY_STEPS_H
#define ERLPY_STEPS_H

#include "pyapi.h"
#include "thread.h"

/* UTF-8, kept alive by the caller. */
typedef struct {
    const char *p;
    Py_ssize_t n;
} utf8;

/* Calls the registered function of that name and returns its result; a new reference, or NULL with an exception set. timeout_ns is negative for
 * none. Needs the GIL, gives it up while it waits. */
PyObject *steps_call(utf8 name, PyObject *const *args, Py_ssize_t nargs, int64_t timeout_ns);

/* The same without an answer: None at once. */
PyObject *steps_cast(utf8 name, PyObject *const *args, Py_ssize_t nargs);

/* Calls an operation, which an atom names, and casts one. */
PyObject *steps_operation(const char *name, PyObject *const *args, Py_ssize_t nargs);
PyObject *steps_notify(const char *name, PyObject *const *args, Py_ssize_t nargs);

/* Serves calls on this thread until the channel or the program ends: None, or NULL with an exception set. Needs the GIL. */
PyObject *steps_serve(const char *role, utf8 token);

/* Parts of the above, for pipeline.c and map.c. All need the GIL.
 *
 * Between steps_enter and steps_leave, conversions may run Python code, and with it calls on the
 * same state: destructors, the garbage collector, __index__. So the token and the timeout of a call
 * are put there by steps_run and steps_ask, with no Python code between them and Go. */

/* A call as Go is told of it, but for its frame. */
typedef struct {
    int event;
    uint64_t token;     /* a submitted call's or a map's; else 0 */
    int64_t timeout_ns; /* negative: none */
} request;

/* The state to make a call with: the thread's own, or extra when that will not do. NULL with an exception set. To be left again. */
erlpy_thread *steps_enter(erlpy_thread *extra, int64_t timeout_ns);
void steps_leave(erlpy_thread *t, erlpy_thread *extra);

/* Takes the frame out of t while Python code may run, gives it back, and gives it back at the end of a call. */
erlpy_buf steps_take_frame(erlpy_thread *t);
void steps_give_frame(erlpy_thread *t, erlpy_buf b);
void steps_give_back(erlpy_thread *t, erlpy_buf b);

/* A call of that function that lacks its arguments: 0, or -1 with an exception set. */
int steps_begin_call(erlpy_buf *b, utf8 name, Py_ssize_t nargs);

/* Asks Go, from the event on, until the call is over: DONE, FAILED or CLOSED; or -1 with an
 * exception set. Gives up the GIL meanwhile. */
int steps_run(erlpy_thread *t, request r);

/* One step with the GIL held, answered at once. In a forked child: -1 with an exception set. */
int steps_ask(erlpy_thread *t, request r);

/* One step, without the GIL. */
static inline int step_into_go(erlpy_thread *t, int event) {
    __atomic_store_n(&t->waits, 1, __ATOMIC_RELAXED);
    return erlpy_go_step(t, event);
}

/* What a call has ended with, by the last action, as an object; NULL with an exception set. Needs the GIL. */
PyObject *steps_answer(erlpy_thread *t, int action);

/* Runs a call to its end and converts its result. */
PyObject *steps_complete(erlpy_thread *t, request r);

/* The same with b as the frame; or, when it could not be written (not ok, with an exception set), its end. */
PyObject *steps_go_on(erlpy_thread *t, erlpy_buf b, int ok, request r);

#endif
