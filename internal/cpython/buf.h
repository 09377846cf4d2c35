/* Writing into the buffer of a frame. Everything here needs the GIL, and returns 0, or -1 with a Python exception set. */
#ifndef ERLPY_BUF_H
#define ERLPY_BUF_H

#include <string.h>

#include "pyapi.h"
#include "shim.h"

/* Makes b an empty frame: nothing but room for the header. */
int buf_begin(erlpy_buf *b);

/* Lets large binaries be parts of the frame, and not be copied. Only for frames whose reader in Go asks for them. */
static inline void buf_part(erlpy_buf *b) { b->apart = 1; }

/* Whether n more bytes are within the limit of a frame. */
int buf_fits(const erlpy_buf *b, size_t n);

/* Makes room for n more bytes, within that limit. */
int buf_more(erlpy_buf *b, size_t n);

static inline int put_raw(erlpy_buf *b, const void *p, size_t n) {
    if (b->room - b->len < n && buf_more(b, n) < 0) return -1;
    memcpy(b->p + b->len, p, n);
    b->len += n;
    return 0;
}

static inline int put_u8(erlpy_buf *b, uint8_t v) { return put_raw(b, &v, 1); }

/* A tag and a big-endian length. */
static inline int put_tag32(erlpy_buf *b, uint8_t tag, uint32_t v) {
    uint8_t head[5] = {tag, (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    return put_raw(b, head, sizeof head);
}

int put_atom(erlpy_buf *b, const char *name);
int put_long_binary(erlpy_buf *b, const char *p, size_t n);

static inline int put_binary(erlpy_buf *b, const char *p, size_t n) {
    if (n > 4096 || b->room - b->len < 5 + n) return put_long_binary(b, p, n);
    uint8_t *to = b->p + b->len;
    to[0] = 109, to[1] = 0, to[2] = 0, to[3] = (uint8_t)(n >> 8), to[4] = (uint8_t)n;
    memcpy(to + 5, p, n);
    b->len += 5 + n;
    return 0;
}

/* From this size on a binary is better not copied. */
enum { PART_MIN = 16 << 10 };

/* Writes a binary as a part. p is owner's memory, and owner will not change it. */
int put_part(erlpy_buf *b, const void *p, size_t n, PyObject *owner);

/* Drops what the parts hold. Without the GIL they can only be freed: see thread_end. */
void parts_drop_all(erlpy_buf *b);
static inline void parts_drop(erlpy_buf *b) {
    if (b->parts != NULL) parts_drop_all(b);
}

#endif
