/* Python objects -> terms. Containers are kept on a stack of our own, not on C's: a thread may have a small one, and the stack
 * knows, when something cannot be converted, where in the arguments it stood. Everything here needs the GIL. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convert.h"
#include "errors.h"
#include "refs.h"

enum { LIST, TUPLE, DICT };

/* A container whose elements are being written. */
typedef struct {
    PyObject *obj;   /* owned */
    PyObject *key;   /* owned: a dict's current key, when it or its value is more than a scalar, or has failed. For the path in an error */
    PyObject *value; /* owned, waits until its key has been written */
    PyObject **pairs; /* owned: a dict's keys and values, see keep_dicts; else NULL */
    Py_ssize_t next;  /* index, or position of PyDict_Next */
    Py_ssize_t size;  /* a tuple's, or the number of pairs */
    size_t count_at;  /* where the element count stands in the buffer */
    int kind;
} level;

typedef struct {
    erlpy_buf *buf;
    level *stack;
    size_t depth, cap;
    size_t kept; /* the number of outermost levels with their pairs kept, see keep_dicts */
    level inline_stack[8];
} encoder;

/* What became of a value. Anything but FAILED is fine. */
enum { FAILED = -1, WRITTEN, OTHER };

static int push(encoder *e, PyObject *obj, int kind, Py_ssize_t size) {
    if (e->depth >= limits.max_depth) {
        raise_error(py.PyExc_ValueError, "nested deeper than max_depth (%zu)", limits.max_depth);
        return -1;
    }
    if (e->depth == e->cap) {
        size_t cap = e->cap * 4;
        level *bigger = e->stack == e->inline_stack ? malloc(cap * sizeof *bigger) : realloc(e->stack, cap * sizeof *bigger);
        if (bigger == NULL) {
            py.PyErr_NoMemory();
            return -1;
        }
        if (e->stack == e->inline_stack) memcpy(bigger, e->inline_stack, sizeof e->inline_stack);
        e->stack = bigger;
        e->cap = cap;
    }
    e->stack[e->depth++] = (level){.obj = own(obj), .kind = kind, .size = size, .count_at = e->buf->len + 1};
    return 0;
}

static void drop_pairs(level *l) {
    for (Py_ssize_t i = 0; i < 2 * l->size; i++) drop(l->pairs[i]);
    free(l->pairs);
}

static void pop(encoder *e) {
    level *l = &e->stack[--e->depth];
    if (e->kept > e->depth) e->kept = e->depth;
    drop(l->obj);
    drop(l->key);
    drop(l->value);
    if (l->pairs != NULL) drop_pairs(l);
}

/* The element count is known for sure only at the end: a conversion may run Python code that changes the list. */
static void patch_count(encoder *e, size_t at, uint32_t n) {
    uint8_t *p = e->buf->p + at;
    p[0] = (uint8_t)(n >> 24), p[1] = (uint8_t)(n >> 16), p[2] = (uint8_t)(n >> 8), p[3] = (uint8_t)n;
}

/* Room for a few bytes: in the buffer when it has that much, else in spare. written() makes them part of the frame. */
static inline uint8_t *room(erlpy_buf *b, uint8_t spare[16]) { return b->room - b->len >= 16 ? b->p + b->len : spare; }

static inline int written(erlpy_buf *b, const uint8_t *p, size_t n) {
    if (p != b->p + b->len) return put_raw(b, p, n);
    b->len += n;
    return WRITTEN;
}

/* OTHER: it has more than 64 bits. */
static inline int put_int(erlpy_buf *b, PyObject *o) {
    int overflow;
    long long v = py.PyLong_AsLongLongAndOverflow(o, &overflow);
    if (overflow != 0) return OTHER;
    if (v == -1 && py.PyErr_Occurred()) return FAILED;
    uint8_t spare[16], *p = room(b, spare);
    if (v >= 0 && v <= 255) {
        p[0] = T_SMALL_INT, p[1] = (uint8_t)v;
        return written(b, p, 2);
    }
    if (v >= INT32_MIN && v <= INT32_MAX) {
        p[0] = T_INT, p[1] = (uint8_t)(v >> 24), p[2] = (uint8_t)(v >> 16), p[3] = (uint8_t)(v >> 8), p[4] = (uint8_t)v;
        return written(b, p, 5);
    }
    uint8_t n = 0;
    for (uint64_t magnitude = v < 0 ? -(uint64_t)v : (uint64_t)v; magnitude != 0; magnitude >>= 8) p[3 + n++] = (uint8_t)magnitude;
    p[0] = T_SMALL_BIG, p[1] = n, p[2] = v < 0;
    return written(b, p, 3 + n);
}

/* An atom: its length as a literal, and its name. */
#define PUT_WORD(b, length, name) put_raw(b, "w" length name, sizeof("w" length name) - 1)
_Static_assert(T_SMALL_ATOM_UTF8 == 'w', "the tag in PUT_WORD");

static int put_float(erlpy_buf *b, PyObject *o) {
    double v = py.PyFloat_AsDouble(o);
    if (v == -1.0 && py.PyErr_Occurred()) return FAILED;
    if (isnan(v)) return PUT_WORD(b, "\x03", "nan");
    if (isinf(v)) return v > 0 ? PUT_WORD(b, "\x08", "infinity") : PUT_WORD(b, "\x0c", "neg_infinity");
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    uint8_t spare[16], *p = room(b, spare);
    p[0] = T_NEW_FLOAT;
    for (int i = 0; i < 8; i++) p[1 + i] = (uint8_t)(bits >> (56 - 8 * i));
    return written(b, p, 9);
}

/* 1 when o, a str, is all ASCII: then its memory is UTF-8 as it is. Asked by the class, since a subclass may answer anything. */
static int is_ascii(PyObject *o) {
    PyObject *answer = call_method(py.PyUnicode_Type, "isascii", pack(1, own(o), NULL, NULL));
    drop(answer);
    return answer == py._Py_TrueStruct;
}

static int bad_text(void) {
    if (py.PyErr_ExceptionMatches(py.PyExc_UnicodeEncodeError)) {
        py.PyErr_Clear();
        raise_error(py.PyExc_TypeError, "str with a lone surrogate has no Erlang term");
    }
    return FAILED;
}

static int put_bytes(erlpy_buf *b, PyObject *o) {
    char *p;
    Py_ssize_t n;
    if (py.PyBytes_AsStringAndSize(o, &p, &n) < 0) return FAILED;
    return n >= PART_MIN && b->apart ? put_part(b, p, (size_t)n, o) : put_binary(b, p, (size_t)n);
}

/* OTHER: it is long. */
static int put_str(erlpy_buf *b, PyObject *o) {
    if (b->apart && py.PyUnicode_GetLength(o) >= PART_MIN) return OTHER;
    Py_ssize_t n;
    const char *p = py.PyUnicode_AsUTF8AndSize(o, &n);
    return p == NULL ? bad_text() : put_binary(b, p, (size_t)n);
}

/* Text that is not ASCII has its UTF-8 made first. As an object of its own: Python keeps what PyUnicode_AsUTF8AndSize makes for as long as the
 * str lives. */
static int put_long_str(erlpy_buf *b, PyObject *o) {
    int ascii = is_ascii(o);
    if (!ascii && py.PyErr_Occurred()) return FAILED;
    if (!ascii) {
        PyObject *bytes = py.PyUnicode_AsUTF8String(o);
        if (bytes == NULL) return bad_text();
        int result = put_bytes(b, bytes);
        drop(bytes);
        return result;
    }
    Py_ssize_t n;
    const char *p = py.PyUnicode_AsUTF8AndSize(o, &n);
    return p == NULL ? FAILED : put_part(b, p, (size_t)n, o);
}

/* bytearray, memoryview: by way of a copy, since another thread may change them. */
static int put_buffer(erlpy_buf *b, PyObject *o) {
    PyObject *copy = py.PyBytes_FromObject(o);
    if (copy == NULL) return FAILED;
    int result = put_bytes(b, copy);
    drop(copy);
    return result;
}

static int put_opaque(erlpy_buf *b, PyObject *o) {
    PyObject *etf = py.PyObject_GetAttrString(o, "_etf");
    char *p;
    Py_ssize_t n;
    int result = -1;
    if (etf != NULL && py.PyBytes_AsStringAndSize(etf, &p, &n) == 0) result = put_raw(b, p, (size_t)n);
    drop(etf);
    return result;
}

static int enter_list(encoder *e, PyObject *o) {
    if (py.PyList_Size(o) == 0) return put_u8(e->buf, T_NIL);
    if (push(e, o, LIST, 0) < 0) return -1;
    return put_tag32(e->buf, T_LIST, 0);
}

static int enter_tuple(encoder *e, PyObject *o) {
    Py_ssize_t n = py.PyTuple_Size(o);
    if (push(e, o, TUPLE, n) < 0) return -1;
    if (n > 255) return put_tag32(e->buf, T_LARGE_TUPLE, (uint32_t)n);
    uint8_t head[2] = {T_SMALL_TUPLE, (uint8_t)n};
    return put_raw(e->buf, head, 2);
}

static int enter_dict(encoder *e, PyObject *o) {
    Py_ssize_t n = py.PyDict_Size(o);
    if (push(e, o, DICT, n) < 0) return -1;
    return put_tag32(e->buf, T_MAP, (uint32_t)n);
}

/* Keeps the unwritten pairs of a dict. */
static int keep_pairs(level *l) {
    PyObject **pairs = malloc((size_t)l->size * 2 * sizeof *pairs + 1), *key, *value;
    if (pairs == NULL) {
        py.PyErr_NoMemory();
        return -1;
    }
    Py_ssize_t n = 0;
    while (n < l->size && py.PyDict_Next(l->obj, &l->next, &key, &value)) {
        pairs[2 * n] = own(key);
        pairs[2 * n++ + 1] = own(value);
    }
    l->pairs = pairs;
    l->size = n;
    l->next = 0;
    return 0;
}

/* Keeps the pairs of all open dicts as they are now: 0, or -1 with an exception set. Comes before
 * anything able to run Python code: a conversion, a destructor, an allocation seen by the garbage
 * collector. PyDict_Next needs a dict without changes. Most dicts never meet such code, and a kept
 * one costs a reference per object; so none is kept earlier. */
static int keep_dicts(encoder *e) {
    for (; e->kept < e->depth; e->kept++) {
        level *l = &e->stack[e->kept];
        if (l->kind == DICT && keep_pairs(l) < 0) return -1;
    }
    return 0;
}

/* Writes o when it is one of the scalars that nearly all things are made of, else OTHER. No Python code runs before it is written, so with
 * the GIL a borrowed reference will do. */
static inline int put_scalar(erlpy_buf *b, PyObject *o, PyTypeObject *t) {
    if (t == py.PyLong_Type) return put_int(b, o);
    if (t == py.PyUnicode_Type) return put_str(b, o);
    if (o == py._Py_NoneStruct) return PUT_WORD(b, "\x04", "none");
    if (o == py._Py_TrueStruct) return PUT_WORD(b, "\x04", "true");
    if (o == py._Py_FalseStruct) return PUT_WORD(b, "\x05", "false");
    if (t == py.PyFloat_Type) return put_float(b, o);
    if (t == py.PyBytes_Type) return put_bytes(b, o);
    return OTHER;
}

static int encode_value(encoder *e, PyObject *o, int converted);

/* What put_scalar did not take: writes it, or enters a container. The exact types first. */
static int encode_other(encoder *e, PyObject *o, PyTypeObject *t, int converted) {
    erlpy_buf *b = e->buf;
    if (t == py.PyDict_Type) return enter_dict(e, o);
    if (t == py.PyList_Type) return enter_list(e, o);
    if (t == py.PyTuple_Type) return enter_tuple(e, o);
    for (int i = 0; i < 4; i++)
        if ((PyObject *)t == hooks.opaque[i]) return put_opaque(b, o);
    if (keep_dicts(e) < 0) return FAILED;

    unsigned long flags = py.PyType_GetFlags(t);
    if (flags & TPFLAGS_LONG) {
        int result = put_int(b, o);
        return result == OTHER ? encode_bigint(b, o) : result;
    }
    if (flags & TPFLAGS_STR) {
        int result = put_str(b, o);
        return result == OTHER ? put_long_str(b, o) : result;
    }
    if (flags & TPFLAGS_BYTES) return put_bytes(b, o);
    if (flags & TPFLAGS_LIST) return enter_list(e, o);
    if (flags & TPFLAGS_TUPLE) return enter_tuple(e, o);
    if (flags & TPFLAGS_DICT) return enter_dict(e, o);
    if (py.PyType_IsSubtype(t, py.PyFloat_Type)) return put_float(b, o);
    if (py.PyType_IsSubtype(t, py.PyByteArray_Type) || t == py.PyMemoryView_Type) return put_buffer(b, o);

    if (converted || hooks.convert == NULL) {
        raise_error(py.PyExc_TypeError, "a converted value has no Erlang term");
        return FAILED;
    }
    PyObject *args = py.PyTuple_New(1);
    if (args == NULL) return FAILED;
    py.PyTuple_SetItem(args, 0, own(o));
    PyObject *plain = py.PyObject_CallObject(hooks.convert, args);
    drop(args);
    if (plain == NULL) return FAILED;
    int result = encode_value(e, plain, 1);
    drop(plain);
    /* Once more: the destructor of o comes next, if this was its last reference, and may change
     * the dict made from it. */
    return result == FAILED || keep_dicts(e) < 0 ? FAILED : result;
}

/* Writes a value, or enters a container. */
static int encode_value(encoder *e, PyObject *o, int converted) {
    PyTypeObject *t = type_of(o);
    int result = put_scalar(e->buf, o, t);
    return result == OTHER ? encode_other(e, o, t, converted) : result;
}

static int encode_owned(encoder *e, PyObject *o) {
    int result = encode_value(e, o, 0);
    drop(o);
    return result;
}

/* The steps below write the elements of the innermost container one after the other, for as long as they are scalars. Whatever else was met
 * has been written or entered when they return; which may have moved the levels, and have run code that changed the container. */

static int list_step(encoder *e, level *l) {
    Py_ssize_t size = py.PyList_Size(l->obj);
    while (l->next < size) {
        PyObject *item = py.PyList_GetItem(l->obj, l->next);
        if (item == NULL) { /* it has shrunk */
            py.PyErr_Clear();
            break;
        }
        l->next++;
        PyTypeObject *t = type_of(item);
        int result = put_scalar(e->buf, item, t);
        if (result == OTHER) return encode_owned(e, own(item));
        if (result == FAILED) return FAILED;
    }
    patch_count(e, l->count_at, (uint32_t)l->next);
    pop(e);
    return put_u8(e->buf, T_NIL);
}

static int tuple_step(encoder *e, level *l) {
    while (l->next < l->size) {
        PyObject *item = py.PyTuple_GetItem(l->obj, l->next++); /* as long as the tuple lives */
        PyTypeObject *t = type_of(item);
        int result = put_scalar(e->buf, item, t);
        if (result == OTHER) return encode_other(e, item, t, 0);
        if (result == FAILED) return FAILED;
    }
    pop(e);
    return WRITTEN;
}

/* The next pair of a dict, borrowed; 0 after the last. */
static int next_pair(level *l, PyObject **key, PyObject **value) {
    if (l->pairs == NULL) return py.PyDict_Next(l->obj, &l->next, key, value);
    if (l->next == l->size) return 0;
    *key = l->pairs[2 * l->next];
    *value = l->pairs[2 * l->next++ + 1];
    return 1;
}

/* Keeps the pair that the dict stands at. */
static void remember(level *l, PyObject *key, PyObject *value) {
    l->key = own(key);
    l->value = own(value);
}

/* The same for one that could not be written, which may have run anything: the references are not good any more. */
static void remember_failed(level *l, Py_ssize_t at, int in_key) {
    PyObject *key, *value;
    l->next = at;
    if (!next_pair(l, &key, &value)) return;
    l->key = own(key);
    if (in_key) l->value = own(value);
}

static int dict_value(encoder *e, level *l) {
    PyObject *value = l->value;
    l->value = NULL;
    return encode_owned(e, value);
}

static int dict_step(encoder *e, level *l) {
    if (l->value != NULL) return dict_value(e, l);
    drop(l->key);
    l->key = NULL;
    for (;;) {
        PyObject *key, *value;
        Py_ssize_t at = l->next;
        if (!next_pair(l, &key, &value)) break;
        int result = put_scalar(e->buf, key, type_of(key));
        if (result == OTHER) {
            remember(l, key, value);
            return encode_value(e, l->key, 0);
        }
        if (result == WRITTEN) {
            result = put_scalar(e->buf, value, type_of(value));
            if (result == WRITTEN) continue;
            if (result == OTHER) {
                remember(l, key, value);
                return dict_value(e, l);
            }
            remember_failed(l, at, 0);
        } else {
            remember_failed(l, at, 1);
        }
        return FAILED;
    }
    pop(e);
    return WRITTEN;
}

/* Goes on with the innermost container, or leaves it. */
static int step(encoder *e) {
    level *l = &e->stack[e->depth - 1];
    switch (l->kind) {
    case LIST: return list_step(e, l);
    case TUPLE: return tuple_step(e, l);
    default: return dict_step(e, l);
    }
}

/* Puts the place before the message of a TypeError or ValueError: "args[1]['x']: set has no Erlang term". */
static void name_place(encoder *e, const char *where, Py_ssize_t index) {
    if (!py.PyErr_ExceptionMatches(py.PyExc_TypeError) && !py.PyErr_ExceptionMatches(py.PyExc_ValueError)) return;
    PyObject *exc = take_error();
    char path[400];
    size_t used = (size_t)(index < 0 ? snprintf(path, sizeof path, "%s", where) : snprintf(path, sizeof path, "%s[%zd]", where, index));
    for (size_t i = 0; i < e->depth && used < sizeof path; i++) {
        level *l = &e->stack[i];
        if (i == 12 && e->depth > 16) { /* deep: the outermost places are enough */
            snprintf(path + used, sizeof path - used, "...");
            break;
        }
        if (l->kind != DICT) {
            used += (size_t)snprintf(path + used, sizeof path - used, "[%zd]", l->next > 0 ? l->next - 1 : 0);
            continue;
        }
        PyObject *repr = l->key == NULL ? NULL : py.PyObject_Repr(l->key);
        const char *text = repr == NULL ? NULL : py.PyUnicode_AsUTF8AndSize(repr, NULL);
        py.PyErr_Clear();
        used += (size_t)snprintf(path + used, sizeof path - used, l->value == NULL ? "[%.60s]" : " key %.60s", text ? text : "?");
        drop(repr);
    }
    int is_value = py.PyType_IsSubtype(type_of(exc), (PyTypeObject *)py.PyExc_ValueError);
    PyObject *args = py.PyTuple_New(1);
    PyObject *str = NULL;
    if (args != NULL) {
        py.PyTuple_SetItem(args, 0, own(exc));
        str = py.PyObject_CallObject((PyObject *)py.PyUnicode_Type, args);
    }
    const char *text = str == NULL ? NULL : py.PyUnicode_AsUTF8AndSize(str, NULL);
    py.PyErr_Clear();
    raise_term(is_value ? "limit" : "type", "%s: %s", path, text ? text : "cannot be converted");
    drop(str);
    drop(args);
    drop(exc);
}

/* The stack is not cleared: most of it is never used. */
static int encode_on_stack(erlpy_buf *b, PyObject *o, PyTypeObject *t, const char *where, Py_ssize_t index) {
    encoder e;
    e.buf = b;
    e.stack = e.inline_stack;
    e.depth = e.kept = 0;
    e.cap = sizeof e.inline_stack / sizeof e.inline_stack[0];
    int result = encode_other(&e, o, t, 0);
    while (result != FAILED && e.depth > 0) result = step(&e);
    if (result == FAILED) name_place(&e, where, index);
    while (e.depth > 0) pop(&e);
    if (e.stack != e.inline_stack) free(e.stack);
    return result == FAILED ? -1 : 0;
}

static int encode_at(erlpy_buf *b, PyObject *o, const char *where, Py_ssize_t index) {
    PyTypeObject *t = type_of(o);
    int result = put_scalar(b, o, t);
    if (result == OTHER) return encode_on_stack(b, o, t, where, index);
    if (result == FAILED) name_place(&(encoder){.depth = 0}, where, index);
    return result;
}

int encode_term(erlpy_buf *b, PyObject *o, const char *where) { return encode_at(b, o, where, -1); }

int encode_argument(erlpy_buf *b, PyObject *o, Py_ssize_t i) { return encode_at(b, o, "args", i); }
