"""The module `ssl` of this runtime: clients' TLS by the host (`lambda:managed/tls`), over the sockets of Python. Servers,
client certificates and the details of OpenSSL are missing; what asks for them gets `SSLError`."""

import binascii
import collections
import enum
import os
import socket as _socket

from componentize_py_types import Err as _Err
from lamina_runtime import certificate as _certificate
from wit_world.imports import tls as _tls

# Bytes that are encrypted or read at once.
_CHUNK = 65536


class SSLError(OSError):
    """An error of TLS."""

    @property
    def reason(self):
        return self.args[1] if len(self.args) > 1 else None

    library = "SSL"

    def __str__(self):
        return str(self.args[1]) if len(self.args) > 1 else OSError.__str__(self)


class SSLZeroReturnError(SSLError):
    pass


class SSLWantReadError(SSLError):
    pass


class SSLWantWriteError(SSLError):
    pass


class SSLSyscallError(SSLError):
    pass


class SSLEOFError(SSLError):
    pass


class SSLCertVerificationError(SSLError, ValueError):
    @property
    def verify_message(self):
        return self.reason

    verify_code = 1


CertificateError = SSLCertVerificationError
socket_error = OSError


class VerifyMode(enum.IntEnum):
    CERT_NONE = 0
    CERT_OPTIONAL = 1
    CERT_REQUIRED = 2


class TLSVersion(enum.IntEnum):
    MINIMUM_SUPPORTED = -2
    SSLv3 = 0x300
    TLSv1 = 0x301
    TLSv1_1 = 0x302
    TLSv1_2 = 0x303
    TLSv1_3 = 0x304
    MAXIMUM_SUPPORTED = -1


class Options(enum.IntFlag):
    OP_ALL = 0x80000050
    OP_NO_SSLv2 = 0
    OP_NO_SSLv3 = 0x2000000
    OP_NO_TLSv1 = 0x4000000
    OP_NO_TLSv1_2 = 0x8000000
    OP_NO_TLSv1_1 = 0x10000000
    OP_NO_TLSv1_3 = 0x20000000
    OP_NO_COMPRESSION = 0x20000
    OP_NO_TICKET = 0x4000
    OP_NO_RENEGOTIATION = 0x40000000
    OP_CIPHER_SERVER_PREFERENCE = 0x400000
    OP_SINGLE_DH_USE = 0
    OP_SINGLE_ECDH_USE = 0
    OP_IGNORE_UNEXPECTED_EOF = 0x80
    OP_ENABLE_MIDDLEBOX_COMPAT = 0x100000


class VerifyFlags(enum.IntFlag):
    VERIFY_DEFAULT = 0
    VERIFY_CRL_CHECK_LEAF = 0x4
    VERIFY_CRL_CHECK_CHAIN = 0xC
    VERIFY_X509_STRICT = 0x20
    VERIFY_X509_TRUSTED_FIRST = 0x8000
    VERIFY_X509_PARTIAL_CHAIN = 0x80000


class SSLErrorNumber(enum.IntEnum):
    SSL_ERROR_SSL = 1
    SSL_ERROR_WANT_READ = 2
    SSL_ERROR_WANT_WRITE = 3
    SSL_ERROR_WANT_X509_LOOKUP = 4
    SSL_ERROR_SYSCALL = 5
    SSL_ERROR_ZERO_RETURN = 6
    SSL_ERROR_WANT_CONNECT = 7
    SSL_ERROR_EOF = 8


class Purpose(enum.Enum):
    SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
    CLIENT_AUTH = "1.3.6.1.5.5.7.3.2"


for _kind in (VerifyMode, Options, VerifyFlags, SSLErrorNumber):
    globals().update(_kind.__members__)

PROTOCOL_SSLv23 = PROTOCOL_TLS = 2
PROTOCOL_TLSv1, PROTOCOL_TLSv1_1, PROTOCOL_TLSv1_2 = 3, 4, 5
PROTOCOL_TLS_CLIENT, PROTOCOL_TLS_SERVER = 16, 17
HAS_SNI = HAS_ALPN = HAS_ECDH = HAS_TLSv1_2 = HAS_TLSv1_3 = HAS_NEVER_CHECK_COMMON_NAME = True
HAS_NPN = HAS_SSLv2 = HAS_SSLv3 = HAS_TLSv1 = HAS_TLSv1_1 = HAS_PSK = False
# What urllib3 accepts; the host has rustls.
OPENSSL_VERSION, OPENSSL_VERSION_INFO, OPENSSL_VERSION_NUMBER = "OpenSSL 3.0.0 (rustls)", (3, 0, 0, 0, 0), 0x30000000
CHANNEL_BINDING_TYPES = []

DefaultVerifyPaths = collections.namedtuple(
    "DefaultVerifyPaths", "cafile capath openssl_cafile_env openssl_cafile openssl_capath_env openssl_capath"
)


def _error(problem):
    kind = SSLCertVerificationError if "certificate" in problem.lower() else SSLError
    return kind(SSL_ERROR_SSL, problem)  # noqa: F821  (of SSLErrorNumber)


def _called(function, *arguments):
    try:
        return function(*arguments)
    except _Err as error:
        raise _error(error.value) from None


def _base64(data):
    return binascii.b2a_base64(data, newline=False).decode("ascii") if data else ""


class SSLContext:
    """Settings of sessions."""

    sslsocket_class = None
    sslobject_class = None

    def __init__(self, protocol=PROTOCOL_TLS):
        is_client = protocol == PROTOCOL_TLS_CLIENT
        self.protocol = protocol
        self.options = Options.OP_ALL | Options.OP_NO_SSLv3
        self.verify_flags = VerifyFlags.VERIFY_X509_TRUSTED_FIRST
        self.minimum_version = TLSVersion.TLSv1_2
        self.maximum_version = TLSVersion.MAXIMUM_SUPPORTED
        self.keylog_filename = None
        self.post_handshake_auth = False
        self.hostname_checks_common_name = False
        self.security_level = 2
        self._verify_mode = VerifyMode.CERT_REQUIRED if is_client else VerifyMode.CERT_NONE
        self._check_hostname = is_client
        self._protocols = []
        self._authorities = None
        self._number = None

    @property
    def verify_mode(self):
        return self._verify_mode

    @verify_mode.setter
    def verify_mode(self, mode):
        if self._check_hostname and mode == VerifyMode.CERT_NONE:
            raise ValueError("Cannot set verify_mode to CERT_NONE when check_hostname is enabled.")
        self._verify_mode, self._number = VerifyMode(mode), None

    @property
    def check_hostname(self):
        return self._check_hostname

    @check_hostname.setter
    def check_hostname(self, check):
        self._check_hostname, self._number = bool(check), None
        if check and self._verify_mode == VerifyMode.CERT_NONE:
            self._verify_mode = VerifyMode.CERT_REQUIRED

    def set_ciphers(self, ciphers):
        """The host chooses among those of TLS 1.2 and 1.3 that are safe."""

    def get_ciphers(self):
        return []

    def set_ecdh_curve(self, name):
        """As for ciphers."""

    def set_alpn_protocols(self, protocols):
        self._protocols, self._number = list(protocols), None

    def set_npn_protocols(self, protocols):
        """Of servers before ALPN."""

    def load_verify_locations(self, cafile=None, capath=None, cadata=None):
        if cafile is None and capath is None and cadata is None:
            raise TypeError("cafile, capath and cadata cannot be all omitted")
        found = []
        if cafile is not None:
            with open(cafile, encoding="utf-8", errors="replace") as file:
                found.append(file.read())
        if capath is not None:
            for name in sorted(os.listdir(capath)):
                with open(os.path.join(capath, name), encoding="utf-8", errors="replace") as file:
                    found.append(file.read())
        if isinstance(cadata, str):
            found.append(cadata)
        elif cadata is not None:
            found.append(DER_cert_to_PEM_cert(bytes(cadata)))
        self._authorities, self._number = "\n".join([self._authorities or "", *found]), None

    def load_default_certs(self, purpose=Purpose.SERVER_AUTH):
        """Those of the host, unless others are loaded."""
        if file := os.environ.get("SSL_CERT_FILE"):
            self.load_verify_locations(file)

    set_default_verify_paths = load_default_certs

    def load_cert_chain(self, certfile, keyfile=None, password=None):
        raise SSLError(1, "client certificates are not supported by this runtime")

    def get_ca_certs(self, binary_form=False):
        return []

    def cert_store_stats(self):
        count = (self._authorities or "").count("BEGIN CERTIFICATE")
        return {"x509": count, "crl": 0, "x509_ca": count}

    def session_stats(self):
        return {}

    def wrap_socket(
        self, sock, server_side=False, do_handshake_on_connect=True, suppress_ragged_eofs=True, server_hostname=None,
        session=None,
    ):
        return SSLSocket._wrapped(self, sock, server_side, server_hostname, do_handshake_on_connect, suppress_ragged_eofs)

    def wrap_bio(self, incoming, outgoing, server_side=False, server_hostname=None, session=None):
        return SSLObject._wrapped(self, incoming, outgoing, server_side, server_hostname)

    def _open(self, server_side, server_hostname):
        if server_side:
            raise SSLError(1, "servers are not supported by this runtime")
        if self._check_hostname and not server_hostname:
            raise ValueError("check_hostname requires server_hostname")
        for _attempt in range(2):
            if self._number is None:
                self._number = _called(_tls.configure, self._settings())
            try:
                return _Session(_tls.open(self._number, server_hostname or "unnamed.invalid"))
            except _Err as error:
                # The host keeps the settings of a few contexts alone.
                self._number, problem = None, error.value
        raise _error(problem)

    def _settings(self):
        kinds = _tls.Verification
        verification = kinds.NONE
        if self._verify_mode != VerifyMode.CERT_NONE:
            verification = kinds.FULL if self._check_hostname else kinds.CHAIN
        return _tls.Settings(verification, self._authorities, self._protocols)


class _Session:
    """A session of the host, and bytes on their way."""

    def __init__(self, number):
        self.number = number
        self.records = bytearray()
        self.received = bytearray()
        self.is_handshaking, self.is_closed = True, False
        self.exchange()

    def exchange(self, records=b"", plaintext=b""):
        progress = _tls.exchange(self.number, _base64(records), _base64(plaintext))
        self.records += progress.records
        self.received += progress.received
        self.is_handshaking, self.is_closed = progress.is_handshaking, progress.is_closed
        return progress.failure

    def take_records(self):
        taken = bytes(self.records)
        self.records.clear()
        return taken

    def take_received(self, count):
        taken = bytes(self.received[:count])
        del self.received[:count]
        return taken

    def close(self):
        number, self.number = self.number, None
        return _tls.close(number) if number is not None else b""


class _Facts:
    """Facts of a session that sockets and objects tell."""

    def version(self):
        facts = self._facts()
        return facts.version if facts else None

    def cipher(self):
        facts = self._facts()
        return (facts.cipher, facts.version, 256 if "256" in facts.cipher else 128) if facts else None

    def selected_alpn_protocol(self):
        facts = self._facts()
        return facts.protocol if facts else None

    def selected_npn_protocol(self):
        return None

    def getpeercert(self, binary_form=False):
        facts = self._facts()
        if facts is None:
            raise ValueError("handshake not done yet")
        if binary_form:
            return bytes(facts.certificate)
        return _certificate.described(bytes(facts.certificate)) if self.context.verify_mode else {}

    def shared_ciphers(self):
        return None

    def compression(self):
        return None

    def get_channel_binding(self, cb_type="tls-unique"):
        return None

    def pending(self):
        return len(self._tls.received)

    def verify_client_post_handshake(self):
        raise SSLError(1, "client certificates are not supported by this runtime")

    def _facts(self):
        session = self._tls
        return _tls.describe(session.number) if session and session.number is not None else None

    session = None
    session_reused = False
    server_side = False


class MemoryBIO:
    """Bytes between a session and a transport."""

    def __init__(self):
        self._bytes, self._is_ended = bytearray(), False

    def read(self, size=-1):
        size = len(self._bytes) if size < 0 else size
        taken = bytes(self._bytes[:size])
        del self._bytes[:size]
        return taken

    def write(self, data):
        self._bytes += data
        return len(data)

    def write_eof(self):
        self._is_ended = True

    @property
    def pending(self):
        return len(self._bytes)

    @property
    def eof(self):
        return self._is_ended and not self._bytes


class SSLObject(_Facts):
    """A session between two memory BIOs."""

    @classmethod
    def _wrapped(cls, context, incoming, outgoing, server_side, server_hostname):
        self = cls.__new__(cls)
        self.context, self.server_hostname = context, server_hostname
        self._incoming, self._outgoing = incoming, outgoing
        self._tls = context._open(server_side, server_hostname)
        return self

    def do_handshake(self):
        self._pump()
        if self._tls.is_handshaking:
            self._want_more()

    def read(self, len=1024, buffer=None):
        if not self._tls.received:
            self._pump()
        data = self._tls.take_received(len)
        if not data and len and not self._tls.is_closed:
            self._want_more()
        if buffer is None:
            return data
        buffer[: data.__len__()] = data
        return data.__len__()

    def write(self, data):
        with memoryview(data) as view:
            self._pump(bytes(view.cast("B")[:_CHUNK]))
            return min(view.nbytes, _CHUNK)

    def unwrap(self):
        self._outgoing.write(self._tls.close())

    def _pump(self, plaintext=b""):
        failure = self._tls.exchange(self._incoming.read(_CHUNK), plaintext)
        self._outgoing.write(self._tls.take_records())
        if failure:
            raise _error(failure)

    def _want_more(self):
        if self._incoming.eof:
            raise SSLEOFError(8, "EOF occurred in violation of protocol")
        raise SSLWantReadError(2, "The operation did not complete (read)")

    def __del__(self):
        if getattr(self, "_tls", None):
            self._tls.close()


class SSLSocket(_Facts, _socket.socket):
    """A socket with a session."""

    def __init__(self, *args, **kwargs):
        raise TypeError("use SSLContext.wrap_socket() instead")

    @classmethod
    def _wrapped(cls, context, sock, server_side, server_hostname, handshake, suppress_ragged_eofs):
        if sock.type != _socket.SOCK_STREAM:
            raise NotImplementedError("only stream sockets are supported")
        self = cls.__new__(cls)
        timeout = sock.gettimeout()
        _socket.socket.__init__(self, sock.family, sock.type, sock.proto, sock.fileno())
        sock.detach()
        self.settimeout(timeout)
        self.context, self.server_hostname = context, server_hostname
        self.do_handshake_on_connect, self.suppress_ragged_eofs = handshake, suppress_ragged_eofs
        self._is_ended = False
        self._tls = None
        try:
            self._tls = context._open(server_side, server_hostname)
            if handshake and self._is_connected():
                self.do_handshake()
        except BaseException:
            self.close()
            raise
        return self

    def _is_connected(self):
        try:
            self.getpeername()
        except OSError:
            return False
        return True

    def connect(self, address):
        _socket.socket.connect(self, address)
        if self.do_handshake_on_connect:
            self.do_handshake()

    def do_handshake(self, block=False):
        self._send_records()
        while self._tls.is_handshaking:
            self._receive()

    def recv(self, buflen=1024, flags=0):
        while not self._tls.received and not self._is_ended:
            self._receive()
        return self._tls.take_received(buflen)

    def recv_into(self, buffer, nbytes=None, flags=0):
        with memoryview(buffer) as view, view.cast("B") as plain:
            data = self.recv(nbytes or len(plain))
            plain[: len(data)] = data
        return len(data)

    def read(self, len=1024, buffer=None):
        return self.recv(len) if buffer is None else self.recv_into(buffer, len)

    def send(self, data, flags=0):
        with memoryview(data) as view:
            part = bytes(view.cast("B")[:_CHUNK])
        self._raise(self._tls.exchange(b"", part))
        return len(part)

    write = send

    def sendall(self, data, flags=0):
        with memoryview(data) as view, view.cast("B") as plain:
            for start in range(0, len(plain), _CHUNK):
                self.send(plain[start : start + _CHUNK])

    def recvfrom(self, *args):
        raise ValueError("recvfrom not allowed on instances of SSLSocket")

    def sendto(self, *args):
        raise ValueError("sendto not allowed on instances of SSLSocket")

    def unwrap(self):
        plain = _socket.socket(self.family, self.type, self.proto, fileno=self.fileno())
        plain.settimeout(self.gettimeout())
        _socket.socket.sendall(self, self._tls.close())
        self.detach()
        return plain

    def shutdown(self, how):
        self._end()
        _socket.socket.shutdown(self, how)

    def _real_close(self, *args):
        self._end()
        _socket.socket._real_close(self, *args)

    def _end(self):
        session = getattr(self, "_tls", None)
        if session is None or session.number is None:
            return
        last = session.close()
        if not session.is_handshaking:
            try:
                _socket.socket.sendall(self, last)
            except OSError:
                pass

    def _receive(self):
        data = _socket.socket.recv(self, _CHUNK)
        if not data:
            if self._tls.is_handshaking or not self.suppress_ragged_eofs:
                raise SSLEOFError(8, "EOF occurred in violation of protocol")
            self._is_ended = True
            return
        failure = self._tls.exchange(data)
        self._is_ended = self._tls.is_closed
        self._raise(failure)

    def _raise(self, failure):
        self._send_records()
        if failure:
            raise _error(failure)

    def _send_records(self):
        records = self._tls.take_records()
        if records:
            _socket.socket.sendall(self, records)


SSLContext.sslsocket_class, SSLContext.sslobject_class = SSLSocket, SSLObject


def create_default_context(purpose=Purpose.SERVER_AUTH, *, cafile=None, capath=None, cadata=None):
    if purpose == Purpose.CLIENT_AUTH:
        raise SSLError(1, "servers are not supported by this runtime")
    context = SSLContext(PROTOCOL_TLS_CLIENT)
    if cafile or capath or cadata:
        context.load_verify_locations(cafile, capath, cadata)
    else:
        context.load_default_certs()
    return context


def _create_unverified_context(protocol=None, *, cert_reqs=VerifyMode.CERT_NONE, check_hostname=False, **_options):
    context = SSLContext(PROTOCOL_TLS)
    context.check_hostname = check_hostname
    context.verify_mode = cert_reqs
    return context


_create_default_https_context = create_default_context
_create_stdlib_context = _create_unverified_context


def get_default_verify_paths():
    return DefaultVerifyPaths(None, None, "SSL_CERT_FILE", "", "SSL_CERT_DIR", "")


def get_server_certificate(addr, ssl_version=PROTOCOL_TLS_CLIENT, ca_certs=None, timeout=None):
    context = _create_unverified_context()
    with _socket.create_connection(addr, timeout or 30) as sock:
        with context.wrap_socket(sock, server_hostname=addr[0]) as wrapped:
            return DER_cert_to_PEM_cert(wrapped.getpeercert(True))


def DER_cert_to_PEM_cert(der):
    text = binascii.b2a_base64(der, newline=False).decode("ascii")
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])


def PEM_cert_to_DER_cert(pem):
    inside = pem.split("-----BEGIN CERTIFICATE-----")[1].split("-----END CERTIFICATE-----")[0]
    return binascii.a2b_base64("".join(inside.split()))


def match_hostname(cert, hostname):
    """The host has verified the name."""


def cert_time_to_seconds(cert_time):
    import calendar
    import time

    return calendar.timegm(time.strptime(cert_time, "%b %d %H:%M:%S %Y GMT"))


def RAND_bytes(n):
    return os.urandom(n)


def RAND_status():
    return True


def RAND_add(data, entropy):
    """The host's randomness needs no more."""
