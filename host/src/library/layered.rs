//! Components in layers: the files of one directory whose names end in `.wasm`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Extension of their names.
const EXTENSION: &str = "wasm";

/// Paths in the tree and on the disk, in the order of their names. Links could lead out of the tree, and are none.
pub(super) fn components(tree: &Path, dir: &str) -> io::Result<Vec<(String, PathBuf)>> {
    let entries = match fs::read_dir(tree.join(dir)) {
        Ok(entries) => entries,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let (entry, path) = entry.map(|entry| (entry.file_type(), entry.path()))?;
        if entry?.is_file() && path.extension().is_some_and(|it| it == EXTENSION) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            found.push((format!("{dir}/{name}"), path));
        }
    }
    found.sort();
    Ok(found)
}
