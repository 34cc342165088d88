"""Logging of functions: the root logger writes records in the format that the function is configured with."""

import json
import logging
import os
import sys
import time
import traceback

from wit_world.imports import log

# Request id and tenant id of the invocation in progress.
current = {"request_id": "", "tenant_id": None}

_FIELDS_OF_RECORDS = frozenset(
    "name msg args levelname levelno pathname filename module exc_info exc_text stack_info lineno funcName created msecs "
    "relativeCreated thread threadName processName process taskName aws_request_id tenant_id message asctime".split()
)


class _Handler(logging.Handler):
    """Writes each record as one event of the log."""

    def emit(self, record):
        try:
            text = self.format(record)
            # What was printed before comes before it.
            sys.stdout.flush()
            log.write(_unicode(text))
        except Exception:
            self.handleError(record)


class _OfInvocation(logging.Filter):
    def filter(self, record):
        record.aws_request_id = current["request_id"]
        record.tenant_id = current["tenant_id"]
        return True


class _JsonFormatter(logging.Formatter):
    """One JSON object for each record, with AWS's members and those of `extra`."""

    def format(self, record):
        line = {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
        }
        if record.exc_info and record.exc_info[0] is not None:
            kind, error, trace = record.exc_info
            line["stackTrace"] = traceback.format_tb(trace)
            line["errorType"] = kind.__name__
            line["errorMessage"] = str(error)
            line["location"] = f"{record.pathname}:{record.funcName}:{record.lineno}"
        if record.aws_request_id:
            line["requestId"] = record.aws_request_id
        if record.tenant_id:
            line["tenantId"] = record.tenant_id
        for name, value in record.__dict__.items():
            if name not in _FIELDS_OF_RECORDS and name not in line and value is not None:
                line[name] = value
        return json.dumps(line, ensure_ascii=False, default=_text_of)


def _text_of(value):
    try:
        return str(value)
    except Exception:
        return None


def _unicode(text):
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def setup() -> None:
    """Gives the root logger its handler, in the format and at the level of the function's LoggingConfig."""
    logging.Formatter.converter = time.gmtime
    handler = _Handler()
    if os.environ.get("AWS_LAMBDA_LOG_FORMAT") == "JSON":
        handler.setFormatter(_JsonFormatter())
    else:
        line = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s"
        handler.setFormatter(logging.Formatter(line, "%Y-%m-%dT%H:%M:%S"))
    handler.addFilter(_OfInvocation())
    root = logging.getLogger()
    root.addHandler(handler)
    level = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
    level = {"TRACE": "DEBUG", "WARN": "WARNING", "FATAL": "CRITICAL"}.get(level, level)
    if level in logging.getLevelNamesMapping():
        root.setLevel(level)
