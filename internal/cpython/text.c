/* Binaries and atoms -> str. Needs the GIL. */
#include <string.h>

#include "convert.h"
#include "refs.h"

/* Asked first, and not left to Python to find out: it would make an exception with a copy of all the bytes. */
PyObject *decode_text(const uint8_t *p, size_t n) {
    return scan_utf8(p, n) ? py.PyUnicode_DecodeUTF8((const char *)p, (Py_ssize_t)n, NULL)
                           : py.PyBytes_FromStringAndSize((const char *)p, (Py_ssize_t)n);
}

/* Short texts that came as an atom or as a key of a map are likely to come again: the last one of each slot is kept. */
enum { NAME_SLOTS = 512, NAME_MAX = 31 };
static struct {
    PyObject *text; /* owned, never released but for another */
    uint8_t size, bytes[NAME_MAX];
} names[NAME_SLOTS];

static size_t slot_of(const uint8_t *p, size_t n) {
    uint64_t head = 0, tail = 0;
    if (n >= 8) {
        memcpy(&head, p, 8);
        memcpy(&tail, p + n - 8, 8);
    } else {
        for (size_t i = 0; i < n; i++) head = head << 8 | p[i];
    }
    return (head * 0x9E3779B97F4A7C15u ^ (tail + n) * 0xC2B2AE3D27D4EB4Fu) >> 55;
}
_Static_assert(NAME_SLOTS == 1 << (64 - 55), "the slots that slot_of has");

PyObject *decode_name(const uint8_t *p, size_t n) {
    if (n > NAME_MAX) return decode_text(p, n);
    size_t i = slot_of(p, n);
    if (names[i].text != NULL && names[i].size == n && memcmp(names[i].bytes, p, n) == 0) return own(names[i].text);
    PyObject *o = decode_text(p, n);
    if (o != NULL && type_of(o) == py.PyUnicode_Type) {
        drop(names[i].text);
        names[i].text = own(o);
        names[i].size = (uint8_t)n;
        memcpy(names[i].bytes, p, n);
    }
    return o;
}
