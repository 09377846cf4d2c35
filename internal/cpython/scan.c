/* Finds where a term ends without building anything: for the opaque values, which travel as the bytes they came in. */
#include "convert.h"

#define NEED(n) \
    if ((size_t)(end - p) < (size_t)(n)) return NULL

const uint8_t *scan_atom(const uint8_t *p, const uint8_t *end, const uint8_t **text, size_t *len, int *utf8) {
    NEED(2);
    uint8_t tag = *p++;
    size_t n;
    if (tag == T_SMALL_ATOM_UTF8 || tag == T_SMALL_ATOM) {
        n = *p++;
    } else if (tag == T_ATOM_UTF8 || tag == T_ATOM) {
        NEED(2);
        n = get_u16(p);
        p += 2;
    } else {
        return NULL;
    }
    NEED(n);
    *text = p;
    *len = n;
    *utf8 = tag == T_SMALL_ATOM_UTF8 || tag == T_ATOM_UTF8;
    return p + n;
}

/* A node's name and n bytes of numbers behind it. */
static const uint8_t *scan_node(const uint8_t *p, const uint8_t *end, size_t n) {
    const uint8_t *text;
    size_t len;
    int utf8;
    p = scan_atom(p, end, &text, &len, &utf8);
    if (p == NULL) return NULL;
    NEED(n);
    return p + n;
}

const uint8_t *scan_term(const uint8_t *p, const uint8_t *end) {
    const uint8_t *text;
    size_t len;
    int utf8;
    /* Terms still to be passed over. Each takes a byte at least, so a count that lies runs into the end, not into memory. */
    uint64_t pending = 1;
    while (pending > 0) {
        pending--;
        NEED(1);
        switch (*p++) {
        case T_SMALL_INT: NEED(1); p += 1; break;
        case T_INT: NEED(4); p += 4; break;
        case T_NEW_FLOAT: NEED(8); p += 8; break;
        case T_FLOAT: NEED(31); p += 31; break;
        case T_NIL: break;
        case T_ATOM: case T_ATOM_UTF8: case T_SMALL_ATOM: case T_SMALL_ATOM_UTF8:
            if ((p = scan_atom(p - 1, end, &text, &len, &utf8)) == NULL) return NULL;
            break;
        case T_SMALL_TUPLE: NEED(1); pending += *p; p += 1; break;
        case T_LARGE_TUPLE: NEED(4); pending += get_u32(p); p += 4; break;
        case T_LIST: NEED(4); pending += (uint64_t)get_u32(p) + 1; p += 4; break;
        case T_MAP: NEED(4); pending += 2 * (uint64_t)get_u32(p); p += 4; break;
        case T_STRING: NEED(2); len = get_u16(p); p += 2; NEED(len); p += len; break;
        case T_BINARY: NEED(4); len = get_u32(p); p += 4; NEED(len); p += len; break;
        case T_BIT_BINARY: NEED(5); len = get_u32(p); p += 5; NEED(len); p += len; break;
        case T_SMALL_BIG: NEED(2); len = p[0]; p += 2; NEED(len); p += len; break;
        case T_LARGE_BIG: NEED(5); len = get_u32(p); p += 5; NEED(len); p += len; break;
        case T_NEW_FUN: NEED(4); len = get_u32(p); if (len < 4) return NULL; NEED(len); p += len; break;
        case T_EXPORT: pending += 3; break;
        case T_PID: if ((p = scan_node(p, end, 9)) == NULL) return NULL; break;
        case T_NEW_PID: if ((p = scan_node(p, end, 12)) == NULL) return NULL; break;
        case T_REF: case T_PORT: if ((p = scan_node(p, end, 5)) == NULL) return NULL; break;
        case T_NEW_PORT: if ((p = scan_node(p, end, 8)) == NULL) return NULL; break;
        case T_V4_PORT: if ((p = scan_node(p, end, 12)) == NULL) return NULL; break;
        case T_NEW_REF: NEED(2); len = get_u16(p); p += 2; if ((p = scan_node(p, end, 1 + 4 * len)) == NULL) return NULL; break;
        case T_NEWER_REF: NEED(2); len = get_u16(p); p += 2; if ((p = scan_node(p, end, 4 + 4 * len)) == NULL) return NULL; break;
        default: return NULL;
        }
    }
    return p;
}
