//! Fuzz check of packages: nothing is unpacked outside of the tree or through a link, sizes are bounded by the
//! size of the package, and the list that a signature covers is what is unpacked.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::store::blob::Digest;

/// Bytes of an input. A larger package is no other.
const BYTES_MAX: usize = 64 << 10;
/// Bytes that one entry may unpack to whatever its size, and the ratio beyond.
const FREE_BYTES: u64 = 1 << 20;
const RATIO_MAX: u64 = 200;

/// Checks one package.
pub fn check(input: &[u8]) {
    if input.len() > BYTES_MAX {
        return;
    }
    let dir = tempfile::tempdir().expect("there is room");
    let (file, tree) = (dir.path().join("package"), dir.path().join("tree"));
    fs::write(&file, input).expect("there is room");
    fs::create_dir(&tree).expect("there is room");
    let in_memory = Package::read(PackageSource::Memory(Bytes::copy_from_slice(input)));
    let in_file = Package::read(PackageSource::File(file));
    assert_eq!(
        in_memory.as_ref().map_err(ToString::to_string).map(drop),
        in_file.as_ref().map_err(ToString::to_string).map(drop),
        "in memory and in a file"
    );
    let Ok(package) = in_memory else {
        return;
    };
    let unpacked = package.unpack(&tree);
    assert!(!matches!(unpacked, Err(Error::Io(_))), "{unpacked:?}");
    let found = walk(&tree);
    let bytes: u64 = found.values().map(Item::bytes).sum();
    let entries = match &package.contents {
        Contents::Bare => 1,
        Contents::Zip(entries) => entries.len() as u64,
    };
    let bytes_max = entries * FREE_BYTES + RATIO_MAX * input.len() as u64;
    assert!(
        bytes <= bytes_max.min(UNZIPPED_BYTES_MAX),
        "{bytes} bytes were unpacked"
    );
    let around: Vec<_> = walk(dir.path())
        .into_keys()
        .filter(|it| !it.starts_with("tree"))
        .collect();
    assert_eq!(around, ["package"], "outside of the tree");
    let listed = package.inside("", 0);
    assert_eq!(
        listed.is_ok(),
        unpacked.is_ok(),
        "{listed:?} and {unpacked:?}"
    );
    let Ok(inside) = listed else {
        return;
    };
    let shown: BTreeMap<String, String> = found
        .iter()
        .map(|(path, it)| (path.clone(), it.shown()))
        .collect();
    assert_eq!(inside.manifest.shown(), shown, "signed and unpacked");
    for handler in ["bootstrap", "../package", "/etc/passwd"] {
        if let Ok(path) = choose(&tree, handler) {
            let path = fs::canonicalize(tree.join(path)).expect("it is there");
            let tree = fs::canonicalize(&tree).expect("it is there");
            assert!(path.starts_with(tree), "a component out of the tree");
        }
    }
}

/// Entry of the unpacked tree.
enum Item {
    Directory,
    File {
        is_executable: bool,
        content: Vec<u8>,
    },
    Link(Vec<u8>),
}

impl Item {
    fn bytes(&self) -> u64 {
        match self {
            Self::Directory | Self::Link(_) => 0,
            Self::File { content, .. } => content.len() as u64,
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Directory => "dir".into(),
            Self::File {
                is_executable,
                content,
            } => {
                let mode = if *is_executable { 755 } else { 644 };
                format!("file {mode} {}", Digest::of(content))
            }
            Self::Link(target) => format!("link {}", Digest::of(target)),
        }
    }
}

/// Everything below a directory, by its path.
fn walk(root: &Path) -> BTreeMap<String, Item> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).expect("it can be listed") {
            let path = entry.expect("it can be listed").path();
            let metadata = fs::symlink_metadata(&path).expect("it is there");
            let item = if metadata.is_dir() {
                open.push(path.clone());
                Item::Directory
            } else if metadata.is_symlink() {
                let target = fs::read_link(&path).expect("it is a link");
                Item::Link(target.as_os_str().as_bytes().to_vec())
            } else {
                let content = fs::read(&path).expect("it is a file");
                let is_executable = metadata.permissions().mode() & 0o100 != 0;
                Item::File {
                    is_executable,
                    content,
                }
            };
            let name = path.strip_prefix(root).expect("it is below");
            let name = name.to_str().expect("names are text");
            found.insert(name.to_owned(), item);
        }
    }
    found
}
