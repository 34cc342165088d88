"""Writes the standard library and the packages of the runtime beside this file, compiled, when the build runs it. It
makes no runtime: of the interpreter's own files, only a component that is being built has a copy."""

import compileall
import os
import py_compile
import shutil
import sys

SOURCE = "/python"
TARGET = os.path.dirname(__file__)
LIBRARY = f"{TARGET}/lib"
# Name of the directory of compiled files in the library: `sys.pycache_prefix` of functions, where the host also puts
# those of their own files.
COMPILED = ".pyc"
# Parts that need a terminal, a display, threads, processes or a network of their own, and tests.
LEFT_OUT = shutil.ignore_patterns(
    "__pycache__", "ensurepip", "idlelib", "lib2to3", "test", "tests", "tkinter", "turtle*", "venv",
    "componentize_py*", "poll_loop.py", "wit_world", "bundled", "site-packages", "ssl.py",
)

shutil.copytree(SOURCE, LIBRARY, ignore=LEFT_OUT)
shutil.copytree(f"{TARGET}/packages", f"{LIBRARY}/site-packages")
sys.pycache_prefix = f"{TARGET}/compiled"
# Unchecked: the time of a file is that of its installation.
compileall.compile_dir(
    LIBRARY,
    stripdir=LIBRARY,
    prependdir=SOURCE,
    quiet=1,
    workers=1,
    invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
)
os.makedirs(f"{LIBRARY}/{COMPILED}")
shutil.move(f"{sys.pycache_prefix}{LIBRARY}", f"{LIBRARY}/{COMPILED}{SOURCE}")
with open(f"{TARGET}/version", "w") as file:
    file.write(sys.version.split()[0])

from wit_world import exports  # noqa: E402


class Handler(exports.Handler):
    def init(self) -> None: ...

    def invoke(self, event, context) -> str: ...

    def before_checkpoint(self) -> None: ...

    def after_restore(self) -> None: ...
