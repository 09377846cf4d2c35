/* Calls that no thread waits for. All need the GIL. */
#ifndef ERLPY_PIPELINE_H
#define ERLPY_PIPELINE_H

#include "steps.h"

/* Starts a call that is answered by a completion, which carries token; args is a tuple. None at once. */
PyObject *pipeline_submit(target to, PyObject *args, uint64_t token, int64_t timeout_ns);

/* Takes a submitted call back: its completion says so. None. */
PyObject *pipeline_cancel(uint64_t token);

/* Waits for completions: a list of (token, ok, value or error payload); None when the program ends. */
PyObject *pipeline_reap(void);

#endif
