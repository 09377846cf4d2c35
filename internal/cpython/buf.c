/* The growing buffer that frames are written into. Only growing needs no GIL. */
#define _GNU_SOURCE
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "convert.h"
#include "errors.h"

convert_limits limits = {.max_frame = 64 << 20, .max_depth = 1000};

enum { PAGE = 4096, HUGE_PAGE = 2 << 20 };

/* A buffer that nobody uses, for the next large frame of any thread: to fill memory that is new to the process costs more than all else that is
 * done with a frame. Its size stands at its beginning. */
static _Atomic(uint8_t *) spare;
enum { SPARE_MAX = 4 << 20 };

static size_t size_of(const uint8_t *p) {
    size_t size = 0;
    if (p != NULL) memcpy(&size, p, sizeof size);
    return size;
}

static void put_by(uint8_t *p, size_t size) {
    memcpy(p, &size, sizeof size);
    free(atomic_exchange(&spare, p));
}

/* The spare buffer in place of b's, if there is one of that size. */
static int use_spare(erlpy_buf *b, size_t size) {
    uint8_t *p = atomic_exchange(&spare, NULL);
    size_t cap = size_of(p);
    if (cap < size) {
        if (p != NULL) put_by(p, cap);
        return 0;
    }
    if (b->p != NULL) memcpy(p, b->p, b->cap);
    free(b->p);
    b->p = p;
    b->cap = cap;
    return 1;
}

/* Memory for a buffer that is too large to be put by: of few, large pages, where the system has them. */
static uint8_t *huge(erlpy_buf *b, size_t cap) {
    uint8_t *p = aligned_alloc(HUGE_PAGE, cap);
    if (p == NULL) return NULL;
#ifdef MADV_HUGEPAGE
    madvise(p, cap, MADV_HUGEPAGE); /* advice: it is well without */
#endif
    if (b->p != NULL) memcpy(p, b->p, b->cap);
    free(b->p);
    return p;
}

static size_t whole(size_t size, size_t page) { return (size + page - 1) / page * page; }

int erlpy_buf_grow(erlpy_buf *b, size_t size) {
    if (size <= b->cap) return 0;
    if (size > ERLPY_FRAME_KEEP && size <= SPARE_MAX && use_spare(b, size)) return 0;
    size_t cap = whole(size, size > SPARE_MAX ? HUGE_PAGE : PAGE);
    uint8_t *p = size > SPARE_MAX ? huge(b, cap) : realloc(b->p, cap);
    if (p == NULL) return -1;
    b->p = p;
    b->cap = cap;
    return 0;
}

void erlpy_buf_trim(erlpy_buf *b) {
    if (b->cap <= ERLPY_FRAME_KEEP) return;
    if (b->cap <= SPARE_MAX)
        put_by(b->p, b->cap);
    else
        free(b->p);
    b->p = NULL;
    b->len = b->cap = b->room = 0;
}

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* How large a frame may get; the limit does not count its length field. The first page is always there, for the words that say so. */
static size_t most(void) { return limits.max_frame > PAGE ? smaller(limits.max_frame, UINT32_MAX) + 4 : PAGE; }

static int too_large(void) {
    raise_error(py.PyExc_ValueError, "the frame would exceed max_frame (%zu bytes)", limits.max_frame);
    return -1;
}

/* What the frame's own bytes may come to. */
static size_t own_most(const erlpy_buf *b) {
    size_t parts = b->parts == NULL ? 0 : b->parts->bytes;
    return most() > parts ? most() - parts : 0;
}

int buf_begin(erlpy_buf *b) {
    parts_drop(b);
    b->len = 0;
    b->room = smaller(b->cap, most());
    b->apart = 0;
    static const uint8_t header[ERLPY_HEADER];
    return put_raw(b, header, sizeof header);
}

int buf_fits(const erlpy_buf *b, size_t n) { return n <= own_most(b) && b->len <= own_most(b) - n ? 0 : too_large(); }

int buf_more(erlpy_buf *b, size_t n) {
    if (buf_fits(b, n) < 0) return -1;
    size_t size = b->len + n;
    /* Twice as large each time, so that many small values are not copied over and over; but never beyond the limit. */
    if (size > b->cap && erlpy_buf_grow(b, size < 2 * b->cap ? smaller(2 * b->cap, most()) : size) < 0) {
        py.PyErr_NoMemory();
        return -1;
    }
    b->room = smaller(b->cap, own_most(b));
    return 0;
}

int put_atom(erlpy_buf *b, const char *name) {
    size_t n = strlen(name);
    uint8_t head[2] = {T_SMALL_ATOM_UTF8, (uint8_t)n};
    return put_raw(b, head, sizeof head) < 0 ? -1 : put_raw(b, name, n);
}

int put_long_binary(erlpy_buf *b, const char *p, size_t n) {
    if (buf_fits(b, 5 + n) < 0) return -1;
    return put_tag32(b, T_BINARY, (uint32_t)n) < 0 ? -1 : put_raw(b, p, n);
}
