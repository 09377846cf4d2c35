/* The interpreter's life: load, initialise, run, end. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "errors.h"
#include "module.h"
#include "refs.h"
#include "steps.h"

/* Larger than PyConfig of any version (464 bytes in 3.15): only CPython's own functions look inside, so that its layout, which
 * changes with each version, need not be known. */
enum { CONFIG_ROOM = 64 << 10 };

const char *erlpy_version(void) { return py.Py_GetVersion == NULL ? "" : py.Py_GetVersion(); }

/* Python takes SIGINT only when it finds the default action; Go has put its handler there. A SIGINT
 * ignored by the parent process stays ignored. */
static void offer_signals(void) {
    struct sigaction old;
    if (sigaction(SIGINT, NULL, &old) == 0 && old.sa_handler != SIG_IGN) signal(SIGINT, SIG_DFL);
    /* Go's handler for SIGCHLD does nothing, but first waits for an M on a thread not of Go's making,
     * which may hold the GIL: a host stood still after some ten forks at once. */
    signal(SIGCHLD, SIG_DFL);
}

/* Python 3.9 installs its handler without SA_ONSTACK, which Go needs on its threads. */
static void mend_sigint(void) {
    struct sigaction sa;
    if (sigaction(SIGINT, NULL, &sa) != 0 || sa.sa_handler == SIG_IGN || sa.sa_handler == SIG_DFL) return;
    sa.sa_flags |= SA_ONSTACK;
    sigaction(SIGINT, &sa, NULL);
}

static int initialise(const erlpy_config *c, char *err, size_t errsize) {
    PyConfig *config = calloc(1, CONFIG_ROOM);
    if (config == NULL) {
        snprintf(err, errsize, "no memory");
        return -1;
    }
    py.PyConfig_InitPythonConfig(config);
    char *argv[2] = {(char *)c->executable, NULL};
    PyStatus status = py.PyConfig_SetBytesArgv(config, 1, argv);
    if (status._type == 0) status = py.Py_InitializeFromConfig(config);
    py.PyConfig_Clear(config);
    free(config);
    if (status._type == 0) return 0;
    snprintf(err, errsize, "Python did not start: %s", status.err_msg ? status.err_msg : "unknown reason");
    return -1;
}

/* The current exception as text, printed too: there is nobody else to tell yet. */
static int startup_failed(char *err, size_t errsize) {
    py.PyErr_Print();
    snprintf(err, errsize, "the module erlang did not load");
    return -1;
}

/* boot.py defines boot(sources); it makes `erlang` importable and gives the shim its hooks. */
static int boot(const erlpy_config *c) {
    int result = -1;
    PyObject *code = NULL, *done = NULL, *args = NULL;
    PyObject *globals = py.PyDict_New(), *sources = py.PyDict_New();
    if (globals == NULL || sources == NULL) goto out;
    for (int i = 0; i < c->sources; i++) {
        PyObject *text = py.PyUnicode_FromString(c->texts[i]);
        if (text == NULL || py.PyDict_SetItemString(sources, c->names[i], text) < 0) goto out;
        drop(text);
    }
    PyObject *name = py.PyUnicode_FromString("erlang.boot");
    if (name == NULL || py.PyDict_SetItemString(globals, "__builtins__", py.PyEval_GetBuiltins()) < 0 ||
        py.PyDict_SetItemString(globals, "__name__", name) < 0)
        goto out;
    drop(name);
    code = py.Py_CompileString(c->boot, "<erlang>/boot.py", Py_file_input);
    if (code == NULL || (done = py.PyEval_EvalCode(code, globals, globals)) == NULL) goto out;
    drop(done);
    done = NULL;
    PyObject *entry = py.PyDict_GetItemString(globals, "boot");
    if (entry == NULL || (args = py.PyTuple_New(1)) == NULL) goto out;
    py.PyTuple_SetItem(args, 0, own(sources));
    done = py.PyObject_CallObject(entry, args);
    result = done == NULL ? -1 : 0;
out:
    drop(code);
    drop(done);
    drop(args);
    drop(globals);
    drop(sources);
    return result;
}

int erlpy_init(const erlpy_config *c, char *err, size_t errsize) {
    if (erlpy_pyapi_load(c->library, err, errsize) < 0) return -1;
    /* Borrowed references and the state of conversions are safe under a GIL alone. */
    if (free_threaded()) {
        snprintf(err, errsize, "%s is a free-threaded build of CPython; one with a GIL is needed: name another Python", c->library);
        return -1;
    }
    /* The first word is X.Y.Z and a build suffix: another one there would be another Python than the one that was asked for. */
    size_t n = strcspn(c->version, " ");
    const char *got = py.Py_GetVersion();
    if (strncmp(got, c->version, n) != 0 || (got[n] != ' ' && got[n] != 0)) {
        snprintf(err, errsize, "%s is Python %.*s, but %s is %.*s", c->library, (int)strcspn(got, " "), got, c->executable, (int)n,
                 c->version);
        return -1;
    }
    int failed = thread_setup();
    if (failed) {
        snprintf(err, errsize, "%s", strerror(failed));
        return -1;
    }
    struct sigaction sigpipe, sigxfsz;
    sigaction(SIGPIPE, NULL, &sigpipe);
    sigaction(SIGXFSZ, NULL, &sigxfsz);
    if (c->main) offer_signals();
    if (initialise(c, err, errsize) < 0) return -1;
    if (c->main) {
        mend_sigint();
    } else { /* signals are the Go program's */
        sigaction(SIGPIPE, &sigpipe, NULL);
        sigaction(SIGXFSZ, &sigxfsz, NULL);
    }
    erlpy_is_main = 1;
    erlpy_pyapi_exceptions();
    refs_probe();
    if (module_install() < 0 || boot(c) < 0) return startup_failed(err, errsize);
    return 0;
}

int erlpy_run(const char *module_name, const char *function_name, const char *arg, int argc, char *const *argv) {
    int status = 1;
    PyObject *module = NULL, *function = NULL, *args = py.PyTuple_New(argc < 0 ? 1 : 2), *list = NULL, *result = NULL;
    if (args == NULL) goto out;
    PyObject *first = py.PyUnicode_DecodeFSDefault(arg);
    if (first == NULL) goto out;
    py.PyTuple_SetItem(args, 0, first);
    if (argc >= 0) {
        if ((list = py.PyList_New(argc)) == NULL) goto out;
        for (int i = 0; i < argc; i++) {
            PyObject *s = py.PyUnicode_DecodeFSDefault(argv[i]);
            if (s == NULL) goto out;
            py.PyList_SetItem(list, i, s);
        }
        py.PyTuple_SetItem(args, 1, own(list));
    }
    if ((module = py.PyImport_ImportModule(module_name)) == NULL) goto out;
    if ((function = py.PyObject_GetAttrString(module, function_name)) == NULL) goto out;
    if ((result = py.PyObject_CallObject(function, args)) == NULL) goto out;
    status = (int)py.PyLong_AsLongLong(result);
out:
    if (py.PyErr_Occurred()) py.PyErr_Print();
    drop(list);
    drop(args);
    drop(module);
    drop(function);
    drop(result);
    if (erlpy_forked) { /* a child of the script's came all the way back: Go cannot go on here */
        py.Py_FinalizeEx();
        _exit(status);
    }
    return status;
}

int erlpy_serve_main(const char *role, const char *token) {
    PyObject *done = steps_serve(role, (utf8){token, (Py_ssize_t)strlen(token)});
    int failed = done == NULL;
    if (failed) py.PyErr_Print();
    drop(done);
    return failed;
}

int erlpy_finalize(void) {
    PyThreadState *ts = gil_release();
    erlpy_close();
    gil_take(ts);
    int status = py.Py_FinalizeEx();
    atomic_store(&erlpy_state, STATE_SEALED);
    thread_leave();
    return status;
}
