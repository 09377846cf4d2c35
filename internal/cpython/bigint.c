/* Integers beyond 64 bits, by int's own to_bytes and from_bytes: stable on every version, and not bound by the limit on
 * decimal digits. All need the GIL. */
#include "convert.h"
#include "errors.h"
#include "refs.h"

int encode_bigint(erlpy_buf *b, PyObject *o) {
    int result = -1;
    PyObject *bits = NULL, *bytes = NULL;
    own(o); /* it may be borrowed, and a method is called */
    PyObject *magnitude = call_method(py.PyLong_Type, "__abs__", pack(1, own(o), NULL, NULL));
    if (magnitude == NULL) goto out;
    bits = call_method(py.PyLong_Type, "bit_length", pack(1, own(magnitude), NULL, NULL));
    if (bits == NULL) goto out;
    long long n = (py.PyLong_AsLongLong(bits) + 7) / 8;
    bytes = call_method(py.PyLong_Type, "to_bytes", pack(3, own(magnitude), py.PyLong_FromLongLong(n), py.PyUnicode_FromString("little")));
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
    PyObject *magnitude = call_method(py.PyLong_Type, "from_bytes", pack(2, py.PyBytes_FromStringAndSize((const char *)p, (Py_ssize_t)n),
                                                        py.PyUnicode_FromString("little"), NULL));
    if (magnitude == NULL || !negative) return magnitude;
    PyObject *v = py.PyNumber_Negative(magnitude);
    drop(magnitude);
    return v;
}
