//! Headers of tar entries, with the long names of GNU and pax, which are entries of their own before them.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use tar::{Entry, EntryType, PaxExtensions};

use super::{Error, damaged};

/// Length of an extension: names, and attributes that are ignored.
const EXTENSION_BYTES_MAX: u64 = 1 << 20;
/// Length of a path, and of a symbolic link's target.
const PATH_BYTES_MAX: usize = 4_095;
/// Length of one name.
const NAME_BYTES_MAX: usize = 255;
/// Mode of an entry that has none.
const MODE_DEFAULT: u32 = 0o644;
/// Nesting of directories. Measuring and deleting a tree keep each level open.
const DEPTH_MAX: usize = 128;

/// Extensions of the next entry.
#[derive(Default)]
pub(super) struct Extensions {
    path: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    size: Option<u64>,
}

/// Header of one entry.
pub(super) struct Header {
    name: Vec<u8>,
    target: Vec<u8>,
    kind: EntryType,
    mode: u32,
    size: u64,
}

impl Extensions {
    /// Reads an entry that is an extension; false for any other.
    pub(super) fn take(&mut self, entry: &mut Entry<'_, impl Read>) -> Result<bool, Error> {
        let kind = entry.header().entry_type();
        match kind {
            EntryType::GNULongName => self.path = Some(text(entry)?),
            EntryType::GNULongLink => self.target = Some(text(entry)?),
            EntryType::XHeader => {
                let records = content(entry)?;
                self.read_pax(&records)?;
            }
            EntryType::XGlobalHeader => drop(content(entry)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn read_pax(&mut self, records: &[u8]) -> Result<(), Error> {
        for record in PaxExtensions::new(records) {
            let record = record.map_err(damaged)?;
            let value = record.value_bytes();
            match record.key_bytes() {
                b"path" => self.path = Some(value.to_owned()),
                b"linkpath" => self.target = Some(value.to_owned()),
                b"size" => {
                    let size = std::str::from_utf8(value)
                        .ok()
                        .and_then(|it| it.parse().ok());
                    self.size = Some(size.unwrap_or(u64::MAX));
                }
                key if key.starts_with(b"GNU.sparse.") => {
                    return Err(Error::Content("a layer has a sparse file".to_owned()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The text of a GNU extension, without its NUL.
fn text(entry: &mut Entry<'_, impl Read>) -> Result<Vec<u8>, Error> {
    let mut text = content(entry)?;
    while text.last() == Some(&0) {
        text.pop();
    }
    Ok(text)
}

fn content(entry: &mut Entry<'_, impl Read>) -> Result<Vec<u8>, Error> {
    let size = entry.header().entry_size().map_err(damaged)?;
    if size > EXTENSION_BYTES_MAX {
        return Err(Error::Content(
            "a layer has a name or attributes over 1 MiB".to_owned(),
        ));
    }
    let mut content = Vec::new();
    entry.read_to_end(&mut content).map_err(damaged)?;
    Ok(content)
}

impl Header {
    pub(super) fn new(header: &tar::Header, extensions: Extensions) -> Result<Self, Error> {
        let own = || header.path_bytes().into_owned();
        let target = || header.link_name_bytes().map(|it| it.into_owned());
        let new = Self {
            name: extensions.path.unwrap_or_else(own),
            target: extensions.target.or_else(target).unwrap_or_default(),
            kind: header.entry_type(),
            mode: header.mode().unwrap_or(MODE_DEFAULT),
            size: header.entry_size().map_err(damaged)?,
        };
        if extensions.size.is_some_and(|size| size != new.size) {
            // Parsers disagree about which of the two counts.
            return Err(new.refused("its header has two sizes"));
        }
        Ok(new)
    }

    pub(super) fn kind(&self) -> EntryType {
        // Archives of the first format mark a directory with a slash only.
        match self.kind {
            EntryType::Regular if self.name.ends_with(b"/") => EntryType::Directory,
            kind => kind,
        }
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn is_executable(&self) -> bool {
        self.mode & 0o111 != 0
    }

    /// Path below the image's root.
    pub(super) fn path(&self) -> Result<PathBuf, Error> {
        relative(&self.name).map_err(|problem| self.refused(problem))
    }

    /// Target of a link.
    pub(super) fn target(&self) -> Result<&[u8], Error> {
        let target = self.target.as_slice();
        match target.is_empty() || target.len() > PATH_BYTES_MAX || target.contains(&0) {
            true => Err(self.refused("it is a link to what cannot be a path")),
            false => Ok(target),
        }
    }

    pub(super) fn refused(&self, problem: &str) -> Error {
        let name = String::from_utf8_lossy(&self.name);
        let name: String = name.chars().take(200).collect();
        Error::Content(format!(
            "the entry {name:?} of a layer is not allowed: {problem}"
        ))
    }
}

/// Path below the image's root: absolute names are names there, too.
pub(super) fn relative(name: &[u8]) -> Result<PathBuf, &'static str> {
    if name.contains(&0) {
        return Err("its name has a NUL");
    }
    if name.len() > PATH_BYTES_MAX {
        return Err("its name is longer than 4095 bytes");
    }
    let parts: Vec<&[u8]> = name
        .split(|byte| *byte == b'/')
        .filter(|part| !matches!(*part, b"" | b"."))
        .collect();
    if parts.contains(&b"..".as_slice()) {
        return Err("its name leads out of the image");
    }
    if parts.len() > DEPTH_MAX {
        return Err("it is in too many directories");
    }
    if parts.iter().any(|part| part.len() > NAME_BYTES_MAX) {
        return Err("a part of its name is longer than 255 bytes");
    }
    Ok(parts.iter().map(|part| OsStr::from_bytes(part)).collect())
}
