"""Runs a handler in this machine's Python by the rules of AWS's runtime, for comparison with the managed runtime:
`native.py TASK_DIR HANDLER`. Stdin has the facts of the context, the environment variables and the events, as JSON;
stdout gets, for each event, whether it failed, the payload, and the lines that the handler printed. The code is
written apart from the runtime's, and slowly: each rule in one place."""

import contextlib
import decimal
import importlib
import io
import json
import math
import os
import sys
import time
import traceback
import types


class Fault(Exception):
    def __init__(self, kind, message, trace=()):
        super().__init__(message)
        self.kind, self.trace = "Runtime." + kind, list(trace)


def load(handler):
    module, dot, name = handler.rpartition(".")
    if not dot:
        raise Fault("MalformedHandlerName", f"Bad handler '{handler}': not enough values to unpack (expected 2, got 1)")
    try:
        loaded = importlib.import_module(module.replace("/", "."))
    except ImportError as error:
        raise Fault("ImportModuleError", f"Unable to import module '{module}': {error}")
    except SyntaxError as error:
        trace = f'  File "{error.filename}" Line {error.lineno}\n    {error.text}'
        raise Fault("UserCodeSyntaxError", f"Syntax error in module '{module}': {error}", [trace])
    if not hasattr(loaded, name):
        raise Fault("HandlerNotFound", f"Handler '{name}' missing on module '{module}'")
    return getattr(loaded, name)


def plain(value, parents=()):
    if isinstance(value, decimal.Decimal):
        return math.nan if value.is_nan() else Number(value)
    if isinstance(value, bytes):
        return value.decode()
    if not isinstance(value, (dict, list, tuple)):
        return value
    if any(value is it for it in parents):
        raise ValueError("Circular reference detected")
    inner = (*parents, value)
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {key: plain(it, inner) for key, it in value.items()}
    return [plain(it, inner) for it in value]


class Number(float):
    """A decimal with all its digits."""

    def __new__(cls, value):
        return super().__new__(cls, value)


def marshal(value):
    try:
        return json.dumps(plain(value), ensure_ascii=False)
    except Exception as error:
        raise Fault("MarshalError", f"Unable to marshal response: {error}")


def failure(error, task):
    frames = [it for it in traceback.extract_tb(error.__traceback__) if it.filename.startswith(task)]
    frames = traceback.format_list([(it.filename, it.lineno, it.name, it.line) for it in frames])
    kind = error.kind if isinstance(error, Fault) else type(error).__name__
    frames = error.trace if isinstance(error, Fault) else frames
    frames = [frame.replace(task, "/var/task") for frame in frames]
    message = str(error).replace(task, "/var/task")
    return {"errorMessage": message, "errorType": kind, "stackTrace": frames}


def context(facts, deadline):
    made = types.SimpleNamespace(**facts)
    made.identity = types.SimpleNamespace(cognito_identity_id=None, cognito_identity_pool_id=None)
    made.client_context = None
    made.get_remaining_time_in_millis = lambda: int((deadline - time.time()) * 1000)
    return made


def main(task, handler):
    given = json.load(sys.stdin)
    os.environ.update(given["environment"], LAMBDA_TASK_ROOT=task)
    os.chdir(task)
    sys.path.insert(0, task)
    sys.dont_write_bytecode = True
    results, loaded = [], None
    for event in given["events"]:
        # A real file, as functions see one: a handler asks for its encoding.
        printed = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
        failed, payload = False, None
        with contextlib.redirect_stdout(printed):
            try:
                loaded = loaded or load(handler)
                payload = marshal(loaded(json.loads(json.dumps(event)), context(given["context"], time.time() + 30)))
            except Exception as error:
                failed, payload = True, json.dumps(failure(error, task))
        results.append([failed, json.loads(payload), printed.buffer.getvalue().decode().splitlines()])
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main(os.path.realpath(sys.argv[1]), sys.argv[2])
