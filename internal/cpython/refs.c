#include "refs.h"

int type_is_second;

void refs_probe(void) {
    PyObject *known[] = {py._Py_NoneStruct, py._Py_TrueStruct, (PyObject *)py.PyLong_Type, py.PyExc_TypeError};
    int same = 0;
    for (int i = 0; i < 4; i++) same += type_of(known[i]) == ((PyTypeObject *const *)known[i])[1];
    type_is_second = same == 4;
}

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
