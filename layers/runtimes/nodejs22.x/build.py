"""Builds the runtime nodejs22.x from packages of crates.io and PyPI: `build.py OUTPUT.zip [WORK_DIR]`.

Needs Python 3.9 or later with venv and pip (Debian: python3-venv), and Cargo with the target wasm32-wasip2. Does nothing
if the output was made from the same sources. The work directory keeps what was installed and compiled; by default it is
beside the output.

The output is what `lamina runtime install nodejs22.x --from OUTPUT.zip` takes:
    runtime.json   name and version
    runtime.wasm   the component, in which the engine has started
    lib/           the root directory of functions, empty but for the directories in it
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

NAME = "nodejs22.x"
VERSION = "22-quickjs"
HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent.parent
WIT = ["wit/function.wit", "wit/managed/managed.wit"]
# Zips of equal files are equal, whenever they are made.
EPOCH = (1980, 1, 1, 0, 0, 0)
TARGET = "wasm32-wasip2"
# The compiler of PyPI, without what it does not know of the flags for Clang.
COMPILER = """#!{python}
import os, sys
kept = [it for it in sys.argv[1:] if not it.startswith(("--target=", "-fno-omit-frame-pointer"))]
options = ["-target", "wasm32-wasi", "-fno-sanitize=undefined"] if "{tool}" == "cc" else []
os.execv(sys.executable, [sys.executable, "-m", "ziglang", "{tool}", *options, *kept])
"""


def main(output, work):
    inputs = digest_of_sources()
    if is_made_from(output, inputs):
        return
    print(f"building {output}", file=sys.stderr)
    work.mkdir(parents=True, exist_ok=True)
    python = install(work / "venv")
    sources(work / "engine")
    component = compile_engine(work, python)
    run([python, HERE / "module.py", component, HERE / "runtime", work / "runtime.wasm"])
    write_zip(output, json.dumps({"name": NAME, "version": VERSION, "inputs": inputs}), work / "runtime.wasm")


def digest_of_sources():
    digest = hashlib.sha256()
    paths = [path for path in HERE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    for path in sorted([*paths, *(ROOT / it for it in WIT)]):
        digest.update(f"{path.relative_to(ROOT)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def is_made_from(output, inputs):
    try:
        with zipfile.ZipFile(output) as made:
            return json.loads(made.read("runtime.json"))["inputs"] == inputs
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return False


def install(directory):
    """Installs the locked packages; returns the interpreter that has them."""
    lock = (HERE / "requirements.lock").read_bytes()
    done = directory / "lock"
    if not (done.exists() and done.read_bytes() == lock):
        shutil.rmtree(directory, ignore_errors=True)
        venv.create(directory, with_pip=True)
        pip = [directory / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
        run([*pip, "--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", HERE / "requirements.lock"])
        done.write_bytes(lock)
    return directory / "bin" / "python"


def sources(directory):
    """Puts the sources of the engine together: those here, the contract, and the modules of Node.js from their crate.
    Files that are equal keep their time, so that nothing is compiled again for them."""
    wanted = {}
    for path in (HERE / "engine").rglob("*"):
        if path.is_file():
            wanted[path.relative_to(HERE / "engine")] = path
    for name in WIT:
        wanted[pathlib.Path(name)] = ROOT / name
    skeleton = package("wasm-rquickjs") / "skeleton"
    for name in ("builtin", "internal", "wrappers.rs", "error_display.js"):
        top = skeleton / "src" / name
        for path in [top] if top.is_file() else top.rglob("*"):
            if path.is_file():
                wanted[path.relative_to(skeleton)] = path
    for relative, path in wanted.items():
        target, content = directory / relative, path.read_bytes()
        if not (target.exists() and target.read_bytes() == content):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)


def package(name):
    """Directory of a package of crates.io, which Cargo has fetched and checked against the lock file."""
    command = ["cargo", "metadata", "--locked", "--format-version", "1"]
    command += ["--filter-platform", TARGET, "--manifest-path", HERE / "crate" / "Cargo.toml"]
    found = json.loads(run(command, stdout=subprocess.PIPE).stdout)
    (path,) = (it["manifest_path"] for it in found["packages"] if it["name"] == name)
    return pathlib.Path(path).parent


def compile_engine(work, python):
    environment = {name: it for name, it in os.environ.items() if name not in ("RUSTFLAGS", "CARGO_BUILD_TARGET")}
    # Without it, the build of QuickJS downloads a compiler.
    environment["RQUICKJS_SYS_NO_WASI_SDK"] = "1"
    environment["CARGO_TARGET_DIR"] = str(work / "target")
    for tool, variable in (("cc", "CC"), ("ar", "AR")):
        script = work / tool
        script.write_text(COMPILER.format(python=python, tool=tool))
        script.chmod(0o755)
        environment[f"{variable}_{TARGET.replace('-', '_')}"] = str(script)
    manifest = work / "engine" / "Cargo.toml"
    run(["cargo", "build", "--quiet", "--locked", "--target", TARGET, "--manifest-path", manifest], env=environment)
    return work / "target" / TARGET / "debug" / "lamina_nodejs.wasm"


def run(command, **options):
    try:
        ended = subprocess.run([str(it) for it in command], **options)
    except FileNotFoundError:
        sys.exit(f"{command[0]} is not on this machine: install Rust with rustup, and `rustup target add {TARGET}`")
    if ended.returncode != 0:
        sys.exit(f"{command[0]} failed with status {ended.returncode}")
    return ended


def write_zip(output, manifest, component):
    unfinished = output.with_name(output.name + ".unfinished")
    with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr(entry("runtime.json"), manifest)
        made.writestr(entry("runtime.wasm"), component.read_bytes())
        for directory in ("opt", "tmp", "var/task"):
            made.writestr(entry(f"lib/{directory}/.directory"), "")
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
