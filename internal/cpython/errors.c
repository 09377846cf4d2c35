#include "errors.h"

#include <stdarg.h>
#include <stdio.h>

#include "refs.h"

PyObject *raise_error(PyObject *exc, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    /* Not PyErr_SetString: a name cut in the middle of a character must not turn this error into another. */
    size_t n = 0;
    while (text[n]) n++;
    PyObject *message = py.PyUnicode_DecodeUTF8(text, (Py_ssize_t)n, "replace");
    if (message != NULL) {
        py.PyErr_SetObject(exc, message);
        drop(message);
    }
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
