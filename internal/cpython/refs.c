#include "refs.h"

PyObject *pack(Py_ssize_t n, PyObject *a, PyObject *b, PyObject *c) {
    PyObject *items[3] = {a, b, c};
    PyObject *t = py.PyTuple_New(n);
    for (Py_ssize_t i = 0; i < n; i++) {
        if (t == NULL || items[i] == NULL) {
            drop(t);
            t = NULL;
            drop(items[i]);
        } else {
            py.PyTuple_SetItem(t, i, items[i]);
        }
    }
    return t;
}

PyObject *call_method(PyTypeObject *t, const char *name, PyObject *args) {
    PyObject *result = NULL;
    PyObject *method = args == NULL ? NULL : py.PyObject_GetAttrString((PyObject *)t, name);
    if (method != NULL) result = py.PyObject_CallObject(method, args);
    drop(method);
    drop(args);
    return result;
}
