//! Reader of a layer that stops a bomb.

use std::io::{self, Read};

use super::Error;

/// Ratio of compression beyond a minimum: layers of real images stay below it.
const RATIO_MAX: u64 = 200;
const RATIO_FREE_BYTES: u64 = 64 << 20;

/// Reader of at most so many bytes.
pub(super) struct Bounded<R> {
    reader: R,
    compressed: u64,
    read: u64,
    left: u64,
    refusal: Option<Error>,
}

impl<R> Bounded<R> {
    /// Bounds a reader over a file of `compressed` bytes.
    pub(super) fn new(reader: R, compressed: u64, bytes_max: u64) -> Self {
        Self {
            reader,
            compressed,
            read: 0,
            left: bytes_max,
            refusal: None,
        }
    }

    /// Bytes that may be read yet.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    /// Reason for which it stopped.
    pub(super) fn refusal(self) -> Option<Error> {
        self.refusal
    }

    fn check(&self, read: u64) -> Option<Error> {
        if read > self.left {
            return Some(Error::TooLarge);
        }
        let all = self.read + read;
        if all > RATIO_FREE_BYTES && all / self.compressed.max(1) > RATIO_MAX {
            let text = format!("a layer unpacks to more than {RATIO_MAX} times its size");
            return Some(Error::Content(text));
        }
        None
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.refusal.is_some() {
            return Err(io::Error::other("the layer was refused"));
        }
        let read = self.reader.read(buffer)?;
        if let Some(refusal) = self.check(read as u64) {
            self.refusal = Some(refusal);
            return Err(io::Error::other("the layer was refused"));
        }
        self.read += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}
