//! Packages from where they are, the request or S3, to the disk: hashed and written part by part on a
//! thread of their own, so that memory holds a few parts of a package and never all of it.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::hold::Hold;
use super::package::{self, PackageSource};
use super::turns::Requester;
use super::{Digest, Error, Library, blocking};
use crate::store::blob::Staged;
use crate::store::object::{self, Location, Sink};
use crate::units::{FETCHED_ZIP_BYTES_MAX, ZIP_BYTES_MAX};

/// Parts that wait for the disk. The network waits with them.
const PARTS_MAX: usize = 8;

/// Where a package comes from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// The request itself.
    Upload(Bytes),
    /// An object in S3.
    Object(Location),
    /// An image in a registry, by its `ImageUri`.
    Image(String),
}

/// A package on its way to the disk, and the caller and the function that it is for.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Where it comes from.
    pub origin: Origin,
    /// Requester of each step of its deployment.
    pub requester: Requester,
}

/// A package that is on the disk. While this lives, it is not collected.
#[derive(Clone, Debug)]
pub struct Stored {
    size_bytes: u64,
    requester: Requester,
    pub(super) hold: Hold,
    path: PathBuf,
}

impl Delivery {
    /// A package from its origin.
    pub fn new(origin: Origin, requester: Requester) -> Self {
        Self { origin, requester }
    }
}

impl Stored {
    /// The caller and the function that it is for.
    pub(super) fn requester(&self) -> &Requester {
        &self.requester
    }

    /// Its digest.
    pub fn digest(&self) -> Digest {
        self.hold.digest()
    }

    /// Its size in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Reads at most `bytes_max` bytes at an offset. Blocks on the disk; opens the file each time, so that slow
    /// downloads hold no descriptors.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read_at(&self, offset: u64, bytes_max: usize) -> io::Result<Bytes> {
        let left = self.size_bytes.saturating_sub(offset);
        let bytes = usize::try_from(left).map_or(bytes_max, |left| left.min(bytes_max));
        let mut part = vec![0; bytes];
        File::open(&self.path)?.read_exact_at(&mut part, offset)?;
        Ok(part.into())
    }

    /// Its bytes.
    pub fn source(&self) -> PackageSource {
        PackageSource::File(self.path.clone())
    }
}

impl Library {
    /// Takes a package from its origin to the disk. Nothing is known of its content yet.
    ///
    /// # Errors
    /// Where it is too large, or is in S3 and cannot be had from there.
    pub async fn receive(&self, delivery: Delivery) -> Result<Stored, Error> {
        let Delivery { origin, requester } = delivery;
        let staged = match origin {
            Origin::Upload(bytes) => self.stage(bytes).await?,
            // Images are pulled by the job that makes the function ready.
            Origin::Image(_) => return Err(Error::NoComponent),
            Origin::Object(location) => {
                let _turn = self.0.fetches.take(&requester).await?;
                self.fetch(&location).await?
            }
        };
        let hold = self.0.holds.hold(staged.digest()).await;
        let size_bytes = staged.size_bytes();
        let path = blocking(move || Ok(staged.finish()?)).await?;
        Ok(Stored {
            size_bytes,
            requester,
            hold,
            path,
        })
    }

    /// A package that was received before, if it is still here.
    ///
    /// # Errors
    /// Where the disk cannot be read.
    pub async fn stored(&self, digest: Digest) -> Result<Option<Stored>, Error> {
        let hold = self.0.holds.hold(digest).await;
        let inner = Arc::clone(&self.0);
        blocking(move || {
            let Some(path) = inner.packages.find(&digest) else {
                return Ok(None);
            };
            Ok(Some(Stored {
                size_bytes: std::fs::metadata(&path)?.len(),
                requester: Requester::of_host(&digest.to_string()),
                hold,
                path,
            }))
        })
        .await
    }

    async fn stage(&self, bytes: Bytes) -> Result<Staged, Error> {
        if bytes.len() > ZIP_BYTES_MAX {
            let max = ZIP_BYTES_MAX as u64;
            return Err(package::Error::ZippedTooLarge(max).into());
        }
        let inner = Arc::clone(&self.0);
        blocking(move || {
            let mut staged = inner.packages.stage()?;
            staged.write_all(&bytes)?;
            Ok(staged)
        })
        .await
    }

    async fn fetch(&self, location: &Location) -> Result<Staged, Error> {
        let begin = || Writer::begin(self.clone());
        let read = self.0.objects.read(location, FETCHED_ZIP_BYTES_MAX, begin);
        read.await.map_err(|error| match error {
            object::Error::TooLarge(max) => package::Error::ZippedTooLarge(max).into(),
            object::Error::Sink(error) => Error::Io(error),
            error => Error::Fetch(error),
        })
    }
}

/// A thread that writes the parts of one package. It gives up the file when this is dropped before it
/// is finished.
pub(super) struct Writer {
    parts: mpsc::Sender<Part>,
    written: JoinHandle<io::Result<Option<Staged>>>,
}

enum Part {
    Next(Bytes),
    /// The last one was the last: without this, the package is not whole.
    End,
}

impl Writer {
    pub(super) fn begin(library: Library) -> Self {
        let (parts, mut received) = mpsc::channel(PARTS_MAX);
        let written = tokio::task::spawn_blocking(move || {
            let mut staged = library.0.packages.stage()?;
            loop {
                match received.blocking_recv() {
                    Some(Part::Next(bytes)) => staged.write_all(&bytes)?,
                    Some(Part::End) => return Ok(Some(staged)),
                    None => return Ok(None),
                }
            }
        });
        Self { parts, written }
    }

    async fn send(&self, part: Part) -> io::Result<()> {
        let ended = |_| io::Error::other("the package could not be written");
        self.parts.send(part).await.map_err(ended)
    }
}

impl Sink for Writer {
    type Done = Staged;

    async fn write(&mut self, part: Bytes) -> io::Result<()> {
        self.send(Part::Next(part)).await
    }

    async fn finish(self) -> io::Result<Staged> {
        // Should the thread have failed, its own error says why.
        let _ = self.send(Part::End).await;
        let written = self.written.await.map_err(io::Error::other)??;
        written.ok_or_else(|| io::Error::other("the package ended early"))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    async fn write(writer: &mut Writer, parts: &[&'static [u8]]) {
        for part in parts {
            writer.write(Bytes::from_static(part)).await.unwrap();
        }
    }

    #[tokio::test]
    async fn package_is_kept_when_its_last_part_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let library = Library::for_test(dir.path());
        let mut writer = Writer::begin(library.clone());
        write(&mut writer, &[b"ab", b"", b"c"]).await;
        let staged = writer.finish().await.unwrap();
        assert_eq!(
            (staged.digest(), staged.size_bytes()),
            (Digest::of(b"abc"), 3)
        );
        drop(staged);
        // An attempt that broke off leaves nothing.
        let mut writer = Writer::begin(library.clone());
        write(&mut writer, &[b"half"]).await;
        let Writer { parts, written } = writer;
        drop(parts);
        assert!(written.await.unwrap().unwrap().is_none());
        let packages = fs::read_dir(dir.path().join("packages")).unwrap();
        assert_eq!(packages.count(), 0);
    }

    #[tokio::test]
    async fn package_over_50_mib_in_a_request_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let library = Library::for_test(dir.path());
        let requester = Requester::new("caller", "function");
        let upload = |bytes| {
            let origin = Origin::Upload(vec![0; bytes].into());
            library.receive(Delivery::new(origin, requester.clone()))
        };
        assert!(upload(ZIP_BYTES_MAX).await.is_ok());
        let refused = upload(ZIP_BYTES_MAX + 1).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "Zipped size must be smaller than 52428800 bytes"
        );
    }
}
