# event: {}
import gzip
import io
import tarfile
import zipfile


def lambda_handler(event, context):
    text = b"hello " * 1000
    packed = gzip.compress(text, mtime=0)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/b.txt", text)
    with zipfile.ZipFile(buffer) as archive:
        names, same = archive.namelist(), archive.read("a/b.txt") == text
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w:gz") as archive:
        info = tarfile.TarInfo("c.txt")
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text))
    tar.seek(0)
    with tarfile.open(fileobj=tar) as archive:
        members = archive.getnames()
    return {"smaller": len(packed) < 100, "back": gzip.decompress(packed) == text, "names": names, "same": same, "tar": members}
