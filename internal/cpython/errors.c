#include "errors.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "convert.h"
#include "refs.h"

/* A new str, or NULL. A name that was cut in the middle of a character must not turn one error into another. */
static PyObject *message_of(const char *format, va_list args) {
    char text[512];
    vsnprintf(text, sizeof text, format, args);
    return py.PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
}

PyObject *raise_error(PyObject *exc, const char *format, ...) {
    va_list args;
    va_start(args, format);
    PyObject *message = message_of(format, args);
    va_end(args);
    if (message != NULL) {
        py.PyErr_SetObject(exc, message);
        drop(message);
    }
    return NULL;
}

PyObject *raise_term(const char *kind, const char *format, ...) {
    va_list args;
    va_start(args, format);
    PyObject *message = message_of(format, args), *name = py.PyUnicode_FromString(kind), *payload = py.PyTuple_New(2);
    va_end(args);
    if (message == NULL || name == NULL || payload == NULL) {
        drop(message);
        drop(name);
        drop(payload);
        return NULL;
    }
    py.PyTuple_SetItem(payload, 0, name);
    py.PyTuple_SetItem(payload, 1, message);
    return raise_failure(payload);
}

PyObject *raise_failure(PyObject *payload) {
    if (payload == NULL) return NULL;
    PyObject *args = py.PyTuple_New(1), *exc = NULL;
    if (args != NULL && hooks.failure != NULL) {
        py.PyTuple_SetItem(args, 0, own(payload));
        exc = py.PyObject_CallObject(hooks.failure, args);
    }
    drop(args);
    drop(payload);
    if (exc != NULL) raise_instance(exc);
    else if (!py.PyErr_Occurred()) raise_error(py.PyExc_RuntimeError, "erlang: a call failed before the module was ready");
    return NULL;
}

PyObject *take_error(void) {
    PyObject *type, *value, *traceback;
    py.PyErr_Fetch(&type, &value, &traceback);
    if (type == NULL) return NULL;
    py.PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL) {
        py.PyException_SetTraceback(value, traceback);
        drop(traceback);
    }
    drop(type);
    return value;
}

void raise_instance(PyObject *exc) {
    py.PyErr_SetObject((PyObject *)type_of(exc), exc);
    drop(exc);
}
