//! File system of a guest: the package at `/var/task`, layers at `/opt` and the library of a managed runtime,
//! read-only, a `/tmp` of its environment, and an access point at `/mnt`. An environment that left its `/tmp` empty leaves its open directories to the next one of the
//! same program.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use wasmtime_wasi::filesystem::WasiFilesystemCtx;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use super::Error;
use super::budget::Grant;
use super::program::ProgramFiles;
use crate::units::Mib;

mod access_point;
pub(super) mod counted;
mod delete;
mod host;
mod kept;
mod quota;
mod stream;

pub(super) use access_point::AccessPoints;
pub(super) use access_point::mounted::{Mounted, OpenedMount};
pub(super) use counted::{Counted, CountedFilesystem};
pub(super) use kept::Kept;
pub(super) use quota::Quota;

/// Tells scratch directories and programs of this process apart.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// The directories of a program.
pub(super) struct Mounts {
    id: kept::ProgramId,
    source: ProgramFiles,
    scratch_dir: PathBuf,
    kept: Arc<Kept>,
}

/// The directories of one environment; its `/tmp` is deleted with it, or used again.
pub(super) struct Files {
    opened: Option<Opened>,
    mounts: Arc<Mounts>,
    quota: Arc<Quota>,
    access_point: Option<OpenedMount>,
    /// True where dropping it deletes its `/tmp` before it returns.
    is_awaited: AtomicBool,
}

struct Opened {
    files: WasiFilesystemCtx,
    tmp: PathBuf,
}

impl Mounts {
    pub(super) fn new(source: ProgramFiles, scratch_dir: PathBuf, kept: Arc<Kept>) -> Self {
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            source,
            scratch_dir,
            kept,
        }
    }

    /// The directories for a new environment, with a `/tmp` of this size that is counted in `grant`.
    pub(super) fn open(self: &Arc<Self>, tmp_size: Mib, grant: Grant) -> Result<Files, Error> {
        let kept = self.kept.take(self.id);
        let opened = kept.map_or_else(|| self.open_anew(), Ok)?;
        Ok(Files {
            opened: Some(opened),
            mounts: Arc::clone(self),
            quota: Arc::new(Quota::new(tmp_size, grant)),
            access_point: None,
            is_awaited: AtomicBool::new(false),
        })
    }

    fn open_anew(&self) -> Result<Opened, Error> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let tmp = self
            .scratch_dir
            .join(format!("{}-{number}", std::process::id()));
        crate::disk::create_dir(&tmp).map_err(|source| Error::Mount {
            path: tmp.clone(),
            source,
        })?;
        match self.mounted(&tmp) {
            Ok(files) => Ok(Opened { files, tmp }),
            Err(error) => {
                // It is empty; should it stay, the next start deletes it.
                let _ = std::fs::remove_dir(&tmp);
                Err(error)
            }
        }
    }

    fn mounted(&self, tmp: &Path) -> Result<WasiFilesystemCtx, Error> {
        let mut wasi = WasiCtxBuilder::new();
        // A thread hop would cost more than a read from the page cache, where packages and layers are. And the
        // counts of `/tmp` must not change while a guest's call waits.
        wasi.allow_blocking_current_thread(true);
        mount(
            &mut wasi,
            &self.source.task_dir,
            self.source.task_mount.path(),
            FsPerms::ReadOnly,
        )?;
        if let Some(opt_dir) = &self.source.opt_dir {
            mount(&mut wasi, opt_dir, "/opt", FsPerms::ReadOnly)?;
        }
        if let Some(runtime) = &self.source.runtime {
            mount(
                &mut wasi,
                &runtime.library_dir,
                runtime.mount,
                FsPerms::ReadOnly,
            )?;
            for (dir, path) in &runtime.compiled {
                mount(&mut wasi, dir, path, FsPerms::ReadOnly)?;
            }
        }
        mount(&mut wasi, tmp, "/tmp", FsPerms::ReadWrite)?;
        Ok(wasi.build().filesystem().clone())
    }
}

impl Files {
    pub(super) fn context(&self) -> WasiFilesystemCtx {
        self.opened
            .as_ref()
            .map(|opened| opened.files.clone())
            .unwrap_or_default()
    }

    /// Mounts an access point besides.
    pub(super) fn with(mut self, access_point: OpenedMount) -> Self {
        self.access_point = Some(access_point);
        self
    }

    /// State of the access point for a new guest.
    pub(super) fn mounted(&self) -> Option<Box<Mounted>> {
        let mount = self.access_point.clone()?;
        Some(Box::new(Mounted::new(mount)))
    }

    pub(super) fn quota(&self) -> &Arc<Quota> {
        &self.quota
    }

    pub(super) fn tmp_dir(&self) -> Option<&Path> {
        self.opened.as_ref().map(|opened| opened.tmp.as_path())
    }

    /// Makes its drop delete its `/tmp` before it returns.
    pub(super) fn delete_at_once(&self) {
        self.is_awaited.store(true, Ordering::Relaxed);
    }
}

impl Opened {
    fn delete(&self) {
        delete(&self.tmp);
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let Some(opened) = self.opened.take() else {
            return;
        };
        if self.quota.is_untouched() || (self.quota.is_as_new() && is_empty(&opened.tmp)) {
            return self.mounts.kept.keep(self.mounts.id, opened);
        }
        // Files count until they are deleted.
        let quota = Arc::clone(&self.quota);
        let delete = move || {
            opened.delete();
            drop(quota);
        };
        if self.is_awaited.load(Ordering::Relaxed) {
            delete();
        } else {
            apart(delete);
        }
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        self.kept.forget(self.id);
    }
}

fn mount(
    wasi: &mut WasiCtxBuilder,
    host: &Path,
    guest: &str,
    permissions: FsPerms,
) -> Result<(), Error> {
    let failed = |error: wasmtime::Error| Error::Mount {
        path: host.to_owned(),
        source: error
            .downcast()
            .unwrap_or_else(|error| std::io::Error::other(format!("{error:#}"))),
    };
    wasi.preopened_dir(host, guest, permissions)
        .map(drop)
        .map_err(failed)
}

fn is_empty(dir: &Path) -> bool {
    std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none())
}

/// Deletes the `/tmp`s that a killed process left.
///
/// # Errors
/// Errors of the operating system.
pub fn clear(scratch_dir: &Path) -> std::io::Result<()> {
    match delete::delete(scratch_dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Deletes on a blocking thread of the runtime, if there is one: ten gigabytes take seconds.
fn apart(delete: impl FnOnce() + Send + 'static) {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn_blocking(delete)),
        Err(_) => delete(),
    }
}

fn delete(tmp: &Path) {
    if let Err(error) = delete::delete(tmp) {
        tracing::warn!(path = %tmp.display(), %error, "a /tmp directory could not be deleted");
    }
}

impl fmt::Debug for Mounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mounts")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files").finish_non_exhaustive()
    }
}
