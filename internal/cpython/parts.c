/* Large binaries that are not copied into the frame. */
#include <stdlib.h>
#include <string.h>

#include "convert.h"
#include "refs.h"

int put_part(erlpy_buf *b, const void *p, size_t n, PyObject *owner) {
    if (buf_fits(b, 5 + n) < 0) return -1; /* with it, n is less than 32 bits can say */
    erlpy_parts *parts = b->parts;
    if (parts == NULL || parts->count == parts->cap) {
        size_t cap = parts == NULL ? 4 : 2 * parts->cap;
        erlpy_parts *bigger = realloc(parts, sizeof *parts + cap * sizeof parts->list[0]);
        if (bigger == NULL) {
            py.PyErr_NoMemory();
            return -1;
        }
        if (parts == NULL) *bigger = (erlpy_parts){0};
        bigger->cap = cap;
        b->parts = parts = bigger;
    }
    if (put_tag32(b, T_BINARY, (uint32_t)n) < 0) return -1;
    parts->list[parts->count++] = (erlpy_part){.at = b->len, .p = p, .n = n, .owner = own(owner)};
    parts->held = parts->count;
    parts->bytes += n;
    return buf_more(b, 0);
}

void parts_drop_all(erlpy_buf *b) {
    erlpy_parts *parts = b->parts;
    b->parts = NULL; /* first: what a dropped object runs may call */
    for (size_t i = 0; i < parts->held; i++) drop(parts->list[i].owner);
    free(parts);
}

int erlpy_buf_join(erlpy_buf *b) {
    erlpy_parts *parts = b->parts;
    if (parts == NULL || parts->count == 0) return 0;
    if (erlpy_buf_grow(b, b->len + parts->bytes) < 0) return -1;
    /* From the end, so that nothing is overwritten before it has been moved. */
    uint8_t *to = b->p + b->len + parts->bytes;
    size_t end = b->len;
    b->len += parts->bytes;
    for (size_t i = parts->count; i-- > 0;) {
        erlpy_part *part = &parts->list[i];
        size_t own_bytes = end - part->at;
        memmove(to -= own_bytes, b->p + part->at, own_bytes);
        memcpy(to -= part->n, part->p, part->n);
        end = part->at;
    }
    parts->count = 0;
    return 0;
}
