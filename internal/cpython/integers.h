/* Calls of Go functions of one or two integers, which go without a frame (erlpy_integers in shim.h). */
#ifndef ERLPY_INTEGERS_H
#define ERLPY_INTEGERS_H

#include "steps.h"

/* Makes the call, if it is one and Go has such a function: 1, with its result in *result, a new reference, or NULL with an exception set. 0: nothing
 * has been done, it is to be made in a frame. Needs the GIL, gives it up meanwhile. */
int integers_call(utf8 name, PyObject *const *args, Py_ssize_t nargs, PyObject **result);

#endif
