#define _GNU_SOURCE
#include "steps.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "convert.h"
#include "errors.h"
#include "refs.h"

/* How long the main thread sleeps before it looks for signals by itself, in ms. One that arrives just before poll() begins does
 * not interrupt it. */
enum { SIGNAL_SLICE = 50 };

/* A frame that grew beyond this is not kept between calls, in bytes. */
enum { FRAME_KEEP = 64 << 10 };

static int64_t now_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Sleeps until there is something to ask Go about: returns 1; or 0 when signals should be looked at. No GIL. */
static int sleep_on(erlpy_thread *t, int64_t deadline) {
    struct pollfd fds[3] = {
        {.fd = erlpy_close_fd, .events = POLLIN},
        {.fd = t->wake_fd, .events = POLLIN},
        {.fd = t->fd, .events = t->want_write ? POLLIN | POLLOUT : POLLIN},
    };
    int timeout = -1, sliced = 0;
    if (deadline >= 0) {
        int64_t ns = deadline - now_ns();
        if (ns <= 0) return 1;
        int64_t ms = (ns + 999999) / 1000000;
        timeout = ms > 1000000 ? 1000000 : (int)ms;
    }
    if (erlpy_is_main && (timeout < 0 || timeout > SIGNAL_SLICE)) {
        timeout = SIGNAL_SLICE;
        sliced = 1;
    }
    int n = poll(fds, 3, timeout);
    if (n < 0) return errno != EINTR;
    if (n == 0) return !sliced;
    if (fds[1].revents != 0) {
        uint64_t count;
        if (read(t->wake_fd, &count, sizeof count) < 0) {
            /* Drained already: being awake is all that matters. */
        }
    }
    return 1;
}

/* Takes the frame out of t while Python code may run, so that a call made by that code finds none half written. */
static erlpy_buf take_frame(erlpy_thread *t) {
    erlpy_buf b = t->frame;
    t->frame = (erlpy_buf){0};
    return b;
}

static void give_frame(erlpy_thread *t, erlpy_buf b) {
    free(t->frame.p);
    t->frame = b;
}

/* An empty frame: room for the header, and the version byte. */
static int begin_frame(erlpy_buf *b) {
    if (erlpy_buf_grow(b, ERLPY_HEADER + 64) < 0) {
        py.PyErr_NoMemory();
        return -1;
    }
    b->len = ERLPY_HEADER;
    return put_u8(b, T_VERSION);
}

/* {python, Name, Message, Traceback} of the exception that is set, which is taken. Falls back to a fixed one. */
static void describe_error(erlpy_buf *b) {
    PyObject *exc = take_error(), *payload = NULL;
    PyObject *args = exc == NULL || hooks.describe == NULL ? NULL : py.PyTuple_New(1);
    if (args != NULL) {
        py.PyTuple_SetItem(args, 0, own(exc));
        payload = py.PyObject_CallObject(hooks.describe, args);
    }
    int ok = payload != NULL && begin_frame(b) == 0 && encode_term(b, payload, "exception") == 0;
    if (!ok) {
        static const char name[] = "RuntimeError", text[] = "an exception that cannot be described";
        py.PyErr_Clear();
        uint8_t head[2] = {T_SMALL_TUPLE, 4};
        ok = begin_frame(b) == 0 && put_raw(b, head, 2) == 0 && put_atom(b, "python") == 0 &&
             put_binary(b, name, sizeof name - 1) == 0 && put_binary(b, text, sizeof text - 1) == 0 && put_u8(b, T_NIL) == 0;
        (void)ok; /* the first frame is always large enough for this one */
    }
    drop(payload);
    drop(args);
    drop(exc);
}

/* Runs the call in the frame and leaves its answer there. Needs the GIL. */
static void run_nested(erlpy_thread *t) {
    erlpy_buf b = take_frame(t);
    PyObject *result = NULL;
    PyObject *request = decode_payload(b.p + ERLPY_HEADER, b.len - ERLPY_HEADER);
    if (request != NULL) {
        /* From here on the frame is free: what the Python code calls uses one of its own. */
        result = hooks.dispatch == NULL ? raise_error(py.PyExc_RuntimeError, "nobody serves calls here")
                                        : py.PyObject_CallObject(hooks.dispatch, request);
        drop(request);
    }
    t->reply_ok = result != NULL && begin_frame(&b) == 0 && encode_term(&b, result, "result") == 0;
    drop(result);
    if (!t->reply_ok) describe_error(&b);
    give_frame(t, b);
}

/* Asks Go, and does what it says, until the call is over: DONE, FAILED or CLOSED; or -1 with an exception set, when a signal's handler raised.
 * Needs the GIL, and gives it up meanwhile. */
static int run(erlpy_thread *t, int event) {
    PyThreadState *ts = gil_release();
    for (;;) {
        t->wait_ns = -1;
        int action = erlpy_go_step(t, event);
        switch (action) {
        case ERLPY_ACT_SLEEP: {
            int64_t deadline = t->wait_ns < 0 ? -1 : now_ns() + t->wait_ns;
            while (!sleep_on(t, deadline)) {
                gil_take(ts);
                int raised = py.PyErr_CheckSignals();
                ts = gil_release();
                if (raised < 0) {
                    erlpy_go_step(t, ERLPY_EV_ABORT);
                    gil_take(ts);
                    return -1;
                }
            }
            event = ERLPY_EV_RESUME;
            break;
        }
        case ERLPY_ACT_NESTED:
            gil_take(ts);
            t->busy = 0; /* what is called may call again, on this same channel */
            run_nested(t);
            t->busy = 1;
            ts = gil_release();
            event = ERLPY_EV_REPLY;
            break;
        default:
            gil_take(ts);
            return action;
        }
    }
}

/* Runs from event to the end and converts what is in the frame then. */
static PyObject *complete(erlpy_thread *t, int event) {
    t->busy = 1;
    int action = run(t, event);
    t->busy = 0;
    if (action < 0) return NULL;
    if (action == ERLPY_ACT_CLOSED) return own_none();
    erlpy_buf b = take_frame(t);
    PyObject *o = decode_payload(b.p + ERLPY_HEADER, b.len - ERLPY_HEADER);
    if (b.cap > FRAME_KEEP) {
        free(b.p);
        b = (erlpy_buf){0};
    }
    give_frame(t, b);
    return action == ERLPY_ACT_FAILED ? raise_failure(o) : o;
}

/* Whether Go may be entered at all; raises when not. */
static int may_enter(void) {
    if (erlpy_forked) {
        raise_error(py.PyExc_RuntimeError, "erlang: this process was forked from one with a running Go runtime; "
                                           "use multiprocessing's 'spawn' or subprocess");
        return 0;
    }
    return 1;
}

static int encode_call(erlpy_buf *b, const char *name, Py_ssize_t name_len, int is_atom, PyObject *const *args, Py_ssize_t nargs) {
    static const uint8_t pair[2] = {T_SMALL_TUPLE, 2};
    if (begin_frame(b) < 0 || put_raw(b, pair, 2) < 0) return -1;
    if ((is_atom ? put_atom(b, name) : put_binary(b, name, (size_t)name_len)) < 0) return -1;
    if (nargs > 0 && put_tag32(b, T_LIST, (uint32_t)nargs) < 0) return -1;
    for (Py_ssize_t i = 0; i < nargs; i++) {
        char where[32];
        snprintf(where, sizeof where, "args[%zd]", i);
        if (encode_term(b, args[i], where) < 0) return -1;
    }
    return put_u8(b, T_NIL);
}

PyObject *steps_call(const char *name, Py_ssize_t name_len, int is_atom, PyObject *const *args, Py_ssize_t nargs) {
    if (!may_enter()) return NULL;
    erlpy_thread *t = thread_self(), extra;
    if (t == NULL) return py.PyErr_NoMemory();
    /* A signal handler or a destructor that calls while this thread waits in a call of its own: with a worker of its own. */
    int nested_in_wait = t->busy;
    if (nested_in_wait) {
        thread_init(&extra);
        t = &extra;
    }
    PyObject *result = NULL;
    erlpy_buf b = take_frame(t);
    int ok = encode_call(&b, name, name_len, is_atom, args, nargs) == 0;
    give_frame(t, b);
    if (ok) result = complete(t, ERLPY_EV_CALL);
    if (nested_in_wait) {
        PyThreadState *ts = gil_release();
        thread_end(t);
        gil_take(ts);
    }
    return result;
}

PyObject *steps_serve(const char *role, const char *token, Py_ssize_t token_len) {
    if (!may_enter()) return NULL;
    erlpy_thread *t = thread_self();
    if (t == NULL) return py.PyErr_NoMemory();
    if (t->busy || t->handle != 0) return raise_error(py.PyExc_RuntimeError, "erlang: this thread has made calls already; serve from a fresh one");
    static const uint8_t pair[2] = {T_SMALL_TUPLE, 2};
    erlpy_buf b = take_frame(t);
    int ok = begin_frame(&b) == 0 && put_raw(&b, pair, 2) == 0 && put_atom(&b, role) == 0 &&
             put_binary(&b, token, (size_t)token_len) == 0;
    give_frame(t, b);
    return ok ? complete(t, ERLPY_EV_SERVE) : NULL;
}
