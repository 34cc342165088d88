"""One invocation: event in, result or failure out."""

import os
import sys
import traceback

from componentize_py_types import Err
from wit_world.imports.types import Failure

from . import environment, errors, logs, results
from .context import LambdaContext

# Exit status of Python for an exception that nothing caught.
_UNCAUGHT = 1


def run(step, *arguments):
    """Runs a step. Errors become failures; an exit ends the environment."""
    try:
        return step(*arguments)
    except Exception as error:
        failure = Failure(*errors.parts(error))
    except SystemExit as exit_:
        _exit(exit_.code)
    except BaseException:
        traceback.print_exc()
        _exit(_UNCAUGHT)
    finally:
        _flush()
    raise Err(_sendable(failure))


def handle(event: str, facts) -> str:
    logs.current["request_id"] = facts.aws_request_id
    logs.current["tenant_id"] = facts.tenant_id
    _set_trace(facts.trace_id)
    return results.result(environment.handler()(results.event(event), LambdaContext(facts)))


def _set_trace(trace_id) -> None:
    if trace_id != os.environ.get("_X_AMZN_TRACE_ID"):
        if trace_id is None:
            del os.environ["_X_AMZN_TRACE_ID"]
        else:
            os.environ["_X_AMZN_TRACE_ID"] = trace_id


def _exit(code) -> None:
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)
        code = _UNCAUGHT
    _flush()
    os._exit(code or 0)


def _flush() -> None:
    # A function may have closed or replaced them.
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass


def _sendable(failure: Failure) -> Failure:
    """A failure that UTF-8 can have: a message may quote lone surrogates."""
    plain = lambda text: text.encode("utf-8", "backslashreplace").decode()  # noqa: E731
    trace = [plain(frame) for frame in failure.stack_trace]
    return Failure(plain(failure.error_type), plain(failure.error_message), trace)
