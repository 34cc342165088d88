//! Streams of files of an access point. Each read and write runs on a thread of the access point.

use std::fs::File;
use std::io::{self, IoSlice};
use std::mem;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use rustix::io::{ReadWriteFlags, pwritev2};
use tokio::sync::oneshot;
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

use super::AccessPoint;

/// Bytes of one read or write.
const BYTES_MAX: usize = 64 << 10;
/// Bytes that are read ahead for a guest that waits before it reads.
const READY_BYTES: usize = 4 << 10;

/// A file that is closed on a thread of its access point.
struct Handle {
    file: Option<Arc<File>>,
    point: Arc<AccessPoint>,
}

/// Stream that reads a file.
pub(in crate::sandbox::filesystem) struct MountInput {
    handle: Handle,
    offset: u64,
    state: State<Bytes>,
}

/// Stream that writes to a file.
pub(in crate::sandbox::filesystem) struct MountOutput {
    handle: Handle,
    /// Next offset; `None` appends.
    offset: Option<u64>,
    state: State<u64>,
}

enum State<T> {
    Idle,
    Waiting(oneshot::Receiver<io::Result<T>>),
    Done(T),
    Failed(io::Error),
    Closed,
}

impl Handle {
    fn start<T: Send + 'static>(
        &self,
        work: impl FnOnce(&AccessPoint, &Arc<File>) -> io::Result<T> + Send + 'static,
    ) -> State<T> {
        let Some(file) = self.file.clone() else {
            return State::Closed;
        };
        let point = Arc::clone(&self.point);
        let work = move || work(&point, &file);
        State::Waiting(self.point.workers.start(work))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let file = self.file.take();
        self.point.workers.post(Box::new(move || drop(file)));
    }
}

impl<T> State<T> {
    /// Waits for the operation under way.
    async fn settle(&mut self) {
        if let Self::Waiting(receiver) = self {
            *self = match receiver.await {
                Ok(Ok(done)) => Self::Done(done),
                Ok(Err(error)) => Self::Failed(error),
                Err(_) => Self::Failed(io::Error::other("the file system's thread failed")),
            };
        }
    }

    /// Error of an operation that failed, after which the stream is closed.
    fn require_open(&mut self) -> StreamResult<()> {
        match self {
            Self::Closed => Err(StreamError::Closed),
            Self::Failed(_) => match mem::replace(self, Self::Closed) {
                Self::Failed(error) => Err(StreamError::LastOperationFailed(error.into())),
                _ => Err(StreamError::Closed),
            },
            Self::Idle | Self::Waiting(_) | Self::Done(_) => Ok(()),
        }
    }
}

impl MountInput {
    pub(in crate::sandbox::filesystem) fn new(
        file: Arc<File>,
        point: Arc<AccessPoint>,
        offset: u64,
    ) -> Self {
        Self {
            handle: Handle {
                file: Some(file),
                point,
            },
            offset,
            state: State::Idle,
        }
    }

    fn start(&mut self, bytes: usize) {
        let offset = self.offset;
        self.state = self.handle.start(move |_, file| {
            let mut buffer = vec![0; bytes.min(BYTES_MAX)];
            loop {
                match file.read_at(&mut buffer, offset) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                    Ok(read) => {
                        buffer.truncate(read);
                        return Ok(buffer.into());
                    }
                }
            }
        });
    }
}

#[async_trait::async_trait]
impl Pollable for MountInput {
    async fn ready(&mut self) {
        if matches!(self.state, State::Idle) {
            self.start(READY_BYTES);
        }
        self.state.settle().await;
    }
}

#[async_trait::async_trait]
impl InputStream for MountInput {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        self.state.require_open()?;
        match &mut self.state {
            State::Idle if size > 0 => self.start(size),
            State::Done(bytes) if bytes.is_empty() => {
                self.state = State::Closed;
                return Err(StreamError::Closed);
            }
            State::Done(bytes) => {
                let part = bytes.split_to(bytes.len().min(size));
                self.offset += part.len() as u64;
                if bytes.is_empty() {
                    self.state = State::Idle;
                }
                return Ok(part);
            }
            _ => {}
        }
        Ok(Bytes::new())
    }

    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        if matches!(self.state, State::Idle) && size > 0 {
            self.start(size);
        }
        self.state.settle().await;
        self.read(size)
    }
}

impl MountOutput {
    pub(in crate::sandbox::filesystem) fn new(
        file: Arc<File>,
        point: Arc<AccessPoint>,
        offset: Option<u64>,
    ) -> Self {
        Self {
            handle: Handle {
                file: Some(file),
                point,
            },
            offset,
            state: State::Idle,
        }
    }

    async fn settle(&mut self) {
        self.state.settle().await;
        if let State::Done(written) = self.state {
            if let Some(offset) = &mut self.offset {
                *offset = offset.saturating_add(written);
            }
            self.state = State::Idle;
        }
    }
}

#[async_trait::async_trait]
impl Pollable for MountOutput {
    async fn ready(&mut self) {
        self.settle().await;
    }
}

#[async_trait::async_trait]
impl OutputStream for MountOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.state.require_open()?;
        if !matches!(self.state, State::Idle) {
            return Err(StreamError::trap("write without check-write"));
        }
        let offset = self.offset;
        self.state = self
            .handle
            .start(move |point, file| write_all(point, file, &bytes, offset));
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.state.require_open()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.state.require_open()?;
        Ok(match self.state {
            State::Idle => BYTES_MAX,
            _ => 0,
        })
    }

    // A write that the guest does not wait for is finished all the same.
    async fn cancel(&mut self) {
        self.settle().await;
    }
}

fn write_all(
    point: &AccessPoint,
    file: &Arc<File>,
    bytes: &[u8],
    offset: Option<u64>,
) -> io::Result<u64> {
    let _apart = point.changing();
    let mut done = 0;
    while done < bytes.len() {
        let (part, at) = (
            &bytes[done..],
            offset.map(|it| it.saturating_add(done as u64)),
        );
        let written = match at {
            _ if point.quota.is_counting() => point.quota.write(file, part, at),
            Some(at) => file.write_at(part, at),
            None => append(file, part),
        };
        match written {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => done += written,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done as u64)
}

/// Appends in one step, so that environments that append to one file overwrite nothing of each other.
fn append(file: &File, bytes: &[u8]) -> io::Result<usize> {
    let whole = [IoSlice::new(bytes)];
    Ok(pwritev2(file, &whole, 0, ReadWriteFlags::APPEND)?)
}
