#define _GNU_SOURCE
#include "loan.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>

#include "convert.h"

/* Frames, PROTOCOL.md section 2. */
enum { KIND_CALL = 2, KIND_OK = 3, KIND_ERROR = 4, LENGTH = 4 };

/* A payload that calls a registered function: version, a pair, the name. An operation begins with an atom. */
enum { NAME_AT = ERLPY_HEADER + 3 };

enum {
    PATIENCE = 24, /* late answers in a row before Go is to know */
    BRIEF_NS = 200000,
    HOP = 4, /* late answers from one hop to the next */
};

/* The names that Go functions have or had, by their hashes. Another's that shares one only takes the longer way. */
static atomic_uchar claimed[4096];
static atomic_uint changes;

/* FNV-1a, draft-eastlake-fnv. */
static uint32_t hash(const uint8_t *p, size_t n) {
    uint32_t h = 2166136261;
    while (n-- > 0) h = (h ^ *p++) * 16777619;
    return (h ^ h >> 16) % (sizeof claimed / sizeof *claimed);
}

void erlpy_claim(const uint8_t *name, size_t n) {
    atomic_store(&claimed[hash(name, n)], 1);
    atomic_fetch_add(&changes, 1);
}

int loan_claimed(const uint8_t *name, size_t n) { return atomic_load(&claimed[hash(name, n)]); }

uint32_t loan_changes(void) { return atomic_load_explicit(&changes, memory_order_acquire); }

/* Whether it is the node's for sure. The shim has written the name, so its length is right. */
static int nodes_own(const uint8_t *p) {
    uint32_t n;
    memcpy(&n, p, sizeof n);
    return !loan_claimed(p + sizeof n, ntohl(n));
}

static int small_call(const erlpy_buf *b, size_t limit) {
    int whole = b->parts == NULL || b->parts->count == 0;
    return whole && b->len > NAME_AT && b->len <= limit && b->p[NAME_AT] == T_BINARY;
}

int loan_fits(const erlpy_thread *t) {
    return t->loan.open && atomic_load(&erlpy_state) == STATE_RUN && small_call(&t->frame, t->loan.limit) && nodes_own(t->frame.p + NAME_AT + 1);
}

static void put_header(erlpy_buf *b, uint32_t id) {
    uint32_t length = htonl((uint32_t)b->len - LENGTH);
    id = htonl(id);
    memcpy(b->p, &length, LENGTH);
    b->p[LENGTH] = KIND_CALL;
    memcpy(b->p + LENGTH + 1, &id, sizeof id);
}

/* Whether n bytes at p are one whole answer to the call id. */
static int is_answer(const uint8_t *p, size_t n, uint32_t id) {
    uint32_t length, to;
    if (n < ERLPY_HEADER) return 0;
    memcpy(&length, p, LENGTH);
    memcpy(&to, p + LENGTH + 1, sizeof to);
    return ntohl(length) == n - LENGTH && ntohl(to) == id && (p[LENGTH] == KIND_OK || p[LENGTH] == KIND_ERROR);
}

static int missed(int error) { return error == EAGAIN || error == EINTR; }

/* Looks so often for an answer, until there is something: how much. -1: nothing, and error says why. */
static ssize_t look(erlpy_thread *t, uint32_t times) {
    for (uint32_t i = 0; i < times; i++) {
        ssize_t n = recv(t->loan.fd, t->frame.p, t->frame.cap, MSG_DONTWAIT);
        t->loan.error = n < 0 ? errno : 0;
        if (n >= 0) return n;
        if (!missed(errno)) break;
    }
    return -1;
}

/* Whether it is there soon. The turn is kept: after others' turns the node's end has to be woken first. */
static int sleep_briefly(int fd) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return ppoll(&p, 1, &(struct timespec){.tv_nsec = BRIEF_NS}, NULL) > 0;
}

/* Goes on on another core. Who looks on the core of the node's scheduler keeps that from answering, until it sleeps; and each being awake only while
 * the other sleeps, the kernel sees no reason to part them. */
static void hop(void) {
    cpu_set_t all, others;
    int here = sched_getcpu();
    if (here < 0 || here >= CPU_SETSIZE || sched_getaffinity(0, sizeof all, &all) != 0) return;
    others = all;
    CPU_CLR(here, &others);
    if (CPU_COUNT(&others) > 0 && sched_setaffinity(0, sizeof others, &others) == 0) sched_setaffinity(0, sizeof all, &all);
}

int loan_call(erlpy_thread *t, int *event) {
    erlpy_loan *loan = &t->loan;
    uint8_t *p = t->frame.p;
    if (loan->id == loan->last) return 0; /* Go finds the next number */
    uint32_t id = loan->id + 1;
    put_header(&t->frame, id);
    ssize_t n = send(loan->fd, p, t->frame.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n <= 0) return 0; /* Go finds the same, and knows what to do */
    loan->id = id;
    loan->sent = (uint32_t)n;
    loan->got = 0;
    loan->error = 0;
    *event = ERLPY_EV_LENT;
    if (loan->sent < t->frame.len) return 0;
    n = look(t, loan->polls);
    if (n > 0) {
        t->late = 0;
    } else if (n < 0 && missed(loan->error) && t->late < PATIENCE) {
        if (++t->late % HOP == 0) hop();
        if (sleep_briefly(loan->fd)) n = look(t, 1);
    }
    if (n <= 0) return 0;
    if ((size_t)n > loan->limit || !is_answer(p, (size_t)n, id)) {
        loan->got = (uint32_t)n;
        return 0;
    }
    t->frame.len = (size_t)n;
    count(&loan->calls, 1);
    count(&loan->bytes_out, loan->sent);
    count(&loan->bytes_in, (uint64_t)n);
    return p[LENGTH] == KIND_OK ? ERLPY_ACT_DONE : ERLPY_ACT_FAILED;
}
