//! An answer that a client of HTTP/2 has asked for and not taken. It may ask for many at once and open
//! no window for any, and the connection is as alive as ever: only what still holds the bytes tells.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};

use super::pulse::Pulse;
use crate::api::HttpResponse;

/// The bytes of an answer, until the last of them was written.
struct Held {
    bytes: Bytes,
    number: u64,
    pulse: Arc<Pulse>,
}

/// Lets the connection's pulse feel an answer until it was taken.
pub(super) async fn hold(pulse: Arc<Pulse>, reply: HttpResponse) -> HttpResponse {
    let (head, body) = reply.into_parts();
    // It is all there already.
    let Ok(body) = body.collect().await;
    let bytes = body.to_bytes();
    if bytes.is_empty() {
        return HttpResponse::from_parts(head, Full::new(bytes));
    }
    let held = Held {
        number: pulse.hold(bytes.len()),
        bytes,
        pulse,
    };
    HttpResponse::from_parts(head, Full::new(Bytes::from_owner(held)))
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
