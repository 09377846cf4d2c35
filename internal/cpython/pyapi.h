/* CPython as a table of pointers, filled at run time: no Python.h, no link against any one Python. */
#ifndef ERLPY_PYAPI_H
#define ERLPY_PYAPI_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct _object PyObject;
typedef struct _typeobject PyTypeObject;
typedef struct _ts PyThreadState;
typedef struct _is PyInterpreterState;
typedef struct PyConfig PyConfig;
typedef ssize_t Py_ssize_t;
typedef void (*PyCapsule_Destructor)(PyObject *);

/* The same in every version from 3.8 on; returned by value. */
typedef struct {
    int _type; /* 0 ok, 1 error, 2 exit */
    const char *func;
    const char *err_msg;
    int exitcode;
} PyStatus;

typedef struct {
    const char *ml_name;
    void *ml_meth;
    int ml_flags;
    const char *ml_doc;
} PyMethodDef;

enum { METH_VARARGS = 0x1, METH_KEYWORDS = 0x2, METH_NOARGS = 0x4, METH_O = 0x8, METH_FASTCALL = 0x80 };
enum { Py_file_input = 257 };
enum {
    TPFLAGS_LONG = 1 << 24,
    TPFLAGS_LIST = 1 << 25,
    TPFLAGS_TUPLE = 1 << 26,
    TPFLAGS_BYTES = 1 << 27,
    TPFLAGS_STR = 1 << 28,
    TPFLAGS_DICT = 1 << 29,
};

typedef struct {
#define PY_FUNC(ret, name, args, own, gil, since) ret(*name) args;
#define PY_OPT PY_FUNC
#define PY_DATA(type, name) type *name;
#define PY_EXC(name) PyObject *name;
#include "pyapi_slots.h"
#undef PY_FUNC
#undef PY_OPT
#undef PY_DATA
#undef PY_EXC
} erlpy_pyapi;

/* Filled once by erlpy_pyapi_load, read-only afterwards. */
extern erlpy_pyapi py;

/* Whether the library is a build without a GIL: only such a one has this function. Before the
 * interpreter is started, no GIL needed. */
static inline int free_threaded(void) { return py.PyUnstable_Module_SetGIL != NULL; }

/* Loads the library at path and fills py. On failure writes what is wrong to err and returns -1. Exception objects are
 * resolved here too: their symbols hold the object only after Py_Initialize, see erlpy_pyapi_exceptions. Needs no GIL. */
int erlpy_pyapi_load(const char *path, char *err, size_t errsize);

/* Reads the exception objects, once the interpreter is up. Needs the GIL. */
void erlpy_pyapi_exceptions(void);

#endif
