//! Access points: directories of the host that functions mount below `/mnt`, as Lambda mounts EFS and S3 Files.
//! Operations on one run on threads of its own, so that a mount that hangs stalls only the functions that use it.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wasmtime_wasi::filesystem::WasiFilesystemCtx;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use super::Quota;
use super::mount;
use crate::clock::Clock;
use crate::sandbox::descriptors::Descriptors;
use crate::sandbox::{Error, FileSystem, FileSystemMount, MountError, MountProblem};
use mounted::OpenedMount;
use workers::Workers;

pub(super) mod mounted;
pub(super) mod operation;
pub(super) mod stream;
mod workers;

/// Time for the root of an access point to open. It is part of the time for `init`.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);

/// Access points of a host, by ARN.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct AccessPoints(HashMap<String, Arc<AccessPoint>>);

/// One access point, shared by all environments that mount it.
pub(super) struct AccessPoint {
    system: FileSystem,
    quota: Arc<Quota>,
    descriptors: Arc<Descriptors>,
    workers: Workers,
    /// Held during changes under a quota, so that nothing changes between a check, its operation and its count.
    /// True once the files that were there are counted. Only threads of the access point wait for it.
    changes: Mutex<bool>,
}

impl AccessPoints {
    pub(in crate::sandbox) fn new(systems: &[FileSystem], descriptors: &Arc<Descriptors>) -> Self {
        let points = systems.iter().map(|system| {
            let point = Arc::new(AccessPoint::new(system.clone(), Arc::clone(descriptors)));
            // Counts the files before the first function needs the count.
            let counting = Arc::clone(&point);
            point
                .workers
                .post(Box::new(move || drop(counting.changing())));
            (system.arn.as_str().to_owned(), point)
        });
        Self(points.collect())
    }

    /// Opens what a function mounts.
    pub(in crate::sandbox) async fn open(
        &self,
        wanted: &FileSystemMount,
        clock: &Clock,
        time: Duration,
    ) -> Result<OpenedMount, MountError> {
        let failed = |problem| MountError {
            arn: wanted.arn.clone(),
            problem,
        };
        let point = self.0.get(&wanted.arn);
        let point = point.ok_or_else(|| failed(MountProblem::Undeclared))?;
        let (opening, path) = (Arc::clone(point), wanted.path.clone());
        let opened = point.workers.run(move || opening.open(&path));
        match clock.timeout(time.min(OPEN_TIMEOUT), opened).await {
            Some(Some(Ok(context))) => Ok(OpenedMount::new(Arc::clone(point), context)),
            Some(Some(Err(error))) => Err(failed(MountProblem::of(error))),
            Some(None) => Err(failed(MountProblem::Failed(io::Error::other(
                "the host could not start a thread",
            )))),
            None => Err(failed(MountProblem::TimedOut)),
        }
    }
}

impl AccessPoint {
    fn new(system: FileSystem, descriptors: Arc<Descriptors>) -> Self {
        Self {
            quota: Arc::new(Quota::of_access_point(
                system.quota_bytes,
                system.quota_files,
            )),
            system,
            descriptors,
            workers: Workers::default(),
            changes: Mutex::new(false),
        }
    }

    fn open(&self, path: &str) -> io::Result<WasiFilesystemCtx> {
        let root = self.root()?;
        let mut wasi = WasiCtxBuilder::new();
        // Operations block, on a thread of the access point.
        wasi.allow_blocking_current_thread(true);
        let permissions = match self.system.read_only {
            true => FsPerms::ReadOnly,
            false => FsPerms::ReadWrite,
        };
        match mount(&mut wasi, &root, path, permissions) {
            Ok(()) => Ok(wasi.build().filesystem().clone()),
            Err(Error::Mount { source, .. }) => Err(source),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    /// Directory of the host that functions see as the root, made if missing.
    fn root(&self) -> io::Result<PathBuf> {
        let system = &self.system;
        let directory = system.directory.canonicalize()?;
        let below = system.root.strip_prefix("/").unwrap_or(&system.root);
        let root = directory.join(below);
        if !system.read_only && !root.exists() {
            crate::disk::create_dir_all(&root)?;
        }
        let root = root.canonicalize()?;
        if root.starts_with(&directory) {
            return Ok(root);
        }
        let text = "the root of the file system leads out of its directory";
        Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
    }

    /// Excludes other changes. The first caller counts the files that are there.
    fn changing(&self) -> Option<MutexGuard<'_, bool>> {
        if !self.quota.is_counting() {
            return None;
        }
        let mut is_counted = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        if !*is_counted {
            let counted = self.root().and_then(|root| self.quota.count_tree(&root));
            match counted {
                Ok(()) => *is_counted = true,
                // The next change tries again.
                Err(error) => tracing::warn!(
                    arn = %self.system.arn.as_str(),
                    %error,
                    "the files of a file system could not be counted"
                ),
            }
        }
        Some(is_counted)
    }
}

impl fmt::Debug for AccessPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessPoint")
            .field("system", &self.system)
            .finish_non_exhaustive()
    }
}
