"""Builds the runtime python3.14 from packages of PyPI: `build.py OUTPUT.zip [WORK_DIR]`.

Needs Python 3.9 or later with venv and pip (Debian: python3-venv). Does nothing if the output was made from the
same sources. The work directory keeps the installed packages; by default it is beside the output.

The output is what `lamina runtime install python3.14 --from OUTPUT.zip` takes:
    runtime.json   name and version
    runtime.wasm   the component, in which the interpreter has started and imported the AWS SDK
    lib/           the standard library and, in site-packages, the AWS SDK; compiled in .pyc
"""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import venv
import zipfile

NAME = "python3.14"
HERE = pathlib.Path(__file__).resolve().parent
WIT = HERE.parent.parent.parent / "wit"
# Zips of equal files are equal, whenever they are made.
EPOCH = (1980, 1, 1, 0, 0, 0)


def main(output, work):
    inputs = digest_of_sources()
    if is_made_from(output, inputs):
        return
    print(f"building {output}", file=sys.stderr)
    work.mkdir(parents=True, exist_ok=True)
    tool = install(work / "venv")
    packages = install_packages(work / "venv", work / "packages")
    library = standard_library(tool, packages, work / "stdlib")
    componentize(tool, work / "runtime", HERE / "runtime", packages, work / "runtime.wasm")
    version = (library / "version").read_text()
    manifest = json.dumps({"name": NAME, "version": version, "inputs": inputs})
    write_zip(output, manifest, work / "runtime.wasm", library / "lib")


def digest_of_sources():
    digest = hashlib.sha256()
    sources = [path for root in (HERE, WIT) for path in root.rglob("*") if path.is_file()]
    for path in sorted(sources):
        if "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(HERE.parent.parent.parent)}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def is_made_from(output, inputs):
    try:
        with zipfile.ZipFile(output) as made:
            return json.loads(made.read("runtime.json"))["inputs"] == inputs
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return False


def install(directory):
    """Installs the locked packages; returns the path of componentize-py."""
    lock = (HERE / "requirements.lock").read_bytes()
    done = directory / "lock"
    if not (done.exists() and done.read_bytes() == lock):
        shutil.rmtree(directory, ignore_errors=True)
        venv.create(directory, with_pip=True)
        pip = [directory / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
        run([*pip, "--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", HERE / "requirements.lock"])
        done.write_bytes(lock)
    return directory / "bin" / "componentize-py"


def install_packages(environment, directory):
    """Installs the packages that functions find; returns their directory."""
    lock = (HERE / "packages.lock").read_bytes()
    done = directory / "lock"
    if not (done.exists() and done.read_bytes() == lock):
        shutil.rmtree(directory, ignore_errors=True)
        pip = [environment / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
        options = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--target", directory]
        run([*pip, *options, "-r", HERE / "packages.lock"])
        # Programs, and texts for the documentation of the SDK.
        shutil.rmtree(directory / "bin", ignore_errors=True)
        for examples in directory.glob("botocore/data/*/*/examples-1.json*"):
            examples.unlink()
        done.write_bytes(lock)
    return directory


def standard_library(tool, packages, directory):
    """Makes the standard library, unless the same sources have made it; returns the directory that has it."""
    names = ("stdlib/lamina_entry.py", "requirements.lock", "packages.lock")
    sources = b"".join((HERE / name).read_bytes() for name in names)
    done = directory / "sources"
    if not (done.exists() and done.read_bytes() == sources):
        componentize(tool, directory, HERE / "stdlib", packages, directory.with_suffix(".wasm"))
        done.write_bytes(sources)
    return directory


def componentize(tool, directory, sources, packages, component):
    """Makes a component of a copy of `sources`, which may write into its directory; returns that."""
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(sources, directory, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(packages, directory / "packages", ignore=shutil.ignore_patterns("lock"))
    # Without a virtual environment, the tool adds the packages of this machine's Python.
    empty = directory.with_name("empty")
    (empty / "lib" / "python3.14" / "site-packages").mkdir(parents=True, exist_ok=True)
    wit = ["--wit-path", WIT, "--wit-path", WIT / "managed", "--world", "lambda:managed/managed"]
    command = [tool, "--quiet", *wit, "componentize", "lamina_entry", "--python-path", directory, "--output", component]
    run(command, env={**os.environ, "VIRTUAL_ENV": str(empty)})
    return directory


def run(command, **options):
    ended = subprocess.run([str(it) for it in command], **options)
    if ended.returncode != 0:
        sys.exit(f"{command[0]} failed with status {ended.returncode}")


def write_zip(output, manifest, component, library):
    unfinished = output.with_name(output.name + ".unfinished")
    with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr(entry("runtime.json"), manifest)
        made.writestr(entry("runtime.wasm"), component.read_bytes())
        for path in sorted(library.rglob("*")):
            if path.is_file():
                made.writestr(entry(f"lib/{path.relative_to(library)}"), path.read_bytes())
    unfinished.replace(output)


def entry(name):
    made = zipfile.ZipInfo(name, EPOCH)
    made.compress_type = zipfile.ZIP_DEFLATED
    made.external_attr = 0o100644 << 16
    return made


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    target = pathlib.Path(sys.argv[1]).resolve()
    main(target, pathlib.Path(sys.argv[2]).resolve() if len(sys.argv) == 3 else target.with_suffix(".work"))
