#include "fork.h"

#include <pthread.h>
#include <unistd.h>

#include "errors.h"
#include "refs.h"

int erlpy_forked;

static void on_fork_child(void) { erlpy_forked = 1; }

int fork_setup(void) { return pthread_atfork(NULL, NULL, on_fork_child); }

int fork_refuse(void) {
    raise_error(py.PyExc_RuntimeError, "erlang: this process was forked from one with a running Go runtime; "
                                       "use multiprocessing's 'spawn' or subprocess");
    return 0;
}

/* A stream may be None, closed, or any object of the program. */
static void flush(PyObject *sys, const char *name) {
    PyObject *stream = py.PyObject_GetAttrString(sys, name);
    PyObject *method = stream == NULL ? NULL : py.PyObject_GetAttrString(stream, "flush");
    if (method != NULL) drop(py.PyObject_CallObject(method, NULL));
    drop(method);
    drop(stream);
    py.PyErr_Clear();
}

void fork_end(void) {
    /* SystemExit and the like are no Exception, and would end the process the long way. */
    if (py.PyErr_Occurred() && py.PyErr_ExceptionMatches(py.PyExc_Exception)) py.PyErr_Print();
    py.PyErr_Clear();
    PyObject *sys = py.PyImport_ImportModule("sys");
    if (sys != NULL) {
        flush(sys, "stdout");
        flush(sys, "stderr");
    }
    _exit(0);
}
