#include "integers.h"

#include "convert.h"
#include "loan.h"
#include "refs.h"

/* Python's own int, and no more than 64 bits of it. */
static int take(PyObject *o, int64_t *v) {
    int overflow = 1;
    if (type_of(o) == py.PyLong_Type) *v = py.PyLong_AsLongLongAndOverflow(o, &overflow);
    return overflow == 0;
}

/* What is known of such calls of that name. At first, and when functions have been registered since: that they are to be tried, if there may be a
 * Go function. Names are told apart by where they stand: what is wrong of another that comes to stand there, the try tells. */
static erlpy_known *look_up(erlpy_thread *t, utf8 name, Py_ssize_t nargs) {
    erlpy_known *k = &t->known[(uintptr_t)name.p / 16 % ERLPY_KNOWN];
    uint32_t changes = loan_changes();
    if (k->name != name.p || k->count != nargs || k->changes != changes)
        *k = (erlpy_known){name.p, (uint32_t)nargs, changes, loan_claimed((const uint8_t *)name.p, (size_t)name.n) != 0};
    return k;
}

int integers_call(utf8 name, PyObject *const *args, Py_ssize_t nargs, PyObject **result) {
    if (nargs < 1 || nargs > 2 || erlpy_forked) return 0;
    erlpy_thread *t = thread_self();
    if (t == NULL || t->busy) return 0;
    erlpy_known *known = look_up(t, name, nargs);
    if (!known->taken) return 0;
    erlpy_integers *call = &t->integers;
    for (Py_ssize_t i = 0; i < nargs; i++)
        if (!take(args[i], &call->args[i])) return 0;
    call->name = name.p;
    call->size = (size_t)name.n;
    call->count = (uint32_t)nargs;
    t->busy = 1;
    count(&t->in_flight, 1);
    PyThreadState *ts = gil_release();
    int action = step_into_go(t, ERLPY_EV_INTEGERS);
    gil_take(ts);
    count(&t->in_flight, (uint64_t)-1);
    t->busy = 0;
    if (action == ERLPY_ACT_REFUSED) {
        known->taken = 0;
        return 0;
    }
    count(&t->calls, 1);
    *result = action == ERLPY_ACT_INTEGER ? py.PyLong_FromLongLong(call->args[0]) : steps_answer(t, action);
    return 1;
}
