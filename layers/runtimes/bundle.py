"""What the builds of all runtimes share: which sources they have, their locked packages, and the zip that they write.

`build.py OUTPUT.zip [WORK_DIR]` of a runtime does nothing if the output was made from the same sources. The work
directory keeps what was installed; by default it is beside the output.
"""

import hashlib
import json
import pathlib
import shutil
import subprocess
import sys
import venv
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
WIT = ROOT / "wit"
# Zips of equal files are equal, whenever they are made.
EPOCH = (1980, 1, 1, 0, 0, 0)


def arguments(usage):
    """Output and work directory of a build."""
    if len(sys.argv) not in (2, 3):
        sys.exit(usage)
    output, *work = (pathlib.Path(it).resolve() for it in sys.argv[1:])
    return output, work[0] if work else output.with_suffix(".work")


def digest_of_sources(directory):
    """Digest of a runtime's sources, of this file and of the contract."""
    digest = hashlib.sha256()
    below = [path for root in (directory, WIT) for path in root.rglob("*") if path.is_file()]
    # Runtimes are no extensions.
    unused = WIT / "extension"
    for path in sorted([*below, pathlib.Path(__file__).resolve()]):
        if "__pycache__" not in path.parts and unused not in path.parents:
            digest.update(f"{path.relative_to(ROOT)}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def is_made_from(output, inputs):
    try:
        with zipfile.ZipFile(output) as made:
            return json.loads(made.read("runtime.json"))["inputs"] == inputs
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return False


def install(directory, lock):
    """Makes a virtual environment of the packages of a lock file, unless the same file has made it."""
    def fill():
        venv.create(directory, with_pip=True)
        install_packages(directory, lock, [])

    once(directory, lock.read_bytes(), fill)


def install_packages(environment, lock, options):
    pip = [environment / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    run([*pip, "--no-deps", "--only-binary", ":all:", "--require-hashes", *options, "-r", lock])


def once(directory, sources, fill):
    """Makes a directory anew, unless the same sources have made it."""
    done = directory / ".made-from"
    if not (done.exists() and done.read_bytes() == sources):
        shutil.rmtree(directory, ignore_errors=True)
        fill()
        done.write_bytes(sources)


def run(command, **options):
    ended = subprocess.run([str(it) for it in command], **options)
    if ended.returncode != 0:
        sys.exit(f"{command[0]} failed with status {ended.returncode}")
    return ended


def write_zip(output, manifest, component, library):
    """Writes `runtime.json`, `runtime.wasm`, and below `lib/` pairs of names and contents."""
    unfinished = output.with_name(output.name + ".unfinished")
    with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr(entry("runtime.json"), json.dumps(manifest))
        made.writestr(entry("runtime.wasm"), component.read_bytes())
        for name, content in library:
            made.writestr(entry(f"lib/{name}"), content)
    unfinished.replace(output)


def entry(name):
    made = zipfile.ZipInfo(name, EPOCH)
    made.compress_type = zipfile.ZIP_DEFLATED
    made.external_attr = 0o100644 << 16
    return made
