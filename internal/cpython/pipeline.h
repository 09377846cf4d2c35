/* Calls that no thread waits for. All need the GIL. */
#ifndef ERLPY_PIPELINE_H
#define ERLPY_PIPELINE_H

#include "steps.h"

/* Starts a call, to be answered by a completion with the token; args is a tuple. Waits for room;
 * then True. */
PyObject *pipeline_submit(utf8 name, PyObject *args, uint64_t token, int64_t timeout_ns);

/* The same at once; or False: a completion with this token tells of room, or of the end of the
 * call's time. */
PyObject *pipeline_offer(utf8 name, PyObject *args, uint64_t token, int64_t timeout_ns);

/* Takes a submitted call back: its completion says so. None. */
PyObject *pipeline_cancel(uint64_t token);

/* Waits for completions, and appends token, ok, value or error payload, token, ... to the list:
 * then True. False when the program ends. After an exception they come with the next call. */
PyObject *pipeline_reap(PyObject *list);

/* Calls the function for each item of an iterator: a capsule. At most window items are taken before their results are given. */
PyObject *map_begin(utf8 name, PyObject *items, long long window);

/* Takes items as long as there is room, and returns the next result; the capsule itself when there are no more. NULL with an exception set: with the
 * one that stands in the place of this result, or with Ctrl-C. */
PyObject *map_next(PyObject *map);

/* Takes back whatever is under way. None. */
PyObject *map_end(PyObject *map);

#endif
