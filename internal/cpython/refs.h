/* All reference counting, in one place. Every function needs the GIL. */
#ifndef ERLPY_REFS_H
#define ERLPY_REFS_H

#include "pyapi.h"

/* A new reference to o. */
static inline PyObject *own(PyObject *o) {
    py.Py_IncRef(o);
    return o;
}

/* Gives one reference back; NULL is fine. */
static inline void drop(PyObject *o) {
    if (o != NULL) py.Py_DecRef(o);
}

/* A new reference to None. */
static inline PyObject *own_none(void) { return own(py._Py_NoneStruct); }

/* Whether an object's second word is its type. So it is in builds with a GIL and without trace-refs, whose stable ABI has modules of 3.9 read it
 * there; found out by refs_probe. */
extern int type_is_second;
void refs_probe(void);

/* The type of o, borrowed from o: valid as long as o is. */
static inline PyTypeObject *type_of(PyObject *o) {
    if (type_is_second) return ((PyTypeObject *const *)o)[1];
    PyObject *t = py.PyObject_Type(o);
    py.Py_DecRef(t);
    return (PyTypeObject *)t;
}

/* A tuple of up to three new references, taken over; NULL when one of them is NULL. */
PyObject *pack(Py_ssize_t n, PyObject *a, PyObject *b, PyObject *c);

/* Calls a method of the class t itself, so that a subclass cannot change what it says. Takes over args. A new reference, or NULL. */
PyObject *call_method(PyTypeObject *t, const char *name, PyObject *args);

#endif
