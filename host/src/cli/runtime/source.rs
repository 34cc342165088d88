//! Sources of the managed runtimes, at their paths in the repository: this program builds runtimes without it.

use std::fs;
use std::path::Path;

macro_rules! sources {
    ($($path:literal),* $(,)?) => {
        [$(($path, include_str!(concat!("../../../../", $path)))),*]
    };
}

const SOURCES: [(&str, &str); 38] = sources![
    "layers/runtimes/bundle.py",
    "layers/runtimes/nodejs22.x/build.py",
    "layers/runtimes/nodejs22.x/crate/Cargo.lock",
    "layers/runtimes/nodejs22.x/crate/Cargo.toml",
    "layers/runtimes/nodejs22.x/engine/Cargo.lock",
    "layers/runtimes/nodejs22.x/engine/Cargo.toml",
    "layers/runtimes/nodejs22.x/engine/src/lib.rs",
    "layers/runtimes/nodejs22.x/engine/src/modules/mod.rs",
    "layers/runtimes/nodejs22.x/module.py",
    "layers/runtimes/nodejs22.x/requirements.lock",
    "layers/runtimes/nodejs22.x/runtime/builtins.js",
    "layers/runtimes/nodejs22.x/runtime/context.js",
    "layers/runtimes/nodejs22.x/runtime/entry.js",
    "layers/runtimes/nodejs22.x/runtime/errors.js",
    "layers/runtimes/nodejs22.x/runtime/handler.js",
    "layers/runtimes/nodejs22.x/runtime/logs.js",
    "layers/runtimes/nodejs22.x/runtime/streams.js",
    "layers/runtimes/nodejs22.x/runtime/timers.js",
    "layers/runtimes/python3.14/build.py",
    "layers/runtimes/python3.14/packages.lock",
    "layers/runtimes/python3.14/requirements.lock",
    "layers/runtimes/python3.14/runtime/lamina_entry.py",
    "layers/runtimes/python3.14/runtime/lamina_runtime/__init__.py",
    "layers/runtimes/python3.14/runtime/lamina_runtime/certificate.py",
    "layers/runtimes/python3.14/runtime/lamina_runtime/compiling.py",
    "layers/runtimes/python3.14/runtime/lamina_runtime/context.py",
    "layers/runtimes/python3.14/runtime/lamina_runtime/environment.py",
    "layers/runtimes/python3.14/runtime/lamina_runtime/errors.py",
    "layers/runtimes/python3.14/runtime/lamina_runtime/invocation.py",
    "layers/runtimes/python3.14/runtime/lamina_runtime/logs.py",
    "layers/runtimes/python3.14/runtime/lamina_runtime/modules.py",
    "layers/runtimes/python3.14/runtime/lamina_runtime/packages.py",
    "layers/runtimes/python3.14/runtime/lamina_runtime/patches.py",
    "layers/runtimes/python3.14/runtime/lamina_runtime/results.py",
    "layers/runtimes/python3.14/runtime/ssl.py",
    "layers/runtimes/python3.14/stdlib/lamina_entry.py",
    "wit/function.wit",
    "wit/managed/managed.wit",
];

/// Writes the sources below a directory.
pub(super) fn write(dir: &Path) -> std::io::Result<()> {
    for (path, text) in SOURCES {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().expect("a file has a directory"))?;
        fs::write(path, text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn files(dir: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("__pycache__") {
                files(&path, into);
            } else if path.is_file() {
                into.push(path);
            }
        }
    }

    #[test]
    fn sources_are_all_files_of_runtimes_and_of_the_contract() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut found = vec![root.join("layers/runtimes/bundle.py")];
        for dir in [
            "layers/runtimes/nodejs22.x",
            "layers/runtimes/python3.14",
            "wit",
        ] {
            files(&root.join(dir), &mut found);
        }
        let found = found.iter().map(|it| it.strip_prefix(root).unwrap());
        let mut found: Vec<&str> = found.map(|it| it.to_str().unwrap()).collect();
        // Runtimes are no extensions.
        found.retain(|it| !it.starts_with("wit/extension/"));
        found.sort_unstable();
        assert_eq!(found, SOURCES.map(|(path, _)| path), "list them in SOURCES");
    }
}
