//! Output stream of a file in `/tmp`. It writes synchronously, so that bytes are counted at once
//! and no write is in progress when a guest ends.

use std::fs::File;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use super::quota::Quota;

/// Limit of one write.
const WRITE_BYTES_MAX: usize = 64 << 10;

/// Stream that writes to a file.
pub(super) struct FileStream {
    file: Arc<File>,
    quota: Arc<Quota>,
    /// Next offset; `None` appends.
    offset: Option<u64>,
    is_closed: bool,
}

impl FileStream {
    pub(super) fn new(file: Arc<File>, quota: Arc<Quota>, offset: Option<u64>) -> Self {
        Self {
            file,
            quota,
            offset,
            is_closed: false,
        }
    }

    fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.quota.write(&self.file, bytes, self.offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    bytes = &bytes[written..];
                    if let Some(offset) = &mut self.offset {
                        *offset = offset.saturating_add(written as u64);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn open(&self) -> StreamResult<()> {
        if self.is_closed {
            return Err(StreamError::Closed);
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl Pollable for FileStream {
    async fn ready(&mut self) {}
}

impl OutputStream for FileStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.open()?;
        self.write_all(&bytes).map_err(|error| {
            // `wasi:io` closes a stream after a failure.
            self.is_closed = true;
            StreamError::LastOperationFailed(error.into())
        })
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.open()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.open().map(|()| WRITE_BYTES_MAX)
    }
}
