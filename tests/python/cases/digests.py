# event: {"secret": "key", "text": "message"}
import base64
import hashlib
import hmac
import uuid
import zlib


def lambda_handler(event, context):
    text, key = event["text"].encode(), event["secret"].encode()
    digests = {name: hashlib.new(name, text).hexdigest() for name in ("md5", "sha1", "sha256", "sha512", "sha3_256")}
    return {
        "digests": digests,
        "hmac": hmac.new(key, text, "sha256").hexdigest(),
        "blake": hashlib.blake2b(text, digest_size=16).hexdigest(),
        "base64": base64.urlsafe_b64encode(text).decode(),
        "uuid": str(uuid.uuid5(uuid.NAMESPACE_DNS, event["text"])),
        "crc": zlib.crc32(text),
        "random": len({uuid.uuid4() for _ in range(100)}),
    }
