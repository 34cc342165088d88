//! A response that a client of HTTP/2 has asked for and not taken. It may ask for many at once and open
//! no window for any, and the connection is as alive as ever: only what still holds the bytes tells.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt;

use super::pulse::{Begun, Pulse};
use crate::api::HttpResponse;
use crate::payload::Body;

/// Bytes of a response, until the last of them was written.
struct Held {
    bytes: Bytes,
    number: u64,
    pulse: Arc<Pulse>,
}

/// Lets the connection's pulse feel a response until it was taken.
pub(super) fn hold(pulse: Arc<Pulse>, reply: HttpResponse) -> HttpResponse {
    reply.map(|body| match body.into_whole() {
        Ok(bytes) => held(&pulse, bytes).into(),
        Err(streamed) => {
            let hold = move |bytes: Bytes| held(&pulse, bytes);
            Body::streamed(streamed.map_frame(move |frame| frame.map_data(&hold)))
        }
    })
}

/// Lets a connection be answered on until a response that is streamed has ended: the function may pause
/// for longer than a connection may be idle.
pub(super) fn keep(begun: Begun, reply: HttpResponse) -> HttpResponse {
    reply.map(|body| match body.into_whole() {
        Ok(bytes) => bytes.into(),
        Err(streamed) => Body::streamed(streamed.map_frame(move |frame| {
            let _kept_with_this_closure = &begun;
            frame
        })),
    })
}

fn held(pulse: &Arc<Pulse>, bytes: Bytes) -> Bytes {
    if bytes.is_empty() {
        return bytes;
    }
    Bytes::from_owner(Held {
        number: pulse.hold(bytes.len()),
        bytes,
        pulse: Arc::clone(pulse),
    })
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.pulse.taken(self.number);
    }
}
