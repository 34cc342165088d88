"""Start of an execution environment: paths, streams and logs as in AWS, then the import of the handler."""

import importlib
import os
import random
import sys

from . import compiling, logs, modules, packages
from .errors import Fault

_handler = None


def handler():
    return _handler


def start() -> None:
    global _handler
    if source := os.environ.get(compiling.VARIABLE):
        return compiling.run(source)
    random.seed()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")
    _set_paths()
    logs.setup()
    _handler = _imported(os.environ.get("_HANDLER", ""))


def _set_paths() -> None:
    task = os.environ.get("LAMBDA_TASK_ROOT", "/var/task")
    version = os.environ.get("AWS_EXECUTION_ENV", "").removeprefix("AWS_Lambda_") or "python3.14"
    chosen = [it for it in os.environ.get("PYTHONPATH", "").split(":") if it]
    sites = dict.fromkeys(f"/opt/python/lib/{it}/site-packages" for it in (version, "python3.14"))
    paths = [task, *chosen, *sites, "/opt/python"]
    found = [path for path in paths if os.path.isdir(path)]
    # The working directory of functions. Relative paths are resolved from it.
    os.chdir(task)
    sys.path[:0] = found
    sys.path_importer_cache.clear()
    for path in found:
        modules.unload(_modules_in(path), packages.NAMES)


def _modules_in(path):
    for name in os.listdir(path):
        stem, dot, extension = name.partition(".")
        if (extension == "py") if dot else os.path.isfile(f"{path}/{name}/__init__.py"):
            yield stem


def _imported(name):
    module_name, dot, function = name.rpartition(".")
    if not dot:
        problem = "not enough values to unpack (expected 2, got 1)"
        raise Fault("MalformedHandlerName", f"Bad handler '{name}': {problem}")
    if module_name.partition(".")[0] in sys.builtin_module_names:
        problem = f"Cannot use built-in module {module_name} as a handler module"
        raise Fault("BuiltInModuleConflict", problem)
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        raise Fault("ImportModuleError", f"Unable to import module '{module_name}': {error}") from None
    except SyntaxError as error:
        trace = [f'  File "{error.filename}" Line {error.lineno}\n    {error.text}']
        raise Fault("UserCodeSyntaxError", f"Syntax error in module '{module_name}': {error}", trace) from None
    try:
        return getattr(module, function)
    except AttributeError:
        problem = f"Handler '{function}' missing on module '{module_name}'"
        raise Fault("HandlerNotFound", problem) from None
