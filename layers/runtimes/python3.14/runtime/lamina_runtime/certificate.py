"""Reads the parts of a certificate that `getpeercert` tells: its names and its time."""

import ipaddress
import time

_COMMON_NAME = bytes.fromhex("550403")
_ALTERNATIVE_NAMES = bytes.fromhex("551d11")
# Tags of DER.
_UTC_TIME = 0x17
_VERSION, _EXTENSIONS = 0xA0, 0xA3
_KINDS = {0x81: "email", 0x82: "DNS", 0x86: "URI"}
_ADDRESS = 0x87


def _elements(data):
    """Tags and contents of the elements of DER."""
    at = 0
    while at < len(data):
        tag, length, at = data[at], data[at + 1], at + 2
        if length & 0x80:
            count = length & 0x7F
            length, at = int.from_bytes(data[at : at + count], "big"), at + count
        yield tag, data[at : at + length]
        at += length


def described(der):
    """The certificate as OpenSSL's clients see it."""
    ((_, certificate),) = _elements(der)
    body = [it for it in _elements(next(_elements(certificate))[1]) if it[0] != _VERSION]
    serial, _algorithm, issuer, validity, subject = (content for _, content in body[:5])
    begin, end = (_time(*it) for it in _elements(validity))
    return {
        "subject": _names(subject),
        "issuer": _names(issuer),
        "version": 3,
        "serialNumber": serial.hex().upper().lstrip("0"),
        "notBefore": begin,
        "notAfter": end,
        "subjectAltName": tuple(_alternative_names(body[5:])),
    }


def _names(name):
    """The common name. Others have no users."""
    found = []
    for _, attributes in _elements(name):
        for _, attribute in _elements(attributes):
            (_, kind), (_, value) = _elements(attribute)
            if kind == _COMMON_NAME:
                found.append((("commonName", value.decode("utf-8", "replace")),))
    return tuple(found)


def _time(tag, text):
    form = "%y%m%d%H%M%SZ" if tag == _UTC_TIME else "%Y%m%d%H%M%SZ"
    parsed = time.strptime(text.decode("ascii"), form)
    return time.strftime("%b ", parsed) + f"{parsed.tm_mday:2} " + time.strftime("%H:%M:%S %Y GMT", parsed)


def _alternative_names(rest):
    for tag, content in rest:
        if tag != _EXTENSIONS:
            continue
        for _, extension in _elements(next(_elements(content))[1]):
            parts = list(_elements(extension))
            if parts[0][1] != _ALTERNATIVE_NAMES:
                continue
            for kind, value in _elements(next(_elements(parts[-1][1]))[1]):
                if kind in _KINDS:
                    yield _KINDS[kind], value.decode("ascii", "replace")
                elif kind == _ADDRESS:
                    yield "IP Address", str(ipaddress.ip_address(value))
