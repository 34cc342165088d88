"""Compiles the source files of a function for the host, which keeps the results for all its environments. Files of a
package may be anything: one that cannot be compiled, or gives a warning, is left to the import."""

import importlib.util
import os
import py_compile
import sys
import time
import warnings

# Names the directory to compile, in an environment that does nothing else.
VARIABLE = "_COMPILE"
# Directory that the host takes the results from.
_TARGET = "/tmp"
# The host gives a minute.
_SECONDS = 45


def run(source) -> None:
    sys.pycache_prefix = _TARGET
    warnings.simplefilter("error")
    until = time.monotonic() + _SECONDS
    for directory, names, files in os.walk(source):
        names[:] = [it for it in names if it not in ("__pycache__", "node_modules")]
        for file in files:
            if time.monotonic() > until:
                return
            if file.endswith(".py"):
                _compile(f"{directory}/{file}")


def _compile(path) -> None:
    target = importlib.util.cache_from_source(path)
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    try:
        py_compile.compile(path, target, doraise=True, invalidation_mode=mode)
    except Exception:
        # Of a full disk, nothing half written may stay.
        if os.path.exists(target):
            os.unlink(target)
