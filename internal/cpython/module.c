#include "module.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "convert.h"
#include "errors.h"
#include "pipeline.h"
#include "refs.h"
#include "steps.h"

convert_hooks hooks;

/* The function of a METH_FASTCALL | METH_KEYWORDS method. */
typedef PyObject *(*fastcall)(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);

/* What a timeout is when it cannot be read, with an exception set. */
#define BAD_TIMEOUT INT64_MIN

/* Seconds, a number or None, as nanoseconds: -1 for None. Or BAD_TIMEOUT. */
static int64_t to_ns(const char *function, PyObject *seconds) {
    if (seconds == py._Py_NoneStruct) return -1;
    double s = py.PyFloat_AsDouble(seconds);
    if (s == -1.0 && py.PyErr_Occurred()) {
        py.PyErr_Clear();
        raise_error(py.PyExc_TypeError, "%s(): timeout must be a number of seconds, or None", function);
        return BAD_TIMEOUT;
    }
    if (s != s) {
        raise_error(py.PyExc_ValueError, "%s(): timeout is not a number", function);
        return BAD_TIMEOUT;
    }
    /* A century is for ever. */
    return s <= 0 ? 0 : s > 3e9 ? -1 : (int64_t)(s * 1e9);
}

/* The timeout among the keywords, as to_ns: -1 when there is none, BAD_TIMEOUT when there is anything else. */
static int64_t take_timeout(const char *function, PyObject *const *values, PyObject *kwnames) {
    int64_t ns = -1;
    Py_ssize_t n = kwnames == NULL ? 0 : py.PyTuple_Size(kwnames);
    for (Py_ssize_t i = 0; i < n; i++) {
        const char *name = py.PyUnicode_AsUTF8AndSize(py.PyTuple_GetItem(kwnames, i), NULL);
        if (name != NULL && strcmp(name, "timeout") == 0) {
            if ((ns = to_ns(function, values[i])) == BAD_TIMEOUT) return BAD_TIMEOUT;
            continue;
        }
        py.PyErr_Clear();
        raise_error(py.PyExc_TypeError,
                    "%s() got an unexpected keyword argument '%s': registered functions take positional arguments only, beside timeout", function,
                    name ? name : "?");
        return BAD_TIMEOUT;
    }
    return ns;
}

static int is_str(PyObject *o) {
    PyTypeObject *t = type_of(o);
    return t == py.PyUnicode_Type || (py.PyType_GetFlags(t) & TPFLAGS_STR) != 0;
}

/* The UTF-8 of a str, kept alive by it; p is NULL, with an exception set, when there is none. */
static utf8 text_of(PyObject *o) {
    utf8 text = {0};
    text.p = py.PyUnicode_AsUTF8AndSize(o, &text.n);
    return text;
}

/* The same of what should be the name of a function. */
static utf8 name_of(const char *function, PyObject *name) {
    if (is_str(name)) return text_of(name);
    PyObject *type = py.PyObject_GetAttrString((PyObject *)type_of(name), "__name__");
    const char *text = type == NULL ? NULL : py.PyUnicode_AsUTF8AndSize(type, NULL);
    py.PyErr_Clear();
    raise_error(py.PyExc_TypeError, "%s(): the name of the function must be str, not %s", function, text ? text : "?");
    drop(type);
    return (utf8){0};
}

static PyObject *erlang_call(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) {
    (void)self;
    if (nargs < 1) return raise_error(py.PyExc_TypeError, "call() needs the name of a registered function as its first argument");
    int64_t timeout = take_timeout("call", args + nargs, kwnames);
    if (timeout == BAD_TIMEOUT) return NULL;
    utf8 name = name_of("call", args[0]);
    return name.p == NULL ? NULL : steps_call(name, args + 1, nargs - 1, timeout);
}

/* What bound() returns: self is the name. */
static PyObject *bound_call(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) {
    utf8 name = text_of(self);
    if (name.p == NULL) return NULL;
    int64_t timeout = take_timeout(name.p, args + nargs, kwnames);
    return timeout == BAD_TIMEOUT ? NULL : steps_call(name, args, nargs, timeout);
}

static PyObject *erlang_cast(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
    (void)self;
    if (nargs < 1) return raise_error(py.PyExc_TypeError, "cast() needs the name of a registered function as its first argument");
    utf8 name = name_of("cast", args[0]);
    return name.p == NULL ? NULL : steps_cast(name, args + 1, nargs - 1);
}

static PyObject *erlang_operation(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
    (void)self;
    if (nargs < 1) return raise_error(py.PyExc_TypeError, "operation() needs the name of an operation");
    utf8 name = name_of("operation", args[0]);
    return name.p == NULL ? NULL : steps_operation(name.p, args + 1, nargs - 1);
}

static PyObject *erlang_notify(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
    (void)self;
    if (nargs < 1) return raise_error(py.PyExc_TypeError, "notify() needs the name of an operation");
    utf8 name = name_of("notify", args[0]);
    return name.p == NULL ? NULL : steps_notify(name.p, args + 1, nargs - 1);
}

static PyObject *erlang_token(PyObject *self, PyObject *none) {
    static atomic_ullong last;
    (void)self, (void)none;
    return py.PyLong_FromUnsignedLongLong(atomic_fetch_add(&last, 1) + 1);
}

static PyObject *submit_or_offer(PyObject *const *args, Py_ssize_t nargs, PyObject *(*start)(utf8, PyObject *, uint64_t, int64_t)) {
    if (nargs != 4 || type_of(args[3]) != py.PyTuple_Type)
        return raise_error(py.PyExc_TypeError, "submit() takes a token, a timeout or None, a name and a tuple of arguments");
    unsigned long long token = py.PyLong_AsUnsignedLongLong(args[0]);
    if (py.PyErr_Occurred()) return NULL;
    int64_t timeout = to_ns("submit", args[1]);
    if (timeout == BAD_TIMEOUT) return NULL;
    utf8 name = name_of("submit", args[2]);
    return name.p == NULL ? NULL : start(name, args[3], token, timeout);
}

static PyObject *erlang_submit(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
    (void)self;
    return submit_or_offer(args, nargs, pipeline_submit);
}

static PyObject *erlang_offer(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
    (void)self;
    return submit_or_offer(args, nargs, pipeline_offer);
}

static PyObject *erlang_cancel(PyObject *self, PyObject *o) {
    (void)self;
    unsigned long long token = py.PyLong_AsUnsignedLongLong(o);
    return py.PyErr_Occurred() ? NULL : pipeline_cancel(token);
}

static PyObject *erlang_completions(PyObject *self, PyObject *list) {
    (void)self;
    return pipeline_reap(list);
}

/* function(argument), a new reference or NULL. */
static PyObject *call_one(PyObject *function, PyObject *argument) {
    PyObject *args = pack(1, own(argument), NULL, NULL);
    PyObject *result = args == NULL ? NULL : py.PyObject_CallObject(function, args);
    drop(args);
    return result;
}

/* Whether schedule(insist, *args) went well; else nothing is raised. */
static int schedule_again(PyObject *self, PyObject *const *args) {
    PyObject *insist = py.PyObject_GetAttrString(self, "insist"), *again = insist == NULL ? NULL : py.PyTuple_New(4), *result = NULL;
    if (again != NULL) {
        py.PyTuple_SetItem(again, 0, own(insist));
        for (int i = 0; i < 3; i++) py.PyTuple_SetItem(again, i + 1, own(args[i]));
        result = py.PyObject_CallObject(args[0], again);
    }
    py.PyErr_Clear();
    drop(insist);
    drop(again);
    drop(result);
    return result != NULL;
}

/* Python code cannot guard itself against an exception at its first step, before any `try`, or in
 * its `except`. These functions stand around it. */
static PyObject *erlang_insist(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
    if (nargs != 3) return raise_error(py.PyExc_TypeError, "insist() takes what schedules, a function and its argument");
    PyObject *result = call_one(args[1], args[2]);
    if (result != NULL) return result;
    PyObject *raised = take_error();
    /* Ctrl-C may come there as well. More often than a few times in a row: the loop is closed. */
    for (int i = 0; i < 16 && !schedule_again(self, args); i++) {
    }
    if (raised != NULL) raise_instance(raised);
    return NULL;
}

/* Nothing comes between taking it off the list and calling it. */
static PyObject *erlang_call_first(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
    (void)self;
    if (nargs != 2) return raise_error(py.PyExc_TypeError, "call_first() takes a list of functions and the argument of one");
    PyObject *function = call_method(type_of(args[0]), "pop", pack(2, own(args[0]), py.PyLong_FromLongLong(0), NULL));
    PyObject *result = function == NULL ? NULL : call_one(function, args[1]);
    drop(function);
    return result;
}

static PyObject *erlang_persist(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
    (void)self;
    if (nargs != 3) return raise_error(py.PyExc_TypeError, "persist() takes a function, its argument, and what an exception is reported to");
    /* PyThreadState_SetAsyncExc finds the youngest state of a thread. This one never runs, so an
     * asynchronous exception strikes nothing in this thread. It could come between the taking of a
     * lock by the library and its `try`, and lose that lock. Freed with the interpreter. */
    (void)py.PyThreadState_New(py.PyInterpreterState_Get());
    for (;;) {
        PyObject *result = call_one(args[0], args[1]);
        if (result != NULL) return result;
        PyObject *raised = take_error();
        if (raised != NULL) drop(call_one(args[2], raised));
        py.PyErr_Clear();
        drop(raised);
    }
}

static PyObject *erlang_map_begin(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
    (void)self;
    if (nargs != 3) return raise_error(py.PyExc_TypeError, "map_begin() takes a name, an iterator and a window");
    utf8 name = name_of("map", args[0]);
    if (name.p == NULL) return NULL;
    long long window = py.PyLong_AsLongLong(args[2]);
    return py.PyErr_Occurred() ? NULL : map_begin(name, args[1], window);
}

static PyObject *erlang_map_next(PyObject *self, PyObject *map) {
    (void)self;
    return map_next(map);
}

static PyObject *erlang_map_end(PyObject *self, PyObject *map) {
    (void)self;
    return map_end(map);
}

static PyObject *erlang_raise_in(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
    (void)self;
    if (nargs != 2) return raise_error(py.PyExc_TypeError, "raise_in() takes a thread's ident and an exception class, or None");
    unsigned long ident = py.PyLong_AsUnsignedLong(args[0]);
    if (py.PyErr_Occurred()) return NULL;
    int n = py.PyThreadState_SetAsyncExc(ident, args[1] == py._Py_NoneStruct ? NULL : args[1]);
    return own(n > 0 ? py._Py_TrueStruct : py._Py_FalseStruct);
}

static PyObject *erlang_bound(PyObject *self, PyObject *name) {
    (void)self;
    utf8 text = name_of("bound", name);
    if (text.p == NULL) return NULL;
    /* CPython keeps a pointer to the definition for as long as the function lives, which nobody can tell: never freed. One per
     * name, since the Python half keeps what it got. */
    PyMethodDef *def = calloc(1, sizeof *def);
    char *copy = malloc((size_t)text.n + 1);
    if (def == NULL || copy == NULL) {
        free(def);
        free(copy);
        return py.PyErr_NoMemory();
    }
    memcpy(copy, text.p, (size_t)text.n + 1);
    *def = (PyMethodDef){copy, (void *)bound_call, METH_FASTCALL | METH_KEYWORDS, "A function registered in Erlang or Go."};
    return py.PyCFunction_NewEx(def, name, NULL);
}

static PyObject *erlang_registered(PyObject *self, PyObject *name) {
    (void)self;
    return name_of("registered", name).p == NULL ? NULL : steps_operation("registered", &name, 1);
}

static PyObject *erlang_stats(PyObject *self, PyObject *none) {
    (void)self, (void)none;
    return steps_operation("stats", NULL, 0);
}

static PyObject *erlang_self(PyObject *self, PyObject *none) {
    (void)self, (void)none;
    return steps_operation("self", NULL, 0);
}

static PyObject *erlang_serve(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
    (void)self;
    if (nargs != 2) return raise_error(py.PyExc_TypeError, "serve() takes a role and a token");
    utf8 role = name_of("serve", args[0]);
    if (role.p == NULL) return NULL;
    utf8 token = name_of("serve", args[1]);
    return token.p == NULL ? NULL : steps_serve(role.p, token);
}

static PyObject *erlang_install(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
    (void)self;
    if (nargs < 6 || nargs > 7 || py.PyTuple_Size(args[0]) != 4)
        return raise_error(py.PyExc_TypeError, "install() takes four classes, wrap, convert, failure, dispatch, describe, tick");
    for (int i = 0; i < 4; i++) hooks.opaque[i] = own(py.PyTuple_GetItem(args[0], i));
    hooks.wrap = own(args[1]);
    hooks.convert = own(args[2]);
    hooks.failure = own(args[3]);
    hooks.dispatch = own(args[4]);
    hooks.describe = own(args[5]);
    if (nargs > 6) hooks.tick = own(args[6]);
    return own_none();
}

static PyObject *erlang_close(PyObject *self, PyObject *none) {
    (void)self, (void)none;
    if (erlpy_forked) return own_none();
    PyThreadState *ts = gil_release();
    erlpy_close();
    thread_settle();
    gil_take(ts);
    return own_none();
}

static PyObject *erlang_seal(PyObject *self, PyObject *none) {
    (void)self, (void)none;
    if (!erlpy_forked) atomic_store(&erlpy_state, STATE_SEALED);
    return own_none();
}

static PyObject *erlang_nothing(PyObject *self, PyObject *none) {
    (void)self, (void)none;
    py.PyEval_RestoreThread(py.PyEval_SaveThread());
    return own_none();
}

static PyObject *erlang_encode(PyObject *self, PyObject *o) {
    (void)self;
    erlpy_buf b = {0};
    PyObject *bytes = NULL;
    if (put_u8(&b, T_VERSION) == 0 && encode_term(&b, o, "value") == 0)
        bytes = py.PyBytes_FromStringAndSize((const char *)b.p, (Py_ssize_t)b.len);
    free(b.p);
    return bytes;
}

static PyObject *erlang_decode(PyObject *self, PyObject *o) {
    (void)self;
    char *p;
    Py_ssize_t n;
    if (py.PyBytes_AsStringAndSize(o, &p, &n) < 0) return NULL;
    return decode_payload((const uint8_t *)p, (size_t)n);
}

static PyObject *erlang_limits(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
    (void)self;
    if (nargs != 2) return raise_error(py.PyExc_TypeError, "limits() takes max_frame (bytes) and max_depth; 0 leaves one as it is");
    long long frame = py.PyLong_AsLongLong(args[0]), depth = py.PyLong_AsLongLong(args[1]);
    if (py.PyErr_Occurred()) return NULL;
    if (frame < 0 || depth < 0) return raise_error(py.PyExc_ValueError, "limits(): a limit cannot be negative");
    erlpy_limits((size_t)frame, (size_t)depth);
    return own_none();
}

void erlpy_limits(size_t max_frame, size_t max_depth) {
    if (max_frame > 0) limits.max_frame = max_frame;
    if (max_depth > 0) limits.max_depth = max_depth;
}

/* Static storage: CPython keeps pointers into it. */
static PyMethodDef methods[] = {
    {"call", (void *)erlang_call, METH_FASTCALL | METH_KEYWORDS,
     "call($module, name, /, *args, timeout=None)\n--\n\n"
     "Call the function registered under name, in Go or in Erlang, and return its result.\n\n"
     "Any thread may call, any number at once; the GIL is released until the answer is there.\n"
     "After timeout seconds, if given, Timeout is raised and the function killed.\n"
     "Raises NotRegistered, CallError, Disconnected; TypeError or ValueError for what has no term."},
    {"bound", (void *)erlang_bound, METH_O, "bound($module, name, /)\n--\n\nA callable that calls the function registered under name."},
    {"cast", (void *)erlang_cast, METH_FASTCALL, "cast($module, name, /, *args)\n--\n\nCall the function without waiting for it, or for an answer."},
    {"operation", (void *)erlang_operation, METH_FASTCALL, "operation($module, op, /, *args)\n--\n\nAn operation of the node's, PROTOCOL.md section 4."},
    {"notify", (void *)erlang_notify, METH_FASTCALL, "notify($module, op, /, *args)\n--\n\nAn operation that is not answered."},
    {"token", (void *)erlang_token, METH_NOARGS, "token($module, /)\n--\n\nA number that no submitted call has had."},
    {"submit", (void *)erlang_submit, METH_FASTCALL,
     "submit($module, token, timeout, name, args, /)\n--\n\nStart a call, as soon as there is room for it; completions() tells how it ended, by its token."},
    {"cancel", (void *)erlang_cancel, METH_O, "cancel($module, token, /)\n--\n\nTake a submitted call back, and kill its function."},
    {"offer", (void *)erlang_offer, METH_FASTCALL,
     "offer($module, token, timeout, name, args, /)\n--\n\nsubmit() if there is room; False if not: a completion of the token says when to offer it again."},
    {"completions", (void *)erlang_completions, METH_O,
     "completions($module, list, /)\n--\n\nWait until submitted calls have ended, and append token, ok, value or error payload, token, ... to the list. "
     "False: the program ends."},
    {"insist", (void *)erlang_insist, METH_FASTCALL,
     "insist($module, schedule, function, argument, /)\n--\n\nfunction(argument). If that raises, schedule(insist, schedule, function, argument) first."},
    {"call_first", (void *)erlang_call_first, METH_FASTCALL,
     "call_first($module, functions, argument, /)\n--\n\nTake the first function off the list and call it."},
    {"persist", (void *)erlang_persist, METH_FASTCALL,
     "persist($module, function, argument, report, /)\n--\n\nfunction(argument), again and again until it returns; report(exception) in between. Asynchronous exceptions are not raised in it."},
    {"map_begin", (void *)erlang_map_begin, METH_FASTCALL,
     "map_begin($module, name, items, window, /)\n--\n\nCall the function for each item of an iterator: a map, for the functions below."},
    {"map_next", (void *)erlang_map_next, METH_O, "map_next($module, map, /)\n--\n\nThe next result in order; the map itself when there are no more."},
    {"map_end", (void *)erlang_map_end, METH_O, "map_end($module, map, /)\n--\n\nTake back the calls that are under way."},
    {"raise_in", (void *)erlang_raise_in, METH_FASTCALL,
     "raise_in($module, ident, exc, /)\n--\n\nRaise an exception class in another thread, in a call that it waits in too. None takes it back."},
    {"registered", (void *)erlang_registered, METH_O, "registered($module, name, /)\n--\n\nWhether a function is registered under name."},
    {"stats", (void *)erlang_stats, METH_NOARGS, "stats($module, /)\n--\n\nWorkers, calls and bytes so far, as a dict."},
    {"self", (void *)erlang_self, METH_NOARGS, "self($module, /)\n--\n\nThe Pid of this thread's handler; None when there is no node."},
    {"serve", (void *)erlang_serve, METH_FASTCALL, "serve($module, role, token, /)\n--\n\nServe calls on this thread until its channel ends."},
    {"install", (void *)erlang_install, METH_FASTCALL, "install($module, opaque, wrap, convert, failure, dispatch, describe, tick, /)\n--\n\n"},
    {"close", (void *)erlang_close, METH_NOARGS, "close($module, /)\n--\n\nFail every call from now on, the waiting ones included, and wait for those to return."},
    {"seal", (void *)erlang_seal, METH_NOARGS, "seal($module, /)\n--\n\nLet no thread that is still in a call come back: the interpreter is about to end."},
    {"nothing", (void *)erlang_nothing, METH_NOARGS, "nothing($module, /)\n--\n\nRelease the GIL and take it again: what a call is measured by."},
    {"encode", (void *)erlang_encode, METH_O, "encode($module, value, /)\n--\n\nThe external term format of value, as bytes."},
    {"decode", (void *)erlang_decode, METH_O, "decode($module, etf, /)\n--\n\nThe value of a term in external format."},
    {"limits", (void *)erlang_limits, METH_FASTCALL, "limits($module, max_frame, max_depth, /)\n--\n\nSet the limits of a frame, in bytes, and of nesting."},
    {NULL, NULL, 0, NULL},
};

int module_install(void) {
    PyObject *m = py.PyModule_New("_erlang");
    if (m == NULL) return -1;
    int result = py.PyModule_AddFunctions(m, methods);
    if (result == 0) result = py.PyDict_SetItemString(py.PyImport_GetModuleDict(), "_erlang", m);
    drop(m);
    return result;
}
