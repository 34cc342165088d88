//! Strict HTTP/1 framing against request smuggling: refuses requests that a proxy could end elsewhere. hyper accepts
//! a bare LF as a line end, drops a Content-Length beside a Transfer-Encoding, and merges equal Content-Lengths.
//! Folded lines and whitespace before a colon are refused by hyper itself.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use memchr::memchr;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[cfg(test)]
mod tests;

/// First line of the HTTP/2 preface; HTTP/2 is not inspected.
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r";
/// Bytes that hyper refuses with 400 wherever they come, in place of an ambiguous request: NUL is malformed in a
/// head, a chunk size and trailers, LF in a chunk extension. The end of a head makes hyper parse at once.
const MALFORMED: &[u8] = b"\0\n\r\n\r\n";
/// Bytes read and dropped after an ambiguous request.
const DROPPED_BYTES_MAX: usize = 4 << 10;
/// Kept start of a line. Framing headers are shorter.
const LINE_BYTES_KEPT: usize = 64;
/// Decimal digits that always fit into 64 bits.
const LENGTH_DIGITS_MAX: usize = 19;
/// Hexadecimal digits that fit into 64 bits.
const CHUNK_DIGITS_MAX: u8 = 16;

/// Stream that replaces an ambiguous request with [`MALFORMED`].
#[derive(Debug)]
pub(super) struct Strict<T> {
    inner: T,
    requests: Requests,
    /// Unread rest of [`MALFORMED`] after an ambiguous request.
    refusal: Option<&'static [u8]>,
}

/// Parser state of a connection.
#[derive(Debug, Default)]
struct Requests {
    at: At,
    line: Line,
    framing: Framing,
    /// True after the request line of a head.
    is_begun: bool,
    /// True after the first request line of the connection.
    is_http1: bool,
}

#[derive(Debug, Default)]
enum At {
    #[default]
    Head,
    /// Data of a body or a chunk. CRLF follows a chunk.
    Bytes {
        left: u64,
        is_chunk: bool,
    },
    ChunkSize {
        digits: u8,
        size: u64,
    },
    ChunkExtension {
        size: u64,
    },
    ChunkSizeEnd {
        size: u64,
    },
    ChunkCr,
    ChunkLf,
    Trailers,
    /// HTTP/2.
    Unread,
}

/// Start of the current line.
#[derive(Debug)]
struct Line {
    kept: [u8; LINE_BYTES_KEPT],
    /// Length so far; only the first bytes are kept.
    bytes: usize,
    last: u8,
}

/// Framing headers of the current head.
#[derive(Debug, Default)]
struct Framing {
    length: Option<u64>,
    is_chunked: bool,
}

/// Framing that parsers read differently.
#[derive(Debug)]
struct Ambiguous;

impl<T> Strict<T> {
    pub(super) fn new(inner: T) -> Self {
        Self {
            inner,
            requests: Requests::default(),
            refusal: None,
        }
    }
}

impl<T> Strict<T> {
    /// True after a part of an HTTP/1 request head.
    pub(super) fn is_in_head(&self) -> bool {
        let requests = &self.requests;
        matches!(requests.at, At::Head) && (requests.is_begun || requests.line.bytes > 0)
    }
}

impl<T: AsyncRead + Unpin> Strict<T> {
    /// Drops received bytes after an ambiguous request: the kernel resets a connection closed with unread bytes, and
    /// the client would lose the response.
    fn drop_rest(&mut self, cx: &mut Context<'_>) {
        let mut dropped = [0; DROPPED_BYTES_MAX];
        let mut dropped = ReadBuf::new(&mut dropped);
        let _pending_or_failed = Pin::new(&mut self.inner).poll_read(cx, &mut dropped);
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Strict<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.refusal.is_none() {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut self.inner).poll_read(cx, buffer))?;
            let read = self.requests.read(&buffer.filled()[before..]);
            let Err(at) = read else {
                return Poll::Ready(Ok(()));
            };
            tracing::debug!("ambiguous HTTP/1 framing");
            buffer.set_filled(before + at);
            self.refusal = Some(MALFORMED);
            self.drop_rest(cx);
        }
        if let Some(refusal) = &mut self.refusal {
            let (now, later) = refusal.split_at(refusal.len().min(buffer.remaining()));
            buffer.put_slice(now);
            *refusal = later;
        }
        Poll::Ready(Ok(()))
    }
}

impl Requests {
    /// Parses received bytes. The error is the index of the first ambiguous byte.
    fn read(&mut self, bytes: &[u8]) -> Result<(), usize> {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            match self.step(rest) {
                Ok(taken) => at += taken,
                Err((taken, Ambiguous)) => return Err(at + taken),
            }
        }
        Ok(())
    }

    /// Parses a prefix and returns its length.
    fn step(&mut self, bytes: &[u8]) -> Result<usize, (usize, Ambiguous)> {
        let next = bytes[0];
        match &mut self.at {
            At::Unread => Ok(bytes.len()),
            At::Bytes { left, is_chunk } => {
                let taken = usize::try_from(*left).map_or(bytes.len(), |it| it.min(bytes.len()));
                *left -= taken as u64;
                if *left == 0 {
                    self.at = if *is_chunk { At::ChunkCr } else { At::Head };
                }
                Ok(taken)
            }
            At::Head | At::Trailers => self.line(bytes),
            _ => match self.chunk(next) {
                Ok(()) => Ok(1),
                Err(error) => Err((0, error)),
            },
        }
    }

    /// Parses one byte of the framing between chunks.
    fn chunk(&mut self, next: u8) -> Result<(), Ambiguous> {
        self.at = match (&self.at, next) {
            (&At::ChunkSize { digits, size }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(next).to_digit(16).map_or(0, u64::from);
                let (digits, size) = (digits + 1, size.wrapping_mul(16) | digit);
                require(digits <= CHUNK_DIGITS_MAX)?;
                At::ChunkSize { digits, size }
            }
            (&At::ChunkSize { digits, size }, b';') => {
                require(digits > 0)?;
                At::ChunkExtension { size }
            }
            (&At::ChunkSize { digits, size }, b'\r') => {
                require(digits > 0)?;
                At::ChunkSizeEnd { size }
            }
            (&At::ChunkExtension { size }, b'\r') => At::ChunkSizeEnd { size },
            (&At::ChunkExtension { size }, other) => {
                require(other != b'\n')?;
                At::ChunkExtension { size }
            }
            (&At::ChunkSizeEnd { size: 0 }, b'\n') => At::Trailers,
            (&At::ChunkSizeEnd { size: left }, b'\n') => At::Bytes {
                left,
                is_chunk: true,
            },
            (At::ChunkCr, b'\r') => At::ChunkLf,
            (At::ChunkLf, b'\n') => At::ChunkSize { digits: 0, size: 0 },
            _ => return Err(Ambiguous),
        };
        Ok(())
    }

    /// Parses up to the end of a head or trailer line.
    fn line(&mut self, bytes: &[u8]) -> Result<usize, (usize, Ambiguous)> {
        let Some(end) = memchr(b'\n', bytes) else {
            self.line.add(bytes);
            return Ok(bytes.len());
        };
        self.line.add(&bytes[..end]);
        let ended = self.end_line();
        self.line.bytes = 0;
        ended.map(|()| end + 1).map_err(|error| (end, error))
    }

    fn end_line(&mut self) -> Result<(), Ambiguous> {
        require(self.line.bytes > 0 && self.line.last == b'\r')?;
        let is_empty = self.line.bytes == 1;
        match (&self.at, is_empty) {
            (At::Trailers, true) => self.at = At::Head,
            (At::Trailers, false) => {}
            // Empty lines before a request are ignored (RFC 9112 §2.2).
            (_, true) if !self.is_begun => {}
            (_, true) => self.end_head(),
            (_, false) if self.is_begun => self.framing.read(&self.line)?,
            (_, false) => {
                self.is_begun = true;
                if !self.is_http1 && self.line.start() == HTTP2 {
                    self.at = At::Unread;
                }
                self.is_http1 = true;
            }
        }
        Ok(())
    }

    fn end_head(&mut self) {
        self.is_begun = false;
        self.at = match std::mem::take(&mut self.framing) {
            Framing {
                is_chunked: true, ..
            } => At::ChunkSize { digits: 0, size: 0 },
            Framing {
                length: None | Some(0),
                ..
            } => At::Head,
            Framing {
                length: Some(left), ..
            } => At::Bytes {
                left,
                is_chunk: false,
            },
        };
    }
}

impl Framing {
    fn read(&mut self, line: &Line) -> Result<(), Ambiguous> {
        let is_alone = self.length.is_none() && !self.is_chunked;
        if let Some(value) = line.value_of(b"content-length:") {
            let digits = value?;
            let is_length = (1..=LENGTH_DIGITS_MAX).contains(&digits.len())
                && digits.iter().all(u8::is_ascii_digit);
            require(is_alone && is_length)?;
            let add = |sum: u64, digit: &u8| sum * 10 + u64::from(digit - b'0');
            self.length = Some(digits.iter().fold(0, add));
        } else if let Some(value) = line.value_of(b"transfer-encoding:") {
            require(is_alone && value?.eq_ignore_ascii_case(b"chunked"))?;
            self.is_chunked = true;
        }
        Ok(())
    }
}

impl Line {
    fn add(&mut self, bytes: &[u8]) {
        let Some(last) = bytes.last() else { return };
        let room = &mut self.kept[self.bytes.min(LINE_BYTES_KEPT)..];
        let kept = room.len().min(bytes.len());
        room[..kept].copy_from_slice(&bytes[..kept]);
        self.bytes += bytes.len();
        self.last = *last;
    }

    fn start(&self) -> &[u8] {
        &self.kept[..self.bytes.min(LINE_BYTES_KEPT)]
    }

    /// Value of the header with this lower-case name and colon; `None` for other lines.
    fn value_of(&self, name: &[u8]) -> Option<Result<&[u8], Ambiguous>> {
        let (start, value) = self.start().split_at_checked(name.len())?;
        if !start.eq_ignore_ascii_case(name) {
            return None;
        }
        let is_whole = self.bytes <= LINE_BYTES_KEPT;
        Some(match is_whole {
            true => Ok(value.trim_ascii()),
            false => Err(Ambiguous),
        })
    }
}

impl Default for Line {
    fn default() -> Self {
        Self {
            kept: [0; LINE_BYTES_KEPT],
            bytes: 0,
            last: 0,
        }
    }
}

fn require(is_so: bool) -> Result<(), Ambiguous> {
    if is_so { Ok(()) } else { Err(Ambiguous) }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Strict<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
