"""Errors of functions in the terms of AWS's Python runtime."""

import os
import traceback

# Directory of this runtime, whose files are no part of a function's stack trace.
_OWN = os.path.dirname(os.path.dirname(__file__)) + "/"


class Fault(Exception):
    """An error of the function that the runtime found, with AWS's type."""

    def __init__(self, kind, message, stack_trace=()):
        super().__init__(message)
        self.kind = f"Runtime.{kind}"
        self.message = message
        self.stack_trace = list(stack_trace)


def parts(error):
    """Type, message and stack trace of an error, as the caller gets them."""
    if isinstance(error, Fault):
        return error.kind, error.message, error.stack_trace
    return type(error).__name__, _text(error), _stack_trace(error)


def _text(error):
    try:
        return str(error)
    except Exception:
        return ""


def _stack_trace(error):
    frames = traceback.extract_tb(error.__traceback__)
    first = next((at for at, it in enumerate(frames) if not it.filename.startswith(_OWN)), len(frames))
    # Without columns, as in AWS: no marks below the lines.
    plain = [(it.filename, it.lineno, it.name, it.line) for it in frames[first:]]
    return traceback.format_list(plain)
