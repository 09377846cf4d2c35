/* The step loop: ask Go what to do next, and do it. DESIGN: Go only computes; a thread sleeps, and takes the GIL, in C with no
 * Go frame below it. */
#ifndef ERLPY_STEPS_H
#define ERLPY_STEPS_H

#include "pyapi.h"
#include "thread.h"

/* What is called: a registered function, or an operation by its atom. name is UTF-8, kept alive by the caller. */
typedef struct {
    const char *name;
    Py_ssize_t len;
    int is_atom;
} target;

/* Calls target and returns its result; a new reference, or NULL with an exception set. timeout_ns is negative for none. Needs the GIL, gives it
 * up while it waits. */
PyObject *steps_call(target to, PyObject *const *args, Py_ssize_t nargs, int64_t timeout_ns);

/* The same without an answer: None at once. */
PyObject *steps_cast(target to, PyObject *const *args, Py_ssize_t nargs);

/* The same, answered by a completion that carries token; args is a tuple. None at once. */
PyObject *steps_submit(target to, PyObject *args, uint64_t token, int64_t timeout_ns);

/* Takes a submitted call back: its completion says so. None. */
PyObject *steps_cancel(uint64_t token);

/* Waits for completions: a list of (token, ok, value or error payload); None when the program ends. */
PyObject *steps_reap(void);

/* Serves calls on this thread until the channel or the program ends: None, or NULL with an exception set. Needs the GIL. */
PyObject *steps_serve(const char *role, const char *token, Py_ssize_t token_len);

#endif
