#define _GNU_SOURCE
#include "steps.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "clock.h"
#include "convert.h"
#include "errors.h"
#include "integers.h"
#include "loan.h"
#include "refs.h"
#include "turn.h"

/* How long the main thread sleeps before it looks for signals by itself, in ms. One that arrives just before poll() begins does
 * not interrupt it. Other threads look for asynchronous exceptions, which wake nobody, when they are in a call. */
enum { SIGNAL_SLICE = 50, ASYNC_SLICE = 100 };

/* Sleeps until there is something to ask Go about: returns 1; or 0 when signals should be looked at. No GIL. */
static int sleep_on(erlpy_thread *t, int64_t deadline, int in_call) {
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
    int slice = erlpy_is_main ? SIGNAL_SLICE : in_call ? ASYNC_SLICE : -1;
    if (slice > 0 && (timeout < 0 || timeout > slice)) {
        timeout = slice;
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
erlpy_buf steps_take_frame(erlpy_thread *t) {
    erlpy_buf b = t->frame;
    t->frame = (erlpy_buf){0};
    return b;
}

void steps_give_frame(erlpy_thread *t, erlpy_buf b) {
    if (t->frame.p != NULL) free(t->frame.p);
    t->frame = b;
}

void steps_give_back(erlpy_thread *t, erlpy_buf b) {
    parts_drop(&b);
    if (b.cap > ERLPY_FRAME_KEEP) erlpy_buf_trim(&b);
    steps_give_frame(t, b);
}

/* An empty frame: room for the header, and the version byte. */
static int begin_frame(erlpy_buf *b) {
    return buf_begin(b) < 0 ? -1 : put_u8(b, T_VERSION);
}

/* {python, Name, Message, Traceback} of the exception that is set, which is taken. Falls back to a fixed one. */
static void describe_error(erlpy_buf *b) {
    PyObject *payload = NULL;
    /* Twice: an asynchronous exception may come in the middle of it, and is then what is to be described. */
    for (int i = 0; i < 2 && payload == NULL; i++) {
        PyObject *exc = take_error(), *args = exc == NULL || hooks.describe == NULL ? NULL : py.PyTuple_New(1);
        if (args != NULL) {
            py.PyTuple_SetItem(args, 0, own(exc));
            payload = py.PyObject_CallObject(hooks.describe, args);
        }
        drop(args);
        drop(exc);
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
}

/* Runs the call in the frame and leaves its answer there. Needs the GIL. */
static void run_nested(erlpy_thread *t) {
    erlpy_buf b = steps_take_frame(t);
    parts_drop(&b); /* of the call that waits: it has been sent */
    int ok = 0;
    PyObject *result = NULL;
    PyObject *call = decode_payload(b.p + ERLPY_HEADER, b.len - ERLPY_HEADER);
    erlpy_buf_trim(&b);
    if (call != NULL) {
        /* From here on the frame is free: what the Python code calls uses one of its own. */
        result = hooks.dispatch == NULL ? raise_error(py.PyExc_RuntimeError, "nobody serves calls here")
                                        : py.PyObject_CallObject(hooks.dispatch, call);
        drop(call);
    }
    if (result != NULL && begin_frame(&b) == 0) {
        buf_part(&b);
        ok = encode_term(&b, result, "result") == 0;
    }
    drop(result);
    if (!ok && erlpy_forked) fork_end();
    if (!ok) describe_error(&b);
    t->reply_ok = (uint8_t)ok; /* last: the code above may run nested calls of its own */
    steps_give_frame(t, b);
}

/* Lets the handlers of signals run (on the main thread), and asynchronous exceptions act: -1 when one has raised. Needs the GIL. */
static int look_around(int in_call) {
    if (py.PyErr_CheckSignals() < 0) return -1;
    if (!in_call || hooks.tick == NULL) return 0;
    PyObject *none = py.PyObject_CallObject(hooks.tick, NULL);
    drop(none);
    return none == NULL ? -1 : 0;
}

/* Sleeps as Go has asked: returns the event to go on with, or 0 when an exception has been raised, with the call forgotten. No GIL. */
static int sleep_for_go(erlpy_thread *t, PyThreadState **ts, int64_t call_deadline, int in_call) {
    int64_t deadline = t->wait_ns < 0 ? -1 : now_ns() + t->wait_ns;
    if (call_deadline >= 0 && (deadline < 0 || call_deadline < deadline)) deadline = call_deadline;
    while (!sleep_on(t, deadline, in_call)) {
        gil_take(*ts);
        int raised = look_around(in_call);
        *ts = gil_release();
        if (raised < 0) {
            erlpy_go_step(t, ERLPY_EV_ABORT);
            return 0;
        }
    }
    return call_deadline >= 0 && now_ns() >= call_deadline ? ERLPY_EV_TIMEOUT : ERLPY_EV_RESUME;
}

/* A return address per frame is what a processor remembers of calls, 16 of them on many. More wait while a Go function runs, and each that is
 * forgotten costs 10 ns on the way back. So what a call is made of is one frame, though it is several functions, some of them for others too. */
#define ONE_FRAME inline __attribute__((always_inline))

static inline void put_request(erlpy_thread *t, request r) {
    t->token = r.token;
    t->timeout_ns = r.timeout_ns;
}

/* With -1, the exception comes from a signal's handler or from another thread. */
extern ONE_FRAME int steps_run(erlpy_thread *t, request r) {
    int event = r.event;
    int in_call = event == ERLPY_EV_CALL || event == ERLPY_EV_MAP_RESULTS || event == ERLPY_EV_SUBMIT;
    int64_t deadline = (event == ERLPY_EV_CALL || event == ERLPY_EV_SUBMIT) && r.timeout_ns >= 0 ? now_ns() + r.timeout_ns : -1;
    int replied = 0;
    int lent = event == ERLPY_EV_CALL && loan_fits(t);
    put_request(t, r);
    PyThreadState *ts = gil_release();
    if (lent && turn_begin(t, deadline)) {
        int action = loan_call(t, &event);
        if (action != 0) {
            turn_pause(t);
            gil_take(ts);
            return action;
        }
    }
    for (;;) {
        t->wait_ns = -1;
        int action = step_into_go(t, event);
        if (event == ERLPY_EV_REPLY && in_call && !t->reply_ok && action != ERLPY_ACT_NESTED) {
            /* What has ended the call within this one may be meant for this one too. */
            gil_take(ts);
            int raised = look_around(in_call);
            ts = gil_release();
            if (raised < 0) {
                if (action == ERLPY_ACT_SLEEP) erlpy_go_step(t, ERLPY_EV_ABORT);
                gil_take(ts);
                return -1;
            }
        }
        switch (action) {
        case ERLPY_ACT_SLEEP:
            /* A context may sleep for long, and what it has sent is nobody's else. What a call sends is its caller's, who waits. */
            if (replied && t->frame.parts != NULL && t->frame.parts->count == 0) {
                gil_take(ts);
                parts_drop(&t->frame);
                ts = gil_release();
            }
            turn_leave(t);
            event = sleep_for_go(t, &ts, deadline, in_call);
            if (event == 0) {
                gil_take(ts);
                return -1;
            }
            break;
        case ERLPY_ACT_NESTED:
            turn_leave(t);
            gil_take(ts);
            t->busy = 0; /* what is called may call again, on this same channel */
            t->nested++;
            run_nested(t);
            t->nested--;
            t->busy = 1;
            put_request(t, r); /* those of nested calls have been there */
            ts = gil_release();
            replied = 1;
            event = ERLPY_EV_REPLY;
            break;
        default:
            turn_pause(t);
            gil_take(ts);
            return action;
        }
    }
}

int steps_ask(erlpy_thread *t, request r) {
    if (!fork_may_call()) return -1;
    put_request(t, r);
    return erlpy_go_step(t, r.event);
}

extern ONE_FRAME PyObject *steps_answer(erlpy_thread *t, int action) {
    erlpy_buf b = steps_take_frame(t);
    PyObject *o = NULL;
    if (action == ERLPY_ACT_CLOSED)
        o = own_none();
    else if (action >= 0)
        o = decode_payload(b.p + ERLPY_HEADER, b.len - ERLPY_HEADER);
    steps_give_back(t, b);
    return action == ERLPY_ACT_FAILED ? raise_failure(o) : o;
}

extern ONE_FRAME PyObject *steps_complete(erlpy_thread *t, request r) {
    t->busy = 1;
    int action = steps_run(t, r);
    t->busy = 0;
    return steps_answer(t, action);
}

/* {Target, Args} up to the first of the arguments. */
static int begin_call(erlpy_buf *b, utf8 name, int is_atom, Py_ssize_t nargs) {
    static const uint8_t pair[2] = {T_SMALL_TUPLE, 2};
    if (begin_frame(b) < 0 || put_raw(b, pair, 2) < 0) return -1;
    if ((is_atom ? put_atom(b, name.p) : put_binary(b, name.p, (size_t)name.n)) < 0) return -1;
    return nargs > 0 ? put_tag32(b, T_LIST, (uint32_t)nargs) : 0;
}

int steps_begin_call(erlpy_buf *b, utf8 name, Py_ssize_t nargs) { return begin_call(b, name, 0, nargs); }

static int encode_call(erlpy_buf *b, utf8 name, int is_atom, PyObject *const *args, Py_ssize_t nargs) {
    if (begin_call(b, name, is_atom, nargs) < 0) return -1;
    buf_part(b);
    for (Py_ssize_t i = 0; i < nargs; i++)
        if (encode_argument(b, args[i], i) < 0) return -1;
    return put_u8(b, T_NIL);
}

erlpy_thread *steps_enter(erlpy_thread *extra, int64_t timeout_ns) {
    if (!fork_may_call()) return NULL;
    erlpy_thread *t = thread_self();
    if (t == NULL) {
        py.PyErr_NoMemory();
        return NULL;
    }
    /* A signal handler or a destructor that calls while this thread waits in a call of its own: with a worker of its own. So does a call that
     * may time out within a nested one: its end must not be the end of the function that waits for us. */
    if (t->busy || (t->nested > 0 && timeout_ns >= 0)) {
        thread_init(extra);
        extra->outer = t->handle;
        t = extra;
    }
    return t;
}

void steps_leave(erlpy_thread *t, erlpy_thread *extra) {
    if (t != extra || erlpy_forked) return; /* a child leaves the memory be */
    PyThreadState *ts = gil_release();
    thread_end(t);
    gil_take(ts);
}

extern ONE_FRAME PyObject *steps_go_on(erlpy_thread *t, erlpy_buf b, int ok, request r) {
    if (ok && fork_may_call()) { /* a conversion may have forked */
        steps_give_frame(t, b);
        return steps_complete(t, r);
    }
    steps_give_back(t, b);
    return NULL;
}

/* Encodes a call and runs it from event on. */
static ONE_FRAME PyObject *perform(utf8 name, int is_atom, PyObject *const *args, Py_ssize_t nargs, int event, int64_t timeout_ns) {
    erlpy_thread extra, *t = steps_enter(&extra, timeout_ns);
    if (t == NULL) return NULL;
    erlpy_buf b = steps_take_frame(t);
    int ok = encode_call(&b, name, is_atom, args, nargs) == 0;
    int counts = ok && !is_atom && event == ERLPY_EV_CALL;
    if (counts) count(&t->in_flight, 1);
    PyObject *result = steps_go_on(t, b, ok, (request){.event = event, .timeout_ns = timeout_ns});
    if (counts) {
        count(&t->in_flight, (uint64_t)-1);
        count(&t->calls, 1);
    }
    steps_leave(t, &extra);
    return result;
}

PyObject *steps_call(utf8 name, PyObject *const *args, Py_ssize_t nargs, int64_t timeout_ns) {
    PyObject *result;
    if (timeout_ns < 0 && integers_call(name, args, nargs, &result)) return result;
    return perform(name, 0, args, nargs, ERLPY_EV_CALL, timeout_ns);
}

PyObject *steps_cast(utf8 name, PyObject *const *args, Py_ssize_t nargs) { return perform(name, 0, args, nargs, ERLPY_EV_CAST, -1); }

PyObject *steps_operation(const char *name, PyObject *const *args, Py_ssize_t nargs) {
    return perform((utf8){.p = name}, 1, args, nargs, ERLPY_EV_CALL, -1);
}

PyObject *steps_notify(const char *name, PyObject *const *args, Py_ssize_t nargs) {
    return perform((utf8){.p = name}, 1, args, nargs, ERLPY_EV_CAST, -1);
}

PyObject *steps_serve(const char *role, utf8 token) {
    if (!fork_may_call()) return NULL;
    erlpy_thread *t = thread_self();
    if (t == NULL) return py.PyErr_NoMemory();
    if (t->busy || t->handle != 0) return raise_error(py.PyExc_RuntimeError, "erlang: this thread has made calls already; serve from a fresh one");
    static const uint8_t pair[2] = {T_SMALL_TUPLE, 2};
    erlpy_buf b = steps_take_frame(t);
    int ok = begin_frame(&b) == 0 && put_raw(&b, pair, 2) == 0 && put_atom(&b, role) == 0 &&
             put_binary(&b, token.p, (size_t)token.n) == 0;
    return steps_go_on(t, b, ok, (request){.event = ERLPY_EV_SERVE, .timeout_ns = -1});
}
