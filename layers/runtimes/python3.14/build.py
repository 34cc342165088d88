"""Builds the runtime python3.14 from packages of PyPI: `build.py OUTPUT.zip [WORK_DIR]`.

Needs Python 3.9 or later with venv and pip (Debian: python3-venv). Does nothing if the output was made from the
same sources. The work directory keeps the installed packages; by default it is beside the output.

The output is what `lamina runtime install python3.14 --from OUTPUT.zip` takes:
    runtime.json   name and version
    runtime.wasm   the component, in which the interpreter has started and imported the AWS SDK
    lib/           the standard library and, in site-packages, the AWS SDK; compiled in .pyc
"""

import os
import pathlib
import shutil
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import bundle
from bundle import WIT, run

NAME = "python3.14"


def main(output, work):
    inputs = bundle.digest_of_sources(HERE)
    if bundle.is_made_from(output, inputs):
        return
    print(f"building {output}", file=sys.stderr)
    work.mkdir(parents=True, exist_ok=True)
    bundle.install(work / "venv", HERE / "requirements.lock")
    tool = work / "venv" / "bin" / "componentize-py"
    packages = install_packages(work / "venv", work / "packages")
    library = standard_library(tool, packages, work / "stdlib")
    componentize(tool, work / "runtime", HERE / "runtime", packages, work / "runtime.wasm")
    version = (library / "version").read_text()
    manifest = {"name": NAME, "version": version, "inputs": inputs}
    files = sorted(path for path in (library / "lib").rglob("*") if path.is_file())
    files = ((path.relative_to(library / "lib"), path.read_bytes()) for path in files)
    bundle.write_zip(output, manifest, work / "runtime.wasm", files)


def install_packages(environment, directory):
    """Installs the packages that functions find; returns their directory."""
    lock = HERE / "packages.lock"

    def fill():
        bundle.install_packages(environment, lock, ["--target", directory])
        # Programs, and texts for the documentation of the SDK.
        shutil.rmtree(directory / "bin", ignore_errors=True)
        for examples in directory.glob("botocore/data/*/*/examples-1.json*"):
            examples.unlink()

    bundle.once(directory, lock.read_bytes(), fill)
    return directory


def standard_library(tool, packages, directory):
    """Makes the standard library, unless the same sources have made it; returns the directory that has it."""
    names = ("stdlib/lamina_entry.py", "requirements.lock", "packages.lock")
    sources = b"".join((HERE / name).read_bytes() for name in names)
    component = directory.with_suffix(".wasm")
    bundle.once(directory, sources, lambda: componentize(tool, directory, HERE / "stdlib", packages, component))
    return directory


def componentize(tool, directory, sources, packages, component):
    """Makes a component of a copy of `sources`, which may write into its directory; returns that."""
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(sources, directory, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(packages, directory / "packages", ignore=shutil.ignore_patterns(".made-from"))
    # Without a virtual environment, the tool adds the packages of this machine's Python.
    empty = directory.with_name("empty")
    (empty / "lib" / "python3.14" / "site-packages").mkdir(parents=True, exist_ok=True)
    wit = ["--wit-path", WIT, "--wit-path", WIT / "managed", "--world", "lambda:managed/managed"]
    command = [tool, "--quiet", *wit, "componentize", "lamina_entry", "--python-path", directory, "--output", component]
    run(command, env={**os.environ, "VIRTUAL_ENV": str(empty)})
    return directory


if __name__ == "__main__":
    main(*bundle.arguments(__doc__))
