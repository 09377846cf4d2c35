/* The step loop: ask Go what to do next, and do it. DESIGN: Go only computes; a thread sleeps, and takes the GIL, in C with no
 * Go frame below it. */
#ifndef ERLPY_STEPS_H
#define ERLPY_STEPS_H

#include "pyapi.h"
#include "thread.h"

/* Calls target (an operation's atom when is_atom, else a registered function) and returns its result; a new reference, or NULL with an
 * exception set. Needs the GIL, gives it up while it waits. name must be UTF-8 kept alive by the caller. */
PyObject *steps_call(const char *name, Py_ssize_t name_len, int is_atom, PyObject *const *args, Py_ssize_t nargs);

/* Serves calls on this thread until the channel or the program ends: None, or NULL with an exception set. Needs the GIL. */
PyObject *steps_serve(const char *role, const char *token, Py_ssize_t token_len);

#endif
