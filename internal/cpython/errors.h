/* Taking, restoring and raising Python errors: the only file pair that does. All need the GIL. */
#ifndef ERLPY_ERRORS_H
#define ERLPY_ERRORS_H

#include "pyapi.h"

/* Raises exc with a printf-made message; returns NULL, for `return raise(...)`. */
PyObject *raise_error(PyObject *exc, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Raises what the Python half makes of {kind, text}, PROTOCOL.md section 5: "type" is erlang.TypeError, "limit" and "bad_term" are
 * erlang.ValueError. Returns NULL. */
PyObject *raise_term(const char *kind, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Raises what an error payload, decoded, stands for; takes over the reference, and may be given NULL with an exception set. Returns NULL. */
PyObject *raise_failure(PyObject *payload);

/* Takes the current exception: an owned instance with its traceback attached, never NULL while one is set. */
PyObject *take_error(void);

/* Raises an exception instance; takes over the reference. */
void raise_instance(PyObject *exc);

#endif
