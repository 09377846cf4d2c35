# Says on one line which Python this is. Runs under any version, 2.7 included, so that an old one can be named.
import sys

sys.path = [p for p in sys.path if p]  # "python -c" looks into the working directory first

import json
import platform
import sysconfig

variables = ("LDLIBRARY", "LIBDIR", "INSTSONAME", "LIBPL", "LDVERSION", "MULTIARCH", "Py_ENABLE_SHARED",
             "Py_GIL_DISABLED", "PYTHONFRAMEWORK", "PYTHONFRAMEWORKPREFIX")

found = {
    "version": sys.version,
    "version_info": list(sys.version_info[:3]),
    "implementation": platform.python_implementation(),
    "executable": sys.executable,
    "base_executable": getattr(sys, "_base_executable", None),
    "prefix": sys.prefix,
    "base_prefix": getattr(sys, "base_prefix", None),
    "base_exec_prefix": getattr(sys, "base_exec_prefix", None),
    "bits": 64 if sys.maxsize > 2 ** 32 else 32,
    "config": dict((name, str(sysconfig.get_config_var(name) or "")) for name in variables),
}
sys.stdout.write("\nerlpy-probe:" + json.dumps(found) + "\n")
