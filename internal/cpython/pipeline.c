/* Calls that no thread waits for: starting them, taking them back, and the completions by which they end. */
#include "pipeline.h"

#include "convert.h"
#include "errors.h"
#include "refs.h"

static int encode_tuple_call(erlpy_buf *b, utf8 name, PyObject *args) {
    Py_ssize_t nargs = py.PyTuple_Size(args);
    if (steps_begin_call(b, name, nargs) < 0) return -1;
    buf_part(b);
    for (Py_ssize_t i = 0; i < nargs; i++)
        if (encode_argument(b, py.PyTuple_GetItem(args, i), i) < 0) return -1;
    return put_u8(b, T_NIL);
}

static PyObject *start(utf8 name, PyObject *args, uint64_t token, int64_t timeout_ns, int event) {
    erlpy_thread extra, *t = steps_enter(&extra, -1);
    if (t == NULL) return NULL;
    erlpy_buf b = steps_take_frame(t);
    int ok = encode_tuple_call(&b, name, args) == 0;
    PyObject *result = steps_go_on(t, b, ok, (request){.event = event, .token = token, .timeout_ns = timeout_ns});
    steps_leave(t, &extra);
    return result;
}

PyObject *pipeline_submit(utf8 name, PyObject *args, uint64_t token, int64_t timeout_ns) {
    return start(name, args, token, timeout_ns, ERLPY_EV_SUBMIT);
}

PyObject *pipeline_offer(utf8 name, PyObject *args, uint64_t token, int64_t timeout_ns) {
    return start(name, args, token, timeout_ns, ERLPY_EV_OFFER);
}

PyObject *pipeline_cancel(uint64_t token) {
    erlpy_thread extra, *t = steps_enter(&extra, -1);
    if (t == NULL) return NULL;
    PyObject *result = steps_complete(t, (request){.event = ERLPY_EV_CANCEL, .token = token, .timeout_ns = -1});
    steps_leave(t, &extra);
    return result;
}

/* (kind, text) of the exception that is set, which is taken: a value that cannot be decoded is that call's failure, not the batch's. */
static PyObject *undecodable(void) {
    PyObject *exc = take_error();
    PyObject *text = py.PyObject_Str(exc);
    drop(exc);
    return pack(2, py.PyUnicode_FromString("bad_term"), text, NULL);
}

/* Appends o, taken over, which may be NULL. */
static int append(PyObject *list, PyObject *o) {
    int result = o == NULL ? -1 : py.PyList_Append(list, o);
    drop(o);
    return result;
}

static int append_completion(PyObject *list, const uint8_t *p, size_t len) {
    PyObject *value = decode_payload(p + ERLPY_COMPLETION, len);
    int ok = p[8] && value != NULL;
    /* Any other than an Exception was raised from outside, and not for the value. The batch comes
     * again. */
    if (value == NULL && py.PyErr_ExceptionMatches(py.PyExc_Exception)) value = undecodable();
    if (append(list, py.PyLong_FromUnsignedLongLong((uint64_t)get_u32(p) << 32 | get_u32(p + 4))) == 0 &&
        append(list, own(ok ? py._Py_TrueStruct : py._Py_FalseStruct)) == 0)
        return append(list, value);
    drop(value);
    return -1;
}

/* The completions in the thread's frame as a list, or NULL with an exception set. */
static PyObject *batch(erlpy_thread *t) {
    erlpy_buf b = steps_take_frame(t); /* first: making objects may run code, and with it calls */
    PyObject *list = py.PyList_New(0);
    size_t len;
    for (const uint8_t *p = b.p + ERLPY_HEADER; list != NULL && p < b.p + b.len; p += ERLPY_COMPLETION + len) {
        len = get_u32(p + 9);
        if (append_completion(list, p, len) < 0) {
            drop(list);
            list = NULL;
        }
    }
    steps_give_back(t, b);
    return list;
}

/* Appends all of more, taken over, which may be NULL, or nothing. */
static int extend(PyObject *list, PyObject *more) {
    PyObject *args = pack(2, own(list), more, NULL), *none = NULL;
    if (args != NULL) none = call_method(type_of(list), "extend", args);
    drop(none);
    return none == NULL ? -1 : 0;
}

PyObject *pipeline_reap(PyObject *list) {
    /* The thread goes on with its work for the parent: a callback has forked. */
    static _Thread_local int parents;
    if (erlpy_forked && parents) fork_end();
    if (erlpy_forked) return own(py._Py_FalseStruct);
    parents = 1;
    erlpy_thread extra, *t = steps_enter(&extra, -1);
    if (t == NULL) return NULL;
    t->busy = 1;
    int action = steps_run(t, (request){.event = ERLPY_EV_REAP, .timeout_ns = -1});
    t->busy = 0;
    PyObject *result = NULL;
    if (action == ERLPY_ACT_CLOSED) {
        result = own(py._Py_FalseStruct);
    } else if (action == ERLPY_ACT_FAILED) {
        result = steps_answer(t, action);
    } else if (action >= 0 && extend(list, batch(t)) == 0) {
        /* Only now: until then they are Go's, who gives them again. */
        result = steps_ask(t, (request){.event = ERLPY_EV_REAPED, .timeout_ns = -1}) < 0 ? NULL : own(py._Py_TrueStruct);
    }
    steps_leave(t, &extra);
    return result;
}
