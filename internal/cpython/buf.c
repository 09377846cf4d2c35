/* The growing buffer that frames are written into. Only growing and plain bytes need no GIL. */
#include <stdlib.h>
#include <string.h>

#include "convert.h"
#include "errors.h"

convert_limits limits = {.max_frame = 64 << 20, .max_depth = 1000};

int erlpy_buf_grow(erlpy_buf *b, size_t size) {
    if (size <= b->cap) return 0;
    size_t cap = b->cap ? b->cap : 4096;
    while (cap < size) cap *= 2;
    uint8_t *p = realloc(b->p, cap);
    if (p == NULL) return -1;
    b->p = p;
    b->cap = cap;
    return 0;
}

/* Room for n more bytes, within the limit of a frame. */
static int reserve(erlpy_buf *b, size_t n) {
    if (b->cap - b->len >= n) return 0;
    /* The length field of a frame counts all but its own four bytes. */
    if (b->len + n > limits.max_frame + 4) {
        raise_error(py.PyExc_ValueError, "the frame would exceed max_frame (%zu bytes)", limits.max_frame);
        return -1;
    }
    if (erlpy_buf_grow(b, b->len + n) < 0) {
        py.PyErr_NoMemory();
        return -1;
    }
    return 0;
}

int put_raw(erlpy_buf *b, const void *p, size_t n) {
    if (reserve(b, n) < 0) return -1;
    memcpy(b->p + b->len, p, n);
    b->len += n;
    return 0;
}

int put_u8(erlpy_buf *b, uint8_t v) {
    if (reserve(b, 1) < 0) return -1;
    b->p[b->len++] = v;
    return 0;
}

int put_tag32(erlpy_buf *b, uint8_t tag, uint32_t v) {
    uint8_t head[5] = {tag, (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    return put_raw(b, head, sizeof head);
}

int put_atom(erlpy_buf *b, const char *name) {
    size_t n = strlen(name);
    if (put_u8(b, T_SMALL_ATOM_UTF8) < 0 || put_u8(b, (uint8_t)n) < 0) return -1;
    return put_raw(b, name, n);
}

int put_binary(erlpy_buf *b, const char *p, size_t n) {
    if (n > UINT32_MAX) n = limits.max_frame + 5; /* refused by the limit, below */
    if (n > limits.max_frame) {
        raise_error(py.PyExc_ValueError, "the frame would exceed max_frame (%zu bytes)", limits.max_frame);
        return -1;
    }
    if (put_tag32(b, T_BINARY, (uint32_t)n) < 0) return -1;
    return put_raw(b, p, n);
}
