//! Extensions in layers: components below `extensions/`.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::{Digest, layered};

/// Directory of extensions in a layer.
const DIRECTORY: &str = "extensions";
/// Extensions of a function, as in AWS.
pub(super) const EXTENSIONS_MAX: usize = 10;

/// An extension in a tree.
#[derive(Debug)]
pub(super) struct Found {
    /// Name of its file, without `.wasm`.
    pub(super) name: Arc<str>,
    /// Path in the tree.
    pub(super) path: String,
    /// Digest of the component.
    pub(super) digest: Digest,
}

/// Extensions in the tree that a function sees at `/opt`, in the order of their names.
pub(super) fn find(tree: &Path) -> io::Result<Vec<Found>> {
    let components = layered::components(tree, DIRECTORY)?.into_iter();
    let found = components.map(|(path, file)| {
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        Ok(Found {
            name: (*name).into(),
            path,
            digest: Digest::of(&fs::read(file)?),
        })
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_below_extensions_are_found_in_order() {
        let tree = tempfile::tempdir().unwrap();
        assert!(find(tree.path()).unwrap().is_empty());
        let dir = tree.path().join("extensions");
        fs::create_dir_all(dir.join("d.wasm")).unwrap();
        for name in ["b.wasm", "a.wasm", "native", "a.txt"] {
            fs::write(dir.join(name), name).unwrap();
        }
        std::os::unix::fs::symlink("a.wasm", dir.join("link.wasm")).unwrap();
        let found = find(tree.path()).unwrap();
        let names: Vec<_> = found.iter().map(|it| (&*it.name, &*it.path)).collect();
        assert_eq!(
            names,
            [("a", "extensions/a.wasm"), ("b", "extensions/b.wasm")]
        );
        assert_eq!(found[0].digest, Digest::of(b"a.wasm"));
    }
}
