/* Integers beyond 64 bits, by int's own to_bytes and from_bytes: stable on every version, and not bound by the limit on
 * decimal digits. All need the GIL. */
#include "convert.h"
#include "errors.h"
#include "refs.h"

/* Calls a method of the class int itself, so that a subclass cannot change what an integer is. Takes over args. */
static PyObject *int_method(const char *name, PyObject *args) {
    PyObject *result = NULL;
    PyObject *method = args == NULL ? NULL : py.PyObject_GetAttrString((PyObject *)py.PyLong_Type, name);
    if (method != NULL) result = py.PyObject_CallObject(method, args);
    drop(method);
    drop(args);
    return result;
}

/* A tuple of up to three new references, taken over; NULL when one of them is NULL. */
static PyObject *pack(Py_ssize_t n, PyObject *a, PyObject *b, PyObject *c) {
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

int encode_bigint(erlpy_buf *b, PyObject *o) {
    int result = -1;
    PyObject *bits = NULL, *bytes = NULL;
    own(o); /* it may be borrowed, and a method is called */
    PyObject *magnitude = int_method("__abs__", pack(1, own(o), NULL, NULL));
    if (magnitude == NULL) goto out;
    bits = int_method("bit_length", pack(1, own(magnitude), NULL, NULL));
    if (bits == NULL) goto out;
    long long n = (py.PyLong_AsLongLong(bits) + 7) / 8;
    bytes = int_method("to_bytes", pack(3, own(magnitude), py.PyLong_FromLongLong(n), py.PyUnicode_FromString("little")));
    char *p;
    Py_ssize_t len;
    if (bytes == NULL || py.PyBytes_AsStringAndSize(bytes, &p, &len) < 0) goto out;
    /* Negative when it is not its own magnitude; asked of the sign bit, not of __lt__, which a subclass may define. */
    int overflow;
    py.PyLong_AsLongLongAndOverflow(o, &overflow);
    uint8_t negative = overflow < 0;
    if (len < 256) {
        uint8_t head[3] = {T_SMALL_BIG, (uint8_t)len, negative};
        if (put_raw(b, head, sizeof head) < 0) goto out;
    } else {
        if (put_tag32(b, T_LARGE_BIG, (uint32_t)len) < 0 || put_u8(b, negative) < 0) goto out;
    }
    result = put_raw(b, p, (size_t)len);
out:
    drop(magnitude);
    drop(bits);
    drop(bytes);
    drop(o);
    return result;
}

PyObject *decode_bigint(const uint8_t *p, size_t n, int negative) {
    if (n <= 8) {
        uint64_t v = 0;
        for (size_t i = n; i-- > 0;) v = v << 8 | p[i];
        if (!negative) return py.PyLong_FromUnsignedLongLong(v);
        if (v <= INT64_MAX) return py.PyLong_FromLongLong(-(long long)v);
    }
    PyObject *magnitude = int_method("from_bytes", pack(2, py.PyBytes_FromStringAndSize((const char *)p, (Py_ssize_t)n),
                                                        py.PyUnicode_FromString("little"), NULL));
    if (magnitude == NULL || !negative) return magnitude;
    PyObject *v = py.PyNumber_Negative(magnitude);
    drop(magnitude);
    return v;
}
