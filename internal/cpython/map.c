/* erlang.map: takes items from an iterator, and gives the results of the calls in the order of the items. What a call costs here is encoding and
 * decoding it, and one look into Go, which sends many items at a time. */
#include <stdlib.h>

#include "convert.h"
#include "errors.h"
#include "pipeline.h"
#include "refs.h"

static const char capsule_name[] = "erlang.map";

typedef struct {
    uint64_t number; /* Go's; 0: it is over */
    PyObject *items;
    PyObject *refused; /* an item that was taken and for which there was no room; or NULL */
    long long window;
    long long flying; /* items that were taken and whose results were not given */
    int exhausted;    /* no more items */
    int busy;         /* a thread is here */

    /* What could not be taken or sent, and how many results come before it. The first one only: it is the end. */
    PyObject *failure;
    long long before;

    /* Records, see shim.h: the one at hand, and those behind it. */
    erlpy_buf results;
    uint8_t *next, *end;
    uint8_t *term, *last; /* the next result of the one at hand, and the end of its results */
    uint32_t left;
    int good;
} mapping;

static mapping *mapping_of(PyObject *capsule) { return py.PyCapsule_GetPointer(capsule, capsule_name); }

static request about(const mapping *m, int event) { return (request){.event = event, .token = m->number, .timeout_ns = -1}; }

static void end(mapping *m) {
    if (m->number != 0 && !erlpy_forked) {
        PyObject *raised = take_error(); /* from the block that this is the end of */
        erlpy_thread extra, *t = steps_enter(&extra, -1);
        if (t == NULL || steps_ask(t, about(m, ERLPY_EV_MAP_END)) < 0) py.PyErr_Clear();
        if (t != NULL) steps_leave(t, &extra);
        if (raised != NULL) raise_instance(raised);
    }
    m->number = 0;
}

static void destroy(PyObject *capsule) {
    mapping *m = mapping_of(capsule);
    end(m);
    drop(m->items);
    drop(m->refused);
    drop(m->failure);
    free(m->results.p);
    free(m);
}

PyObject *map_begin(utf8 name, PyObject *items, long long window) {
    mapping *m = calloc(1, sizeof *m);
    if (m == NULL) return py.PyErr_NoMemory();
    PyObject *capsule = py.PyCapsule_New(m, capsule_name, destroy);
    if (capsule == NULL) {
        free(m);
        return NULL;
    }
    m->items = own(items);
    m->window = window;
    erlpy_thread extra, *t = steps_enter(&extra, -1);
    if (t == NULL) {
        drop(capsule);
        return NULL;
    }
    erlpy_buf b = steps_take_frame(t);
    int ok = buf_begin(&b) == 0 && put_raw(&b, name.p, (size_t)name.n) == 0;
    steps_give_frame(t, b);
    ok = ok && steps_ask(t, (request){.event = ERLPY_EV_MAP_BEGIN, .token = (uint64_t)window, .timeout_ns = -1}) >= 0;
    if (ok) m->number = t->token;
    steps_leave(t, &extra);
    if (ok) return capsule;
    drop(capsule);
    return NULL;
}

/* Sends an item: 0, or -1 with an exception set; 1 when there is no room for it. */
static int send_item(mapping *m, PyObject *item) {
    erlpy_thread extra, *t = steps_enter(&extra, -1);
    if (t == NULL) return -1;
    erlpy_buf b = steps_take_frame(t);
    int ok = buf_begin(&b) == 0 && encode_argument(&b, item, 0) == 0;
    steps_give_frame(t, b);
    int action = ok ? steps_ask(t, about(m, ERLPY_EV_MAP_ITEM)) : -1;
    steps_give_back(t, steps_take_frame(t));
    steps_leave(t, &extra);
    return action < 0 ? -1 : action == ERLPY_ACT_REFUSED;
}

/* Keeps an exception that stands for the result of the item that is taken now. -1 when it is of a kind that does not wait. */
static int fail_item(mapping *m) {
    if (!py.PyErr_ExceptionMatches(py.PyExc_Exception)) return -1;
    PyObject *exc = take_error();
    if (m->failure == NULL) {
        m->failure = exc;
        m->before = m->flying;
    } else {
        drop(exc);
    }
    return 0;
}

/* Takes items as long as there is room: 0, or -1 with an exception set. */
static int fill(mapping *m) {
    while (!m->exhausted && m->flying < m->window) {
        PyObject *item = m->refused;
        m->refused = NULL;
        if (item == NULL) item = py.PyIter_Next(m->items);
        if (item == NULL) {
            m->exhausted = 1;
            if (!py.PyErr_Occurred()) break;
            if (fail_item(m) < 0) return -1;
        } else {
            int sent = send_item(m, item);
            if (sent > 0) {
                m->refused = item;
                break;
            }
            drop(item);
            if (sent < 0 && (erlpy_forked || fail_item(m) < 0)) return -1;
        }
        m->flying++;
    }
    return 0;
}

/* Gets records from Go, and waits for them: 0, or -1 with an exception set. */
static int get_records(mapping *m) {
    erlpy_thread extra, *t = steps_enter(&extra, -1);
    if (t == NULL) return -1;
    t->busy = 1;
    int action = steps_ask(t, about(m, ERLPY_EV_MAP_RESULTS));
    if (action == ERLPY_ACT_SLEEP) action = steps_run(t, about(m, ERLPY_EV_MAP_RESULTS));
    t->busy = 0;
    erlpy_buf b = m->results;
    m->results = steps_take_frame(t);
    steps_give_back(t, b);
    steps_leave(t, &extra);
    if (action < 0) return -1;
    m->next = m->results.p + ERLPY_HEADER;
    m->end = m->results.p + m->results.len;
    if (action == ERLPY_ACT_DONE) return 0;
    raise_failure(decode_payload(m->next, (size_t)(m->end - m->next)));
    m->next = m->end;
    return -1;
}

/* The next result, or NULL with its failure raised. */
static PyObject *take_result(mapping *m) {
    if (m->left == 0) {
        if (m->next == m->end && get_records(m) < 0) return NULL;
        m->good = m->next[0];
        m->left = get_u32(m->next + 1);
        m->term = m->next + ERLPY_RECORD;
        m->next = m->last = m->term + get_u32(m->next + 5);
    }
    const uint8_t *after = --m->left == 0 ? m->last : scan_term(m->term, m->last);
    if (after == NULL) return raise_term("bad_term", "the result is malformed");
    /* What stands before a term has been used: there is room for the version byte. */
    m->term[-1] = T_VERSION;
    PyObject *o = decode_payload(m->term - 1, (size_t)(after - m->term) + 1);
    m->term += after - m->term;
    return m->good ? o : raise_failure(o);
}

static PyObject *advance(mapping *m, PyObject *capsule) {
    if (m->number == 0) return own(capsule);
    if (fill(m) < 0) return NULL;
    if (m->flying == 0) return own(capsule);
    if (m->failure != NULL && m->before-- == 0) {
        raise_instance(m->failure);
        m->failure = NULL;
        return NULL;
    }
    m->flying--;
    return take_result(m);
}

PyObject *map_next(PyObject *capsule) {
    mapping *m = mapping_of(capsule);
    if (m == NULL || !fork_may_call()) return NULL;
    if (m->busy) return raise_error(py.PyExc_ValueError, "erlang.map: another thread is taking a result");
    m->busy = 1;
    PyObject *result = advance(m, capsule);
    m->busy = 0;
    return result;
}

PyObject *map_end(PyObject *capsule) {
    mapping *m = mapping_of(capsule);
    if (m == NULL) return NULL;
    end(m);
    return own_none();
}
