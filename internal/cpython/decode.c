/* Terms -> Python objects. Like encode.c, on a stack of its own; every length is checked against what is left before anything
 * is made from it. Everything here needs the GIL. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "convert.h"
#include "errors.h"
#include "refs.h"

enum { LIST, TUPLE, DICT };

/* A container that is being filled. */
typedef struct {
    PyObject *obj; /* owned */
    PyObject *key; /* owned: a dict's key that waits for its value */
    uint32_t next, size;
    int kind;
    const uint8_t *start; /* the container's tag: where to begin again when it turns out to have no Python type */
} level;

typedef struct {
    const uint8_t *p, *end, *begin;
    level *stack;
    size_t depth, cap;
    int entered; /* with a NULL for a value: a container was begun. Without: an exception is set */
    level inline_stack[8];
} decoder;

static PyObject *malformed(decoder *d) {
    return raise_term("bad_term", "malformed term at byte %zu", (size_t)(d->p - d->begin));
}

static size_t left(decoder *d) { return (size_t)(d->end - d->p); }

/* Passes over a term from start on and keeps its bytes as they are. */
static PyObject *opaque(decoder *d, const uint8_t *start, int kind) {
    const uint8_t *stop = scan_term(start, d->end);
    if (stop == NULL) return malformed(d);
    d->p = stop;
    if (hooks.wrap == NULL) return raise_error(py.PyExc_ValueError, "opaque terms need the module erlang");
    PyObject *args = py.PyTuple_New(2), *result = NULL;
    PyObject *number = py.PyLong_FromLongLong(kind);
    PyObject *etf = py.PyBytes_FromStringAndSize((const char *)start, stop - start);
    if (args != NULL && number != NULL && etf != NULL) {
        py.PyTuple_SetItem(args, 0, own(number));
        py.PyTuple_SetItem(args, 1, own(etf));
        result = py.PyObject_CallObject(hooks.wrap, args);
    }
    drop(args);
    drop(number);
    drop(etf);
    return result;
}

#define IS(p, word) (memcmp(p, word, sizeof word - 1) == 0)

/* The words that are values of Python's own, or NULL. */
static PyObject *constant(const uint8_t *p, size_t n) {
    switch (n) {
    case 3: return IS(p, "nil") ? py._Py_NoneStruct : NULL;
    case 4: return IS(p, "true") ? py._Py_TrueStruct : IS(p, "none") ? py._Py_NoneStruct : NULL;
    case 5: return IS(p, "false") ? py._Py_FalseStruct : NULL;
    case 9: return IS(p, "undefined") ? py._Py_NoneStruct : NULL;
    default: return NULL;
    }
}

static PyObject *decode_atom(decoder *d) {
    const uint8_t *text;
    size_t n;
    int utf8;
    const uint8_t *stop = scan_atom(d->p, d->end, &text, &n, &utf8);
    if (stop == NULL) return malformed(d);
    PyObject *o = constant(text, n);
    if (o != NULL) own(o);
    else if (!utf8) o = py.PyUnicode_DecodeLatin1((const char *)text, (Py_ssize_t)n, NULL);
    else if (!scan_utf8(text, n)) o = py.PyUnicode_DecodeUTF8((const char *)text, (Py_ssize_t)n, NULL); /* raises */
    else o = decode_name(text, n);
    if (o != NULL) d->p = stop;
    return o;
}

static PyObject *decode_float(decoder *d) {
    uint64_t bits = (uint64_t)get_u32(d->p) << 32 | get_u32(d->p + 4);
    double v;
    memcpy(&v, &bits, sizeof v);
    if (!isfinite(v)) return malformed(d); /* Erlang has none, and refuses them too */
    d->p += 8;
    return py.PyFloat_FromDouble(v);
}

/* FLOAT_EXT, the text form that nodes before R11 wrote: 31 bytes, padded with zeros. */
static PyObject *decode_old_float(decoder *d) {
    char text[32] = {0}, *stop;
    memcpy(text, d->p, 31);
    double v = strtod(text, &stop);
    if (stop == text || *stop != 0 || !isfinite(v)) return malformed(d);
    d->p += 31;
    return py.PyFloat_FromDouble(v);
}

/* STRING_EXT is a list of small integers that the sender packed. */
static PyObject *decode_string(decoder *d) {
    if (left(d) < 2 || left(d) - 2 < get_u16(d->p)) return malformed(d);
    uint32_t n = get_u16(d->p);
    d->p += 2;
    PyObject *list = py.PyList_New((Py_ssize_t)n);
    for (uint32_t i = 0; list != NULL && i < n; i++) {
        PyObject *v = py.PyLong_FromLongLong(*d->p++);
        if (v == NULL) {
            drop(list);
            return NULL;
        }
        py.PyList_SetItem(list, (Py_ssize_t)i, v);
    }
    return list;
}

/* {bytes, Bin}: how Erlang says that a binary is bytes even though it may be UTF-8. NULL without an exception: it is not that. */
static PyObject *tagged_bytes(decoder *d) {
    const uint8_t *text;
    size_t len;
    int utf8;
    const uint8_t *p = scan_atom(d->p, d->end, &text, &len, &utf8);
    if (p == NULL || len != 5 || !IS(text, "bytes") || d->end - p < 5 || *p != T_BINARY) return NULL;
    size_t n = get_u32(p + 1);
    p += 5;
    if ((size_t)(d->end - p) < n) return NULL;
    d->p = p + n;
    return py.PyBytes_FromStringAndSize((const char *)p, (Py_ssize_t)n);
}

/* Begins a container of n elements. The object comes back at once when it is empty; otherwise NULL, and it is on the stack. */
static PyObject *enter(decoder *d, int kind, uint32_t n, const uint8_t *start) {
    if (left(d) < (uint64_t)n * (kind == DICT ? 2 : 1)) return malformed(d);
    if (n > 0 && d->depth >= limits.max_depth)
        return raise_term("limit", "nested deeper than max_depth (%zu)", limits.max_depth);
    PyObject *o = kind == LIST ? py.PyList_New((Py_ssize_t)n) : kind == TUPLE ? py.PyTuple_New((Py_ssize_t)n) : py.PyDict_New();
    if (o == NULL || (n == 0 && kind != LIST)) return o;
    if (d->depth == d->cap) {
        size_t cap = d->cap * 4;
        int first = d->stack == d->inline_stack;
        level *bigger = first ? malloc(cap * sizeof *bigger) : realloc(d->stack, cap * sizeof *bigger);
        if (bigger == NULL) {
            drop(o);
            return py.PyErr_NoMemory();
        }
        if (first) memcpy(bigger, d->inline_stack, sizeof d->inline_stack);
        d->stack = bigger;
        d->cap = cap;
    }
    d->stack[d->depth++] = (level){.obj = o, .size = n, .kind = kind, .start = start};
    d->entered = 1;
    return NULL;
}

#define NEED(n) \
    if (left(d) < (size_t)(n)) return malformed(d)

/* One value, or NULL: see entered. */
static PyObject *decode_value(decoder *d) {
    NEED(1);
    const uint8_t *start = d->p;
    uint32_t n;
    PyObject *o;
    switch (*d->p++) {
    case T_SMALL_INT: NEED(1); return py.PyLong_FromLongLong(*d->p++);
    case T_INT: NEED(4); d->p += 4; return py.PyLong_FromLongLong((int32_t)get_u32(d->p - 4));
    case T_NEW_FLOAT: NEED(8); return decode_float(d);
    case T_FLOAT: NEED(31); return decode_old_float(d);
    case T_ATOM: case T_ATOM_UTF8: case T_SMALL_ATOM: case T_SMALL_ATOM_UTF8: d->p--; return decode_atom(d);
    case T_BINARY:
        NEED(4);
        n = get_u32(d->p);
        d->p += 4;
        NEED(n);
        d->p += n;
        return decode_text(d->p - n, n);
    case T_SMALL_BIG:
        NEED(2);
        n = d->p[0];
        NEED(2 + (size_t)n);
        d->p += 2 + n;
        return decode_bigint(d->p - n, n, d->p[-(int64_t)n - 1]);
    case T_LARGE_BIG:
        NEED(5);
        n = get_u32(d->p);
        NEED(5 + (size_t)n);
        d->p += 5 + (size_t)n;
        return decode_bigint(d->p - n, n, d->p[-(int64_t)n - 1]);
    case T_NIL: return py.PyList_New(0);
    case T_STRING: return decode_string(d);
    case T_SMALL_TUPLE:
        NEED(1);
        n = *d->p++;
        if (n == 2 && (o = tagged_bytes(d)) != NULL) return o;
        return py.PyErr_Occurred() ? NULL : enter(d, TUPLE, n, start);
    case T_LARGE_TUPLE: NEED(4); d->p += 4; return enter(d, TUPLE, get_u32(d->p - 4), start);
    case T_LIST: NEED(4); d->p += 4; return enter(d, LIST, get_u32(d->p - 4), start);
    case T_MAP: NEED(4); d->p += 4; return enter(d, DICT, get_u32(d->p - 4), start);
    case T_PID: case T_NEW_PID: return opaque(d, start, WRAP_PID);
    case T_REF: case T_NEW_REF: case T_NEWER_REF: return opaque(d, start, WRAP_REF);
    case T_PORT: case T_NEW_PORT: case T_V4_PORT: case T_BIT_BINARY: case T_NEW_FUN: case T_EXPORT: return opaque(d, start, WRAP_TERM);
    default: d->p--; return malformed(d);
    }
}

static void discard(decoder *d) {
    level *l = &d->stack[--d->depth];
    drop(l->obj);
    drop(l->key);
}

/* The innermost container has no Python type: it becomes a Term, the same bytes. */
static PyObject *as_term(decoder *d) {
    const uint8_t *start = d->stack[d->depth - 1].start;
    discard(d);
    return opaque(d, start, WRAP_TERM);
}

/* decode_value, with the commonest of all written out. */
static inline PyObject *next_value(decoder *d) {
    const uint8_t *p = d->p;
    if (left(d) >= 5) {
        if (*p == T_SMALL_INT) {
            d->p += 2;
            return py.PyLong_FromLongLong(p[1]);
        }
        if (*p == T_INT) {
            d->p += 5;
            return py.PyLong_FromLongLong((int32_t)get_u32(p + 1));
        }
    }
    return decode_value(d);
}

/* A dict's key: likely to be a text that has been one before. */
static PyObject *next_key(decoder *d) {
    const uint8_t *p = d->p;
    if (left(d) >= 5 && *p == T_BINARY) {
        size_t n = get_u32(p + 1);
        if (n <= left(d) - 5) {
            d->p += 5 + n;
            return decode_name(p + 5, n);
        }
    }
    return next_value(d);
}

/* Puts o (taken over) under the key that waits. 0; or -1: it cannot be, see not_a_dict. */
static int put_pair(level *l, PyObject *o) {
    int bad = py.PyDict_SetItem(l->obj, l->key, o);
    drop(o);
    if (bad < 0) return -1;
    drop(l->key);
    l->key = NULL;
    l->next++;
    return 0;
}

/* A list or a dict as a key: Erlang may, Python may not. */
static PyObject *not_a_dict(decoder *d) {
    if (!py.PyErr_ExceptionMatches(py.PyExc_TypeError)) return NULL;
    py.PyErr_Clear();
    return as_term(d);
}

static PyObject *done(decoder *d) { return d->stack[--d->depth].obj; }

/* The three that follow read values into the innermost container, until it is complete: then it comes back; or until one of them is a
 * container itself. NULL as in decode_value. */

static PyObject *fill_list(decoder *d, level *l) {
    while (l->next < l->size) {
        PyObject *o = next_value(d);
        if (o == NULL || py.PyList_SetItem(l->obj, (Py_ssize_t)l->next++, o) < 0) return NULL;
    }
    if (left(d) == 0) return malformed(d);
    if (*d->p == T_NIL) {
        d->p++;
        return done(d);
    }
    if (l->size > 0) return as_term(d); /* an improper list */
    discard(d); /* LIST_EXT of no elements is its tail */
    return decode_value(d);
}

static PyObject *fill_tuple(decoder *d, level *l) {
    while (l->next < l->size) {
        PyObject *o = next_value(d);
        if (o == NULL || py.PyTuple_SetItem(l->obj, (Py_ssize_t)l->next++, o) < 0) return NULL;
    }
    return done(d);
}

static PyObject *fill_dict(decoder *d, level *l) {
    while (l->next < l->size) {
        if (l->key == NULL && (l->key = next_key(d)) == NULL) return NULL;
        PyObject *o = next_value(d);
        if (o == NULL) return NULL;
        if (put_pair(l, o) < 0) return not_a_dict(d);
    }
    /* Keys that differ in Erlang and are equal in Python, 1 and 1.0: a dict would lose one. */
    return (uint32_t)py.PyDict_Size(l->obj) == l->size ? done(d) : as_term(d);
}

static PyObject *fill(decoder *d) {
    level *l = &d->stack[d->depth - 1];
    switch (l->kind) {
    case LIST: return fill_list(d, l);
    case TUPLE: return fill_tuple(d, l);
    default: return fill_dict(d, l);
    }
}

/* Puts o (taken over), a complete container, into the innermost one. As put_pair; fails with a
 * SystemError too, if other code has got hold of that container by way of gc.get_objects(). */
static int put(decoder *d, PyObject *o) {
    level *l = &d->stack[d->depth - 1];
    switch (l->kind) {
    case LIST: return py.PyList_SetItem(l->obj, (Py_ssize_t)l->next++, o);
    case TUPLE: return py.PyTuple_SetItem(l->obj, (Py_ssize_t)l->next++, o);
    default:
        if (l->key != NULL) return put_pair(l, o);
        l->key = o;
        return 0;
    }
}

static PyObject *decode_term(decoder *d) {
    PyObject *o = decode_value(d);
    for (;;) {
        if (o != NULL) {
            if (d->depth == 0) return o;
            o = put(d, o) < 0 ? not_a_dict(d) : fill(d);
        } else if (d->entered) {
            d->entered = 0;
            o = fill(d);
        } else {
            return NULL;
        }
    }
}

/* The stack is not cleared: most of it is never used. */
PyObject *decode_payload(const uint8_t *p, size_t n) {
    decoder d;
    d.p = d.begin = p;
    d.end = p + n;
    d.stack = d.inline_stack;
    d.depth = 0;
    d.cap = sizeof d.inline_stack / sizeof d.inline_stack[0];
    d.entered = 0;
    PyObject *o = NULL;
    if (n < 2 || *p != T_VERSION) {
        malformed(&d);
    } else {
        d.p++;
        o = decode_term(&d);
    }
    if (o != NULL && d.p != d.end) {
        drop(o);
        o = malformed(&d);
    }
    while (d.depth > 0) discard(&d);
    if (d.stack != d.inline_stack) free(d.stack);
    return o;
}
