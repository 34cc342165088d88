//! `InvokeWithResponseStream`: the response as it is written, in the event stream encoding of AWS. Each frame is
//! a `PayloadChunk`; the last event is `InvokeComplete`, with the failure if there is one.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use http_body::Frame;
use serde_json::{Map, Value};

use super::{EXECUTED_VERSION, invocation};
use crate::api::rest::call::Permitted;
use crate::api::rest::call::resource::Invoked;
use crate::api::rest::wire::Fault;
use crate::api::rest::{error, no_content};
use crate::api::{Front, HttpResponse};
use crate::invoke::running::Rest;
use crate::invoke::{Finished, Mode, Running};
use crate::payload::Body;
use crate::payload::body::Broken;
use crate::payload::http::metadata_of;
use crate::sandbox::Failure;
use crate::sandbox::outlet::{Head, PRELUDE_END};

/// Bytes of one event's payload.
const CHUNK_BYTES_MAX: usize = 64 << 10;

impl Front {
    pub(in crate::api::rest) async fn invoke_with_response_stream(
        &self,
        call: &Permitted<'_, Invoked>,
    ) -> Result<HttpResponse, Fault> {
        let mut invoke = invocation(call)?;
        invoke.streams = invoke.mode == Mode::RequestResponse;
        let (mode, home) = (invoke.mode, self.control.home());
        let running = match self.invoker.resolve(invoke).await {
            Ok(resolved) => self.invoker.start(resolved).await,
            Err(error) => Err(error),
        };
        let running = running.map_err(|error| error::of_invoke(error, home))?;
        if mode == Mode::DryRun {
            return Ok(no_content());
        }
        Ok(match running {
            Running::Finished(finished) => {
                let version = Arc::clone(&finished.executed_version);
                reply(&version, whole(finished).into())
            }
            Running::Streaming(streaming) => {
                let events = Events {
                    first: beginning(streaming.head),
                    rest: streaming.rest,
                };
                reply(&streaming.executed_version, Body::streamed(events))
            }
        })
    }
}

fn reply(executed_version: &str, body: Body) -> HttpResponse {
    let mut reply = HttpResponse::new(body);
    *reply.status_mut() = StatusCode::OK;
    let headers = reply.headers_mut();
    let kind = HeaderValue::from_static("application/vnd.amazon.eventstream");
    headers.insert(CONTENT_TYPE, kind);
    let version = HeaderValue::from_str(executed_version);
    headers.insert(EXECUTED_VERSION, version.expect("a version is ASCII"));
    reply
}

/// All events of a response that is whole.
fn whole(finished: Finished) -> Bytes {
    let mut events = BytesMut::new();
    let tail = finished.log_tail;
    match finished.outcome {
        Ok(reply) => {
            for chunk in reply.into_bytes().chunks(CHUNK_BYTES_MAX) {
                events.put(payload_chunk(chunk));
            }
            events.put(complete(None, tail.as_ref()));
        }
        Err(failure) => events.put(complete(Some(&failure), tail.as_ref())),
    }
    events.freeze()
}

/// The metadata of a response is its beginning here, as in AWS: what a function set, or the status and headers of
/// a component for HTTP.
fn beginning(head: Head) -> Option<Bytes> {
    let preceding = |metadata: &[u8]| payload_chunk(&[metadata, &PRELUDE_END[..]].concat());
    match head {
        Head::Prelude(None) => None,
        Head::Prelude(Some(metadata)) => Some(preceding(metadata.as_bytes())),
        Head::Http(parts) => Some(preceding(metadata_of(&parts).as_bytes())),
    }
}

/// The response as a body.
struct Events {
    first: Option<Bytes>,
    rest: Rest,
}

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let event = loop {
            if let Some(first) = self.first.take() {
                break Some(first);
            }
            match ready!(self.rest.poll_frame(cx)).map(Frame::into_data) {
                Some(Ok(bytes)) => break Some(payload_chunk(&bytes)),
                // Fields after a body have no place in this encoding.
                Some(Err(_)) => {}
                None => {
                    let finished = ready!(self.rest.poll_finished(cx));
                    break finished
                        .map(|it| complete(it.outcome.as_ref().err(), it.log_tail.as_ref()));
                }
            }
        };
        Poll::Ready(event.map(|event| Ok(Frame::data(event))))
    }
}

fn payload_chunk(payload: &[u8]) -> Bytes {
    event("PayloadChunk", "application/octet-stream", payload)
}

fn complete(failure: Option<&Failure>, log_tail: Option<&Bytes>) -> Bytes {
    let mut members = Map::new();
    if let Some(failure) = failure {
        members.insert("ErrorCode".into(), failure.error_type.as_str().into());
        members.insert("ErrorDetails".into(), failure.to_json().into());
    }
    if let Some(tail) = log_tail {
        members.insert("LogResult".into(), STANDARD.encode(tail).into());
    }
    let members = Value::Object(members).to_string();
    event("InvokeComplete", "application/json", members.as_bytes())
}

/// One message of `application/vnd.amazon.eventstream`: lengths and their checksum, headers, payload, and the
/// checksum of all.
fn event(kind: &str, content_type: &str, payload: &[u8]) -> Bytes {
    let mut headers = BytesMut::new();
    for (name, value) in [
        (":event-type", kind),
        (":content-type", content_type),
        (":message-type", "event"),
    ] {
        put_header(&mut headers, name, value);
    }
    let size = PRELUDE_BYTES + headers.len() + payload.len() + CHECKSUM_BYTES;
    let mut event = BytesMut::with_capacity(size);
    event.put_u32(length(size));
    event.put_u32(length(headers.len()));
    event.put_u32(crc32fast::hash(&event));
    event.put(headers);
    event.put(payload);
    event.put_u32(crc32fast::hash(&event));
    event.freeze()
}

/// Two lengths and a checksum.
const PRELUDE_BYTES: usize = 12;
const CHECKSUM_BYTES: usize = 4;
/// The type of a header whose value is a text.
const STRING: u8 = 7;

fn put_header(headers: &mut BytesMut, name: &str, value: &str) {
    headers.put_u8(u8::try_from(name.len()).expect("the names are short"));
    headers.put(name.as_bytes());
    headers.put_u8(STRING);
    headers.put_u16(u16::try_from(value.len()).expect("the values are short"));
    headers.put(value.as_bytes());
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("an event is as large as a frame")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], at: usize) -> usize {
        let four = bytes[at..at + 4].try_into().unwrap();
        usize::try_from(u32::from_be_bytes(four)).unwrap()
    }

    #[test]
    fn event_has_lengths_and_checksums() {
        let event = payload_chunk(b"text");
        let size = read(&event, 0);
        assert_eq!(size, event.len());
        let headers = read(&event, 4);
        assert_eq!(
            &event[PRELUDE_BYTES + headers..size - CHECKSUM_BYTES],
            b"text"
        );
        let checksum = |end: usize| usize::try_from(crc32fast::hash(&event[..end])).unwrap();
        assert_eq!(read(&event, 8), checksum(8));
        assert_eq!(
            read(&event, size - CHECKSUM_BYTES),
            checksum(size - CHECKSUM_BYTES)
        );
        assert_eq!(
            &event[PRELUDE_BYTES..PRELUDE_BYTES + 12],
            b"\x0b:event-type"
        );
    }
}
