/* Python objects <-> the external term format (https://www.erlang.org/doc/apps/erts/erl_ext_dist.html). */
#ifndef ERLPY_CONVERT_H
#define ERLPY_CONVERT_H

#include "buf.h"
#include "pyapi.h"
#include "shim.h"

/* Tags of the format. */
enum {
    T_VERSION = 131,
    T_NEW_FLOAT = 70,
    T_BIT_BINARY = 77,
    T_NEW_PID = 88,
    T_NEW_PORT = 89,
    T_NEWER_REF = 90,
    T_SMALL_INT = 97,
    T_INT = 98,
    T_FLOAT = 99,
    T_ATOM = 100,
    T_REF = 101,
    T_PORT = 102,
    T_PID = 103,
    T_SMALL_TUPLE = 104,
    T_LARGE_TUPLE = 105,
    T_NIL = 106,
    T_STRING = 107,
    T_LIST = 108,
    T_BINARY = 109,
    T_SMALL_BIG = 110,
    T_LARGE_BIG = 111,
    T_NEW_FUN = 112,
    T_EXPORT = 113,
    T_NEW_REF = 114,
    T_SMALL_ATOM = 115,
    T_MAP = 116,
    T_ATOM_UTF8 = 118,
    T_SMALL_ATOM_UTF8 = 119,
    T_V4_PORT = 120,
};

/* How deep a term may nest, and how large a frame may get. */
typedef struct {
    size_t max_frame;
    size_t max_depth;
} convert_limits;
extern convert_limits limits;

/* What the pure-Python half gave the shim with _erlang.install: owned references, never released. */
typedef struct {
    PyObject *opaque[4]; /* the classes Atom, Pid, Ref, Term */
    PyObject *wrap;      /* wrap(kind, etf) -> Pid, Ref or Term */
    PyObject *convert;   /* convert(obj) -> something the shim knows */
    PyObject *failure;   /* failure(payload) -> exception */
    PyObject *dispatch;  /* dispatch(target, args) -> result */
    PyObject *describe;  /* describe(exc) -> payload */
    PyObject *tick;      /* tick(): nothing; running it is what lets asynchronous exceptions act */
} convert_hooks;
extern convert_hooks hooks;
enum { WRAP_PID, WRAP_REF, WRAP_TERM };

/* The tools below need the GIL and return 0, or -1 with a Python exception set. */

/* Appends one term, without the version byte. where names the object in an error: "result", "value". */
int encode_term(erlpy_buf *b, PyObject *o, const char *where);
/* The same for the i-th argument of a call. */
int encode_argument(erlpy_buf *b, PyObject *o, Py_ssize_t i);

/* The object of a whole payload, version byte included; a new reference, or NULL with an exception set. */
PyObject *decode_payload(const uint8_t *p, size_t n);

/* Big integers, as magnitudes in little-endian order (bigint.c). */
int encode_bigint(erlpy_buf *b, PyObject *o);
PyObject *decode_bigint(const uint8_t *p, size_t n, int negative);

/* The str of n bytes when they are UTF-8, else bytes (text.c). decode_name is for texts that are likely to come again. */
PyObject *decode_text(const uint8_t *p, size_t n);
PyObject *decode_name(const uint8_t *p, size_t n);

/* The end of the term at p, or NULL when it is malformed or runs past end. No GIL, no recursion (scan.c). */
const uint8_t *scan_term(const uint8_t *p, const uint8_t *end);
/* The end of the atom at p, with its text; or NULL when there is none. */
const uint8_t *scan_atom(const uint8_t *p, const uint8_t *end, const uint8_t **text, size_t *len, int *utf8);
/* Whether n bytes are UTF-8, as strict as Python is. No GIL. */
int scan_utf8(const uint8_t *p, size_t n);

static inline uint32_t get_u16(const uint8_t *p) { return (uint32_t)p[0] << 8 | p[1]; }
static inline uint32_t get_u32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

#endif
