//! Layers of an image, laid over one another in a directory. Layers are hostile: every name is resolved below the
//! image's root, whatever symbolic links are there, and everything is counted.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use tar::{Archive, EntryType};

mod bounded;
mod header;
mod root;
#[cfg(test)]
mod tests;

use super::manifest::LayerKind;
use crate::disk;
use crate::library::package::BARE_NAME;
use crate::store::directory;
use bounded::Bounded;
use header::Header;
use root::Root;

/// Entries of all layers, directories that none lists included.
const ENTRIES_MAX: usize = 300_000;
/// Prefix of a name that deletes another one, and the name that empties its directory.
const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Bytes that are copied at once.
const BUFFER_BYTES: usize = 64 << 10;

/// Error of a layer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The layer is not allowed, or is damaged.
    #[error("{0}")]
    Content(String),
    /// The image is too large.
    #[error("the image is too large")]
    TooLarge,
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] io::Error),
}

/// A directory that layers are unpacked to.
pub(super) struct Unpacker {
    root: Root,
    bytes_left: u64,
    /// Paths that the current layer has written, with the directories above them.
    added: HashSet<PathBuf>,
}

impl Unpacker {
    /// Unpacks to an empty directory, at most so many bytes.
    pub(super) fn new(into: &Path, bytes_max: u64) -> Self {
        Self {
            root: Root::new(into, ENTRIES_MAX),
            bytes_left: bytes_max,
            added: HashSet::new(),
        }
    }

    /// Lays a layer over those before it.
    pub(super) fn layer(&mut self, kind: LayerKind, layer: &Path) -> Result<(), Error> {
        let file = File::open(layer)?;
        let compressed = file.metadata()?.len();
        let reader: Box<dyn Read> = match kind {
            LayerKind::GzipTar => Box::new(MultiGzDecoder::new(io::BufReader::new(file))),
            LayerKind::Tar | LayerKind::Component => Box::new(file),
        };
        let mut bounded = Bounded::new(reader, compressed, self.bytes_left);
        self.added.clear();
        let unpacked = self.entries(&mut bounded).and_then(|()| {
            // The end of a compressed layer has its checksum.
            io::copy(&mut bounded, &mut io::sink())
                .map(drop)
                .map_err(damaged)
        });
        self.bytes_left = bounded.left();
        match bounded.refusal() {
            // The reader's error reached the parser, which has words of its own for it.
            Some(refusal) => Err(refusal),
            None => unpacked,
        }
    }

    /// Puts a component into the tree.
    pub(super) fn component(&mut self, name: Option<&str>, layer: &Path) -> Result<(), Error> {
        let name = name.unwrap_or(BARE_NAME);
        let size = std::fs::metadata(layer)?.len();
        self.bytes_left = self.bytes_left.checked_sub(size).ok_or(Error::TooLarge)?;
        match disk::copy(layer, &self.root.path(Path::new(name))) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(Error::Content(
                format!("two of its components are named {name}"),
            )),
            copied => Ok(copied?),
        }
    }

    fn entries(&mut self, reader: &mut impl Read) -> Result<(), Error> {
        let mut archive = Archive::new(reader);
        // Raw, since the crate reads long names into memory without a bound.
        let entries = archive.entries().map_err(damaged)?.raw(true);
        let mut extensions = header::Extensions::default();
        for entry in entries {
            let mut entry = entry.map_err(damaged)?;
            if extensions.take(&mut entry)? {
                continue;
            }
            let header = Header::new(entry.header(), std::mem::take(&mut extensions))?;
            self.entry(&header, &mut entry)?;
        }
        Ok(())
    }

    fn entry(&mut self, header: &Header, content: &mut impl Read) -> Result<(), Error> {
        let refused = |problem: &str| header.refused(problem);
        let path = header.path()?;
        let Some(name) = path.file_name() else {
            // The root itself.
            return Ok(());
        };
        let parent = path.parent().unwrap_or_else(|| Path::new(""));
        if let Some(deleted) = name.as_bytes().strip_prefix(WHITEOUT) {
            let dir = self.root.existing(parent).map_err(|it| it.of(header))?;
            let Some(dir) = dir else {
                return Ok(());
            };
            return match name.as_bytes() == OPAQUE {
                true => self.clear(&dir),
                false if deleted.is_empty() || matches!(deleted, b"." | b"..") => {
                    Err(refused("it deletes no name"))
                }
                false => self.whiteout(&dir.join(OsStr::from_bytes(deleted))),
            };
        }
        let dir = self.root.directory(parent).map_err(|it| it.of(header))?;
        let at = dir.join(name);
        self.note(&at);
        match header.kind() {
            EntryType::Directory => self.root.make_directory(&at).map_err(|it| it.of(header)),
            EntryType::Regular | EntryType::Continuous => {
                self.replace(&at, header)?;
                self.file(&at, header, content)
            }
            EntryType::Symlink => {
                let target = self.root.link_target(&dir, header.target()?);
                self.replace(&at, header)?;
                Ok(symlink(target, self.root.path(&at))?)
            }
            EntryType::Link => self.hard_link(&at, header),
            EntryType::Block | EntryType::Char | EntryType::Fifo => Err(refused(
                "it is a device; files, directories and links are allowed",
            )),
            _ => Err(refused("it is of an unknown kind")),
        }
    }

    /// Removes what is in the place of a new entry.
    fn replace(&mut self, at: &Path, header: &Header) -> Result<(), Error> {
        directory::delete(&self.root.path(at))?;
        self.root.count().map_err(|it| it.of(header))
    }

    fn file(&mut self, at: &Path, header: &Header, content: &mut impl Read) -> Result<(), Error> {
        let mut file = disk::create_new(&self.root.path(at))?;
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut copied = 0;
        loop {
            let read = content.read(&mut buffer).map_err(damaged)?;
            if read == 0 {
                break;
            }
            copied += read as u64;
            file.write_all(&buffer[..read])?;
        }
        if copied != header.size() {
            return Err(header.refused("it ends early"));
        }
        if header.is_executable() {
            disk::make_executable(&file)?;
        }
        Ok(())
    }

    fn hard_link(&mut self, at: &Path, header: &Header) -> Result<(), Error> {
        let missing = || header.refused("it is a hard link to no file of the image");
        let target = header::relative(header.target()?).map_err(|it| header.refused(it))?;
        let parent = target.parent().ok_or_else(missing)?;
        let name = target.file_name().ok_or_else(missing)?;
        let dir = self.root.existing(parent).map_err(|it| it.of(header))?;
        let source = dir.ok_or_else(missing)?.join(name);
        if source == at {
            return Ok(());
        }
        let source = self.root.path(&source);
        let found = std::fs::symlink_metadata(&source)
            .map_err(|_| missing())?
            .file_type();
        if found.is_dir() {
            return Err(missing());
        }
        self.replace(at, header)?;
        let into = self.root.path(at);
        if found.is_symlink() {
            return Ok(symlink(std::fs::read_link(&source)?, into)?);
        }
        // Its name may have been below what the new one replaced.
        std::fs::hard_link(&source, into).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => missing(),
            _ => Error::Disk(error),
        })
    }

    /// Deletes what lower layers have at a path.
    fn whiteout(&self, at: &Path) -> Result<(), Error> {
        if !self.added.contains(at) {
            directory::delete(&self.root.path(at))?;
        }
        Ok(())
    }

    /// Deletes what lower layers have in a directory.
    fn clear(&self, dir: &Path) -> Result<(), Error> {
        for entry in std::fs::read_dir(self.root.path(dir))? {
            let entry = entry?;
            let at = dir.join(entry.file_name());
            if !self.added.contains(&at) {
                directory::delete(&entry.path())?;
            } else if entry.file_type()?.is_dir() {
                self.clear(&at)?;
            }
        }
        Ok(())
    }

    fn note(&mut self, at: &Path) {
        for path in at.ancestors() {
            if !self.added.insert(path.to_owned()) {
                return;
            }
        }
    }
}

/// Error of a reader: disk errors of the layer's file included, since its digest was checked.
fn damaged(error: io::Error) -> Error {
    Error::Content(format!("a layer is damaged: {error}"))
}
