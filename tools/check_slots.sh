#!/usr/bin/env bash
# Compares every prototype in pyapi_slots.h with the real Python.h of each Python given.
# The build itself uses no Python.h, so that nothing else would notice a wrong one.
set -euo pipefail
cd "$(dirname "$0")/.."

check() {
  local python=$1 include
  include=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
  if [ ! -e "$include/Python.h" ]; then
    echo "$python: no Python.h in $include" >&2
    return 1
  fi
  gcc -std=gnu11 -fsyntax-only -w -Werror -I "$include" -I internal/cpython -x c - <<'C'
#include <Python.h>
#define SAME(a, b) _Static_assert(__builtin_types_compatible_p(a, b), "prototype differs");
#define PY_FUNC(ret, name, args, own, gil, since) SAME(__typeof__(&name), ret(*) args)
#define PY_OPT(ret, name, args, own, gil, since)
#define PY_DATA(type, name) _Static_assert(sizeof(name) >= sizeof(type), "data differs");
#define PY_EXC(name) SAME(__typeof__(name), PyObject *)
/* 3.9's headers hide the function of this name behind a macro. */
#undef Py_CompileString
PyAPI_FUNC(PyObject *) Py_CompileString(const char *, const char *, int);
#include "pyapi_slots.h"
C
  echo "$python: prototypes agree"
}

for python in "$@"; do check "$python"; done
