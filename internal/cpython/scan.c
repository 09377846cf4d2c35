/* Looks at terms without building anything: where one ends, for the opaque values, which travel as the bytes they came in; and whether a
 * binary is text. */
#include <string.h>

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

/* The length of the character at p that is not ASCII, or 0. The second byte is what tells overlong forms, surrogates, and what lies beyond
 * U+10FFFF. */
static size_t character(const uint8_t *p, size_t left) {
    uint8_t lead = p[0], low = 0x80, high = 0xBF;
    size_t n = lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
    if (n == 0 || n > left) return 0;
    if (lead == 0xE0) low = 0xA0;
    else if (lead == 0xED) high = 0x9F;
    else if (lead == 0xF0) low = 0x90;
    else if (lead == 0xF4) high = 0x8F;
    if (p[1] < low || p[1] > high) return 0;
    for (size_t i = 2; i < n; i++)
        if ((p[i] & 0xC0) != 0x80) return 0;
    return n;
}

/* Passes over ASCII, many bytes at a time. */
static const uint8_t *skip_ascii(const uint8_t *p, const uint8_t *end) {
    enum { WORD = sizeof(uint64_t) };
    const uint64_t high = 0x8080808080808080;
    uint64_t w[4];
    while ((size_t)(end - p) >= sizeof w) {
        memcpy(w, p, sizeof w);
        if ((w[0] | w[1] | w[2] | w[3]) & high) break;
        p += sizeof w;
    }
    while ((size_t)(end - p) >= WORD) {
        memcpy(w, p, WORD);
        if (w[0] & high) break;
        p += WORD;
    }
    while (p < end && *p < 0x80) p++;
    return p;
}

int scan_utf8(const uint8_t *p, size_t n) {
    const uint8_t *end = p + n;
    while ((p = skip_ascii(p, end)) < end) {
        while (p < end && *p >= 0x80) {
            size_t length = character(p, (size_t)(end - p));
            if (length == 0) return 0;
            p += length;
        }
    }
    return 1;
}
