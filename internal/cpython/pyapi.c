#define _GNU_SOURCE
#include "pyapi.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

erlpy_pyapi py;

static void *library;

/* Adds name to a comma-separated list in err; the list is cut, not overrun, when it is full. */
static void missing(char *err, size_t errsize, int first, const char *name) {
    size_t used = strlen(err);
    snprintf(err + used, errsize - used, "%s%s", first ? "" : ", ", name);
}

int erlpy_pyapi_load(const char *path, char *err, size_t errsize) {
    err[0] = 0;
    if (dlsym(RTLD_DEFAULT, "Py_IsInitialized") != NULL) {
        snprintf(err, errsize, "another libpython is already loaded in this process");
        return -1;
    }
    /* RTLD_GLOBAL: extension modules do not name libpython as needed; they find its symbols in the global scope.
     * Never closed: Python leaves pointers into itself all over the process. */
    library = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
    if (library == NULL) {
        snprintf(err, errsize, "%s", dlerror());
        return -1;
    }
    int lacks = 0;
    char names[1024] = "";
#define PY_OPT(ret, name, args, own, gil, since) *(void **)&py.name = dlsym(library, #name);
#define PY_FUNC(ret, name, args, own, gil, since)                                                                              \
    if ((*(void **)&py.name = dlsym(library, #name)) == NULL) missing(names, sizeof names, !lacks++, #name);
#define PY_DATA(type, name)                                                                                                    \
    if ((*(void **)&py.name = dlsym(library, #name)) == NULL) missing(names, sizeof names, !lacks++, #name);
#define PY_EXC(name)                                                                                                           \
    if (dlsym(library, #name) == NULL) missing(names, sizeof names, !lacks++, #name);
#include "pyapi_slots.h"
#undef PY_FUNC
#undef PY_OPT
#undef PY_DATA
#undef PY_EXC
    if (lacks) {
        snprintf(err, errsize, "%s lacks %d symbols of CPython 3.9 or later: %s", path, lacks, names);
        return -1;
    }
    return 0;
}

void erlpy_pyapi_exceptions(void) {
#define PY_FUNC(ret, name, args, own, gil, since)
#define PY_OPT(ret, name, args, own, gil, since)
#define PY_DATA(type, name)
#define PY_EXC(name) py.name = *(PyObject **)dlsym(library, #name);
#include "pyapi_slots.h"
#undef PY_FUNC
#undef PY_OPT
#undef PY_DATA
#undef PY_EXC
}
