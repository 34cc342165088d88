//! Answers that a client of HTTP/2 has asked for and not taken. It may ask for many at once and open
//! no window for any, and the connection is as alive as ever: only what is held here tells.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use tokio::time::Instant;

use super::Config;
use super::pulse::Pulse;
use crate::api::Reply;

/// The answers of one connection that are on their way.
#[derive(Debug)]
pub(super) struct Untaken {
    idle_time: Duration,
    bytes_per_second_min: u32,
    pulse: Arc<Pulse>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    held: BTreeMap<u64, Due>,
    numbered: u64,
}

#[derive(Clone, Copy, Debug)]
struct Due {
    /// By when the answer must be taken, if it is the only one.
    at: Instant,
    /// What had been written to the connection when it came. What is written since to take others
    /// puts it off.
    written_before: u64,
}

/// The bytes of an answer, until the last of them was written.
struct Held {
    bytes: Bytes,
    number: u64,
    of: Arc<Untaken>,
}

impl Untaken {
    pub(super) fn new(config: &Config, pulse: Arc<Pulse>) -> Self {
        Self {
            idle_time: config.idle_time,
            bytes_per_second_min: config.bytes_per_second_min.max(1),
            pulse,
            state: Mutex::default(),
        }
    }

    /// Counts an answer until it was taken.
    pub(super) async fn hold(self: &Arc<Self>, reply: Reply) -> Reply {
        let (head, body) = reply.into_parts();
        // It is all there already.
        let Ok(body) = body.collect().await;
        let bytes = body.to_bytes();
        if bytes.is_empty() {
            return Reply::from_parts(head, Full::new(bytes));
        }
        let held = Held {
            number: self.count(bytes.len() as u64),
            bytes,
            of: Arc::clone(self),
        };
        Reply::from_parts(head, Full::new(Bytes::from_owner(held)))
    }

    /// When the connection is over unless something is taken before.
    pub(super) fn due(&self) -> Option<Instant> {
        let written = self.pulse.written();
        let due = |due: &Due| due.at + self.time(written - due.written_before);
        self.lock().held.values().map(due).min()
    }

    fn count(&self, bytes: u64) -> u64 {
        let due = Due {
            at: Instant::now() + self.idle_time + self.time(bytes),
            written_before: self.pulse.written(),
        };
        let mut state = self.lock();
        state.numbered += 1;
        let number = state.numbered;
        state.held.insert(number, due);
        number
    }

    /// What so many bytes may take.
    fn time(&self, bytes: u64) -> Duration {
        Duration::from_secs(bytes) / self.bytes_per_second_min
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.of.lock().held.remove(&self.number);
    }
}
