"""Makes an authority and a certificate of it for 127.0.0.1, in the directory given: authority.pem,
server.pem, server.key."""

import datetime
import ipaddress
import pathlib
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

folder = pathlib.Path(sys.argv[1])
start = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)


def named(name):
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def certificate(name, key, issuer, signer, extension):
    builder = x509.CertificateBuilder(named(issuer), named(name), key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(start)
    builder = builder.not_valid_after(start + datetime.timedelta(days=30))
    builder = builder.add_extension(extension, critical=True)
    return builder.sign(signer, hashes.SHA256())


def write(name, data):
    (folder / name).write_bytes(data)


authority = ec.generate_private_key(ec.SECP256R1())
server = ec.generate_private_key(ec.SECP256R1())
is_authority = x509.BasicConstraints(ca=True, path_length=0)
address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
pem = serialization.Encoding.PEM
write("authority.pem", certificate("tests", authority, "tests", authority, is_authority).public_bytes(pem))
write("server.pem", certificate("server", server, "tests", authority, address).public_bytes(pem))
plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
write("server.key", server.private_bytes(pem, *plain))
