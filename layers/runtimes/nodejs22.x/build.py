"""Builds the runtime nodejs22.x from packages of crates.io and PyPI: `build.py OUTPUT.zip [WORK_DIR]`.

Needs Python 3.9 or later with venv and pip (Debian: python3-venv), and Cargo with the target wasm32-wasip2. Does nothing
if the output was made from the same sources. The work directory keeps what was installed and compiled; by default it is
beside the output.

The output is what `lamina runtime install nodejs22.x --from OUTPUT.zip` takes:
    runtime.json   name and version
    runtime.wasm   the component, in which the engine has started
    lib/           the root directory of functions, empty but for the directories in it
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import bundle
from bundle import ROOT, WIT, run

NAME = "nodejs22.x"
VERSION = "22-quickjs"
TARGET = "wasm32-wasip2"
# The compiler of PyPI, without what it does not know of the flags for Clang.
COMPILER = """#!{python}
import os, sys
kept = [it for it in sys.argv[1:] if not it.startswith(("--target=", "-fno-omit-frame-pointer"))]
options = ["-target", "wasm32-wasi", "-fno-sanitize=undefined"] if "{tool}" == "cc" else []
os.execv(sys.executable, [sys.executable, "-m", "ziglang", "{tool}", *options, *kept])
"""


def main(output, work):
    inputs = bundle.digest_of_sources(HERE)
    if bundle.is_made_from(output, inputs):
        return
    if shutil.which("cargo") is None:
        sys.exit(f"cargo is not on this machine: install Rust with rustup, and `rustup target add {TARGET}`")
    print(f"building {output}", file=sys.stderr)
    work.mkdir(parents=True, exist_ok=True)
    bundle.install(work / "venv", HERE / "requirements.lock")
    python = work / "venv" / "bin" / "python"
    sources(work / "engine")
    component = compile_engine(work, python)
    run([python, HERE / "module.py", component, HERE / "runtime", work / "runtime.wasm"])
    manifest = {"name": NAME, "version": VERSION, "inputs": inputs}
    directories = ((f"{it}/.directory", "") for it in ("opt", "tmp", "var/task"))
    bundle.write_zip(output, manifest, work / "runtime.wasm", directories)


def sources(directory):
    """Puts the sources of the engine together: those here, the contract, and the modules of Node.js from their crate.
    Files that are equal keep their time, so that nothing is compiled again for them."""
    wanted = {}
    for path in (HERE / "engine").rglob("*"):
        if path.is_file():
            wanted[path.relative_to(HERE / "engine")] = path
    for path in WIT.rglob("*.wit"):
        wanted[path.relative_to(ROOT)] = path
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


if __name__ == "__main__":
    main(*bundle.arguments(__doc__))
