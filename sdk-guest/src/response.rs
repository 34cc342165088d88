//! Response stream of a streaming function.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::marker::PhantomData;

use serde::Serialize;

#[cfg(target_family = "wasm")]
use crate::guest::streaming::HostStream;

/// The response of one invocation, sent to the caller as it is written.
///
/// Each write is sent at once and returns when more can be written; [`write!`] sends its text as one piece. Wrap the
/// stream in a [`std::io::BufWriter`] to send many small writes together.
///
/// A test of a handler gives it a stream that is [`recorded`](Self::recorded).
#[derive(Debug)]
pub struct ResponseStream<'a>(Sink<'a>);

#[derive(Debug)]
enum Sink<'a> {
    #[cfg(target_family = "wasm")]
    Host(&'a HostStream),
    Recorded {
        metadata: Option<String>,
        body: Vec<u8>,
        lifetime: PhantomData<&'a ()>,
    },
}

/// Status, headers and cookies of a streamed HTTP response, as in `lambda_runtime`. Through a function URL they are those
/// of the response; other callers get them as a JSON object before the body.
///
/// ```
/// use lamina_sdk::MetadataPrelude;
///
/// let prelude = MetadataPrelude::new(201).header("content-type", "text/plain").cookie("seen=1");
/// assert_eq!(prelude.status_code, 201);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MetadataPrelude {
    /// HTTP status, 200 to 599.
    pub status_code: u16,
    /// Headers by name.
    pub headers: BTreeMap<String, String>,
    /// Values of `set-cookie` headers.
    pub cookies: Vec<String>,
}

/// Refusal of a write to a response stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteError {
    /// Response over its size limit.
    Closed,
    /// Metadata after the first byte of the body, or twice.
    TooLate,
    /// Metadata that are no HTTP response.
    Malformed,
}

impl MetadataPrelude {
    /// Prelude with this status, and no headers or cookies.
    pub fn new(status_code: u16) -> Self {
        Self {
            status_code,
            headers: BTreeMap::new(),
            cookies: Vec::new(),
        }
    }

    /// Adds or replaces a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.insert(name.into(), value.into());
        self
    }

    /// Adds a cookie.
    #[must_use]
    pub fn cookie(mut self, cookie: impl Into<String>) -> Self {
        self.cookies.push(cookie.into());
        self
    }
}

impl Default for MetadataPrelude {
    fn default() -> Self {
        Self::new(200)
    }
}

impl<'a> ResponseStream<'a> {
    #[cfg(target_family = "wasm")]
    pub(crate) fn of_host(stream: &'a HostStream) -> Self {
        Self(Sink::Host(stream))
    }

    /// Stream that keeps what is written, for tests of a handler.
    ///
    /// ```
    /// use std::io::Write;
    /// use lamina_sdk::{Error, LambdaEvent, ResponseStream, streaming_handler};
    ///
    /// #[streaming_handler]
    /// fn greet(event: LambdaEvent<String>, response: &mut ResponseStream) -> Result<(), Error> {
    ///     write!(response, "Hello, {}!", event.payload)?;
    ///     Ok(())
    /// }
    ///
    /// let mut response = ResponseStream::recorded();
    /// greet(LambdaEvent::new("Ada".into(), Default::default()), &mut response).unwrap();
    /// assert_eq!(response.recording(), b"Hello, Ada!");
    /// ```
    pub fn recorded() -> Self {
        Self(Sink::Recorded {
            metadata: None,
            body: Vec::new(),
            lifetime: PhantomData,
        })
    }

    /// Body that was written to a stream that is [`recorded`](Self::recorded), else nothing.
    pub fn recording(&self) -> &[u8] {
        match &self.0 {
            #[cfg(target_family = "wasm")]
            Sink::Host(_) => &[],
            Sink::Recorded { body, .. } => body,
        }
    }

    /// Sets status, headers and cookies. At most once, and before the first byte of the body.
    ///
    /// # Errors
    ///
    /// If they come too late, or are no HTTP response.
    pub fn set_metadata(&mut self, prelude: &MetadataPrelude) -> Result<(), WriteError> {
        let json = serde_json::to_string(prelude).expect("its keys are texts");
        match &mut self.0 {
            #[cfg(target_family = "wasm")]
            Sink::Host(stream) => Ok(stream.set_metadata(&json)?),
            Sink::Recorded { metadata, body, .. } => {
                if metadata.is_some() || !body.is_empty() {
                    return Err(WriteError::TooLate);
                }
                *metadata = Some(json);
                Ok(())
            }
        }
    }

    /// Sends text.
    ///
    /// # Errors
    ///
    /// If the response is over its size limit.
    pub fn send_text(&mut self, text: &str) -> Result<(), WriteError> {
        match &mut self.0 {
            #[cfg(target_family = "wasm")]
            Sink::Host(stream) => Ok(stream.write(text)?),
            Sink::Recorded { body, .. } => {
                body.extend_from_slice(text.as_bytes());
                Ok(())
            }
        }
    }

    /// Sends bytes.
    ///
    /// # Errors
    ///
    /// If the response is over its size limit.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        match &mut self.0 {
            #[cfg(target_family = "wasm")]
            Sink::Host(stream) => Ok(stream.write_bytes(bytes)?),
            Sink::Recorded { body, .. } => {
                body.extend_from_slice(bytes);
                Ok(())
            }
        }
    }
}

impl io::Write for ResponseStream<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send(bytes)?;
        Ok(bytes.len())
    }

    /// Does nothing: each write is sent at once.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn write_fmt(&mut self, arguments: fmt::Arguments<'_>) -> io::Result<()> {
        // The default would send each part of the text on its own.
        match arguments.as_str() {
            Some(text) => self.send_text(text)?,
            None => self.send_text(&arguments.to_string())?,
        }
        Ok(())
    }
}

impl From<WriteError> for io::Error {
    fn from(error: WriteError) -> Self {
        let kind = match error {
            WriteError::Closed => io::ErrorKind::BrokenPipe,
            WriteError::TooLate | WriteError::Malformed => io::ErrorKind::InvalidInput,
        };
        Self::new(kind, error)
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the response is over its size limit",
            Self::TooLate => "the metadata come after the first byte of the response, or twice",
            Self::Malformed => "the metadata are no HTTP response",
        })
    }
}

impl std::error::Error for WriteError {}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn metadata_after_first_byte_are_too_late() {
        let mut response = ResponseStream::recorded();
        response.set_metadata(&MetadataPrelude::new(201)).unwrap();
        let again = response.set_metadata(&MetadataPrelude::default());
        assert_eq!(again, Err(WriteError::TooLate));
        let mut response = ResponseStream::recorded();
        write!(response, "{}-{}", 1, 2).unwrap();
        response.write_all(b"!").unwrap();
        let late = response.set_metadata(&MetadataPrelude::default());
        assert_eq!(late, Err(WriteError::TooLate));
        assert_eq!(response.recording(), b"1-2!");
    }

    #[test]
    fn prelude_is_the_json_of_aws() {
        let prelude = MetadataPrelude::new(201).header("x", "1").cookie("a=1");
        assert_eq!(
            serde_json::to_string(&prelude).unwrap(),
            r#"{"statusCode":201,"headers":{"x":"1"},"cookies":["a=1"]}"#
        );
    }
}
