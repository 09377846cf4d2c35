/* Taking, restoring and raising Python errors: the only file pair that does. All need the GIL. */
#ifndef ERLPY_ERRORS_H
#define ERLPY_ERRORS_H

#include "pyapi.h"

/* Raises exc with a printf-made message; returns NULL, for `return raise(...)`. */
PyObject *raise_error(PyObject *exc, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Takes the current exception: an owned instance with its traceback attached, never NULL while one is set. */
PyObject *take_error(void);

/* Raises an exception instance; takes over the reference. */
void raise_instance(PyObject *exc);

#endif
