"""Events and results as JSON, by the rules of AWS's Python runtime: decimals are numbers, named tuples are objects,
bytes are UTF-8 text, and not-a-number is allowed."""

import decimal
import json
import marshal
import secrets

from .errors import Fault

_ENCODER = json.JSONEncoder(ensure_ascii=False)


def event(document: str):
    try:
        return json.loads(document)
    except Exception as error:
        raise Fault("UnmarshalError", f"Unable to unmarshal input: {error}") from None


def result(value) -> str:
    try:
        if isinstance(value, bytes):
            return value.decode()
        return _sendable(_encoded(value), value)
    except Exception as error:
        raise Fault("MarshalError", f"Unable to marshal response: {error}") from None


def _encoded(value) -> str:
    # Writes plain lists, dicts and scalars alone, subclasses never: whatever it takes, the fast encoder of json encodes
    # as AWS's would. Bytes and sets it takes too; the encoder refuses those.
    try:
        marshal.dumps(value)
        return _ENCODER.encode(value)
    except (TypeError, ValueError):
        return _Slow().encoded(value)


def _sendable(text: str, value) -> str:
    """A text without lone surrogates, which UTF-8 cannot have: they are escaped."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return "".join(it if it < "\ud800" or it > "\udfff" else f"\\u{ord(it):04x}" for it in text)
    return text


class _Slow:
    """Encodes values of all types that AWS's runtime accepts."""

    def __init__(self):
        self.decimals = {}
        self.open = set()
        # No text of a function has it.
        self.token = secrets.token_hex(16)

    def encoded(self, value) -> str:
        text = _ENCODER.encode(self.plain(value))
        for stand_in, number in self.decimals.items():
            text = text.replace(f'"{stand_in}"', number)
        return text

    def plain(self, value):
        if isinstance(value, decimal.Decimal):
            return self.number(value)
        if isinstance(value, bytes):
            return value.decode()
        if not isinstance(value, (dict, list, tuple)):
            return value
        if id(value) in self.open:
            raise ValueError("Circular reference detected")
        self.open.add(id(value))
        if isinstance(value, dict):
            made = {self.key(key): self.plain(it) for key, it in value.items()}
        elif isinstance(value, tuple) and callable(getattr(value, "_asdict", None)):
            made = {key: self.plain(it) for key, it in value._asdict().items()}
        else:
            made = [self.plain(it) for it in value]
        self.open.discard(id(value))
        return made

    def key(self, key):
        if isinstance(key, decimal.Decimal):
            return str(key)
        return key.decode() if isinstance(key, bytes) else key

    def number(self, value):
        if value.is_nan():
            return float("nan")
        stand_in = f"{self.token}.{len(self.decimals)}"
        self.decimals[stand_in] = str(value)
        return stand_in
