//! Count of the files that an access point has when the host starts.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{Quota, blocks};

impl Quota {
    /// Counts the names and blocks below a directory. Entries that another program deletes meanwhile, and paths that
    /// are too long for the system, are left out.
    pub(in crate::sandbox::filesystem) fn count_tree(&self, root: &Path) -> io::Result<()> {
        let (mut names, mut bytes_in_blocks) = (0, 0);
        let mut linked = HashSet::new();
        let mut directories = vec![root.to_owned()];
        while let Some(directory) = directories.pop() {
            let entries = match fs::read_dir(&directory) {
                Ok(entries) => entries,
                Err(error) if directory == root => return Err(error),
                Err(_) => continue,
            };
            for entry in entries {
                let entry = entry?;
                names += 1;
                let Ok(metadata) = entry.metadata() else {
                    continue;
                };
                if metadata.is_dir() {
                    directories.push(entry.path());
                } else if metadata.nlink() < 2 || linked.insert((metadata.dev(), metadata.ino())) {
                    bytes_in_blocks += blocks(metadata.len());
                }
            }
        }
        let mut used = self.lock();
        used.names = names;
        used.blocks = bytes_in_blocks;
        used.was_named = names > 0;
        self.count(&used);
        Ok(())
    }
}
