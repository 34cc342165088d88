//! List of everything that a package unpacks to, which is what a signature covers. It reads the same
//! entries as unpacking does, under the same names, so that what was signed is what will run.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;

use super::{BARE_NAME, Contents, Entry, Error, Kind, Package, copy, target};
use crate::store::blob::{Digest, Hasher};
use crate::units::UNZIPPED_BYTES_MAX;

/// Files and directories by their paths, in the order of the paths' bytes.
#[derive(Debug, Default, PartialEq)]
pub struct Manifest(BTreeMap<String, Item>);

#[derive(Debug, PartialEq)]
enum Item {
    Directory,
    File {
        executable: bool,
        content: Digest,
    },
    /// A symbolic link, with the digest of its target.
    Link(Digest),
}

/// A package's list of contents, and the one file that is kept apart from it.
#[derive(Debug)]
pub struct Inside {
    /// All but that file.
    pub manifest: Manifest,
    /// Beginning of that file, if present.
    pub apart: Option<Vec<u8>>,
}

impl Manifest {
    /// Names exactly this list. See the form of a signature for what it is the digest of.
    pub fn digest(&self) -> Digest {
        let mut text = Hasher::default();
        let mut put = |parts: [&str; 3]| {
            for part in parts {
                text.write_all(part.as_bytes())
                    .expect("a hash takes what it is given");
            }
        };
        put(["lamina-contents-v1\n", "", ""]);
        for (path, item) in &self.0 {
            match item {
                Item::Directory => put(["dir ", path, "\0"]),
                Item::File {
                    executable,
                    content,
                } => {
                    let mode = if *executable { "755" } else { "644" };
                    put([&format!("file {mode} {content} "), path, "\0"]);
                }
                Item::Link(target) => put([&format!("link {target} "), path, "\0"]),
            }
        }
        text.finish()
    }

    /// Each path with its kind, mode and digest.
    #[cfg(test)]
    pub(super) fn shown(&self) -> BTreeMap<String, String> {
        let shown = |item: &Item| match item {
            Item::Directory => "dir".into(),
            Item::File {
                executable,
                content,
            } => format!("file {} {content}", if *executable { 755 } else { 644 }),
            Item::Link(target) => format!("link {target}"),
        };
        let items = self.0.iter();
        items
            .map(|(path, item)| (path.clone(), shown(item)))
            .collect()
    }

    fn put(&mut self, entry: &Entry, item: Item, apart: &Path) {
        let above = entry.path.ancestors().skip(1);
        for directory in above.chain((item == Item::Directory).then_some(entry.path.as_path())) {
            // A directory above the file apart is there because of it, whether listed in the zip or not.
            if !directory.as_os_str().is_empty() && !apart.starts_with(directory) {
                self.0.insert(text(directory), Item::Directory);
            }
        }
        if item != Item::Directory {
            self.0.insert(text(&entry.path), item);
        }
    }
}

impl Package {
    /// Lists what this unpacks to. The file `apart` is not listed but read, as far as one byte more
    /// than `bytes_max`.
    ///
    /// # Errors
    /// Where an entry is damaged or larger than it said.
    pub fn inside(&self, apart: &str, bytes_max: usize) -> Result<Inside, Error> {
        let mut manifest = Manifest::default();
        let mut reader = self.source.open()?;
        let entries = match &self.contents {
            Contents::Zip(entries) => entries,
            Contents::Bare => {
                let item = file(&mut reader, false, UNZIPPED_BYTES_MAX)?.0;
                manifest.0.insert(BARE_NAME.to_owned(), item);
                return Ok(Inside {
                    manifest,
                    apart: None,
                });
            }
        };
        let mut remaining = UNZIPPED_BYTES_MAX;
        let mut found = None;
        for entry in entries {
            if entry.is_directory() {
                manifest.put(entry, Item::Directory, Path::new(apart));
                continue;
            }
            let mut source = entry.content(&mut reader)?;
            if entry.path == Path::new(apart) {
                found = Some(beginning(source, bytes_max)?);
                continue;
            }
            let item = match entry.kind {
                Kind::File { executable } => {
                    let (item, size_bytes) = file(&mut source, executable, remaining)?;
                    remaining -= size_bytes;
                    item
                }
                _ => Item::Link(Digest::of(&target(&mut source, &entry.path)?)),
            };
            manifest.put(entry, item, Path::new(apart));
        }
        Ok(Inside {
            manifest,
            apart: found,
        })
    }
}

/// A file of the list, and its size.
fn file(source: &mut impl Read, executable: bool, max: u64) -> Result<(Item, u64), Error> {
    let mut content = Hasher::default();
    let size_bytes = copy(source, &mut content, max)?;
    let item = Item::File {
        executable,
        content: content.finish(),
    };
    Ok((item, size_bytes))
}

fn beginning(source: impl Read, bytes_max: usize) -> Result<Vec<u8>, Error> {
    let bytes_max = u64::try_from(bytes_max).expect("a length fits in 64 bits");
    let mut bytes = Vec::new();
    let mut source = source.take(bytes_max + 1);
    source.read_to_end(&mut bytes).map_err(|_| Error::NotAZip)?;
    Ok(bytes)
}

fn text(path: &Path) -> String {
    path.to_str()
        .expect("an entry's path is made of text")
        .to_owned()
}
