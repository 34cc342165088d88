//! Zips of directories. Equal files give an equal zip, so that an unchanged package has an unchanged digest.

use std::fs::{self, File};
use std::io::{self, Cursor, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, bail};
use zip::write::SimpleFileOptions;
use zip::{DateTime, ZipWriter};

/// Zip under construction, in memory.
pub(super) struct Archive<'a> {
    zip: ZipWriter<Cursor<Vec<u8>>>,
    /// Decides which files of a directory are left out.
    leaves_out: &'a dyn Fn(&Path) -> bool,
}

impl<'a> Archive<'a> {
    pub(super) fn new(leaves_out: &'a dyn Fn(&Path) -> bool) -> Self {
        Self {
            zip: ZipWriter::new(Cursor::new(Vec::new())),
            leaves_out,
        }
    }

    /// Adds bytes as a file.
    pub(super) fn add_bytes(&mut self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        self.zip.start_file(name, options(0o644))?;
        Ok(self.zip.write_all(bytes)?)
    }

    /// Adds a file, or a directory with its entry.
    pub(super) fn add(&mut self, path: &Path, name: &str) -> anyhow::Result<()> {
        let found = fs::symlink_metadata(path).with_context(|| path.display().to_string())?;
        let options = options(found.permissions().mode() & 0o777);
        if found.is_dir() {
            self.zip.add_directory(format!("{name}/"), options)?;
            self.add_contents(path, &format!("{name}/"))
        } else if found.is_file() {
            self.zip.start_file(name, options)?;
            io::copy(&mut File::open(path)?, &mut self.zip)?;
            Ok(())
        } else {
            bail!("{name} is a link or a device; only files and directories can be packaged")
        }
    }

    /// Adds what a directory holds. `prefix` is empty or ends with a slash.
    pub(super) fn add_contents(&mut self, dir: &Path, prefix: &str) -> anyhow::Result<()> {
        let entries = fs::read_dir(dir).with_context(|| dir.display().to_string())?;
        let mut entries = entries.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            if (self.leaves_out)(&path) {
                continue;
            }
            let name = entry.file_name();
            let name = name.to_str().map(|name| format!("{prefix}{name}"));
            let name = name.with_context(|| format!("{}: not a name in UTF-8", path.display()))?;
            self.add(&path, &name)?;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> anyhow::Result<Vec<u8>> {
        Ok(self.zip.finish()?.into_inner())
    }
}

fn options(mode: u32) -> SimpleFileOptions {
    SimpleFileOptions::default()
        .last_modified_time(DateTime::default())
        .unix_permissions(mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zipped(dir: &Path) -> anyhow::Result<Vec<u8>> {
        let leaves_out = |path: &Path| path.ends_with(".git");
        let mut archive = Archive::new(&leaves_out);
        archive.add_contents(dir, "")?;
        archive.finish()
    }

    #[test]
    fn same_files_make_the_same_zip() {
        let zip = || {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir(dir.path().join("lib")).unwrap();
            fs::create_dir(dir.path().join(".git")).unwrap();
            fs::write(dir.path().join("lib/b.txt"), "b").unwrap();
            fs::write(dir.path().join("a.txt"), "a").unwrap();
            zipped(dir.path()).unwrap()
        };
        let made = zip();
        assert_eq!(made, zip());
        let mut read = zip::ZipArchive::new(Cursor::new(made)).unwrap();
        let names = (0..read.len()).map(|at| {
            let file = read.by_index(at).unwrap();
            file.name().unwrap().into_owned()
        });
        assert_eq!(names.collect::<Vec<_>>(), ["a.txt", "lib/", "lib/b.txt"]);
    }

    #[test]
    fn links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link")).unwrap();
        let refused = zipped(dir.path()).unwrap_err().to_string();
        assert!(refused.starts_with("link is a link"), "{refused}");
    }
}
