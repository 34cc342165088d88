//! Changes to log groups: deletion of groups and streams, and retention. All functions block on the
//! disk.

use std::io;
use std::sync::Arc;

use super::disk::Settings;
use super::group::Group;
use super::{Logs, Store};

/// Failure to change a group.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Group does not exist.
    #[error("the log group does not exist")]
    NoGroup,
    /// Stream does not exist.
    #[error("the log stream does not exist")]
    NoStream,
    /// I/O error.
    #[error("the log group cannot be changed on disk")]
    Disk(#[from] io::Error),
}

impl Logs {
    /// Deletes a group with its events and settings. A function that keeps logging recreates it.
    ///
    /// # Errors
    /// If the group does not exist, or on I/O errors.
    pub fn delete_group(&self, name: &str) -> Result<(), Error> {
        self.0.delete_group(name)
    }

    /// Deletes a stream with its events.
    ///
    /// # Errors
    /// If the group or the stream does not exist, or on I/O errors.
    pub fn delete_stream(&self, group: &str, stream: &str) -> Result<(), Error> {
        self.0.delete_stream(group, stream)
    }

    /// Sets the retention in days; `None` never expires events.
    ///
    /// # Errors
    /// If the group does not exist, or on I/O errors.
    pub fn set_retention(&self, group: &str, days: Option<u16>) -> Result<(), Error> {
        self.0.set_retention(group, days)
    }
}

impl Store {
    pub(super) fn delete_group(&self, name: &str) -> Result<(), Error> {
        let group = self.existing(name)?;
        let _disk = group.disk();
        if !group.delete() {
            return Err(Error::NoGroup);
        }
        let removed = self.root.as_ref().map(|root| root.group(name).remove());
        self.groups.remove(&group);
        Ok(removed.transpose().map(|_| ())?)
    }

    fn delete_stream(&self, name: &str, stream: &str) -> Result<(), Error> {
        let group = self.existing(name)?;
        let _disk = group.disk();
        group.complete_locked(|| self.load(name), self.bounds());
        if group.is_deleted() {
            return Err(Error::NoGroup);
        }
        let was_in_memory = group.ring().remove_stream(stream);
        let bytes_max = self.config.group_bytes_max;
        let directory = self.root.as_ref().map(|root| root.group(name));
        let removed = directory.map(|it| it.remove_stream(stream, bytes_max));
        let was_on_disk = removed.transpose()?.unwrap_or_default();
        match was_in_memory || was_on_disk {
            true => Ok(()),
            false => Err(Error::NoStream),
        }
    }

    fn set_retention(&self, name: &str, days: Option<u16>) -> Result<(), Error> {
        let group = self.existing(name)?;
        let _disk = group.disk();
        group.complete_locked(|| self.load(name), self.bounds());
        if group.is_deleted() {
            return Err(Error::NoGroup);
        }
        let current = group.ring().settings().cloned();
        let created = || Settings::new(name, group.used());
        let settings = Settings {
            name: name.to_owned(),
            retention_days: days,
            ..current.unwrap_or_else(created)
        };
        if let Some(root) = &self.root {
            root.group(name).put_settings(&settings)?;
        }
        group.ring().set_settings(settings);
        Ok(())
    }

    /// Deletes expired events of a group on disk.
    pub(super) fn expire(&self, name: &str) -> Result<(), Error> {
        let Some(root) = &self.root else {
            return Ok(());
        };
        let directory = root.group(name);
        let settings = directory.settings();
        let Some(before) = settings.and_then(|it| it.expiry(self.clock.now())) else {
            return Ok(());
        };
        let group = self.existing(name)?;
        let _disk = group.disk();
        Ok(directory.expire(before)?)
    }

    /// Loads an existing group into memory.
    fn existing(&self, name: &str) -> Result<Arc<Group>, Error> {
        let now = self.clock.now();
        if let Some(group) = self.groups.get(name, now) {
            let exists = !group.is_deleted() && (group.ring().exists() || self.is_on_disk(name));
            return exists.then_some(group).ok_or(Error::NoGroup);
        }
        if !self.is_on_disk(name) {
            return Err(Error::NoGroup);
        }
        Ok(self.groups.get_or_make(name, now))
    }

    fn is_on_disk(&self, name: &str) -> bool {
        let root = self.root.as_ref();
        root.is_some_and(|root| root.group(name).exists())
    }
}
