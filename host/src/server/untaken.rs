//! Answers that a client of HTTP/2 has asked for and not taken. It may ask for many at once and open
//! no window for any, and the connection is as alive as ever: only what is held here tells.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use tokio::time::Instant;

use super::Config;
use crate::api::Reply;

/// The answers of one connection that are on their way.
#[derive(Debug)]
pub(super) struct Untaken {
    idle_time: Duration,
    bytes_per_second_min: u32,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// By when each must be taken, and a number, since two may have the same time.
    due: BTreeSet<(Instant, u64)>,
    numbered: u64,
    /// When the last one is due.
    last: Instant,
}

/// The bytes of an answer, until the last of them was written.
struct Held {
    bytes: Bytes,
    due: (Instant, u64),
    of: Arc<Untaken>,
}

impl Untaken {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            idle_time: config.idle_time,
            bytes_per_second_min: config.bytes_per_second_min.max(1),
            state: Mutex::new(State {
                due: BTreeSet::new(),
                numbered: 0,
                last: Instant::now(),
            }),
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
            due: self.due(bytes.len()),
            bytes,
            of: Arc::clone(self),
        };
        Reply::from_parts(head, Full::new(Bytes::from_owner(held)))
    }

    /// When the connection is over unless something is taken before.
    pub(super) fn until(&self) -> Option<Instant> {
        self.lock().due.first().map(|(due, _)| *due)
    }

    /// One after another, each at the least speed that is allowed.
    fn due(&self, bytes: usize) -> (Instant, u64) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let time = Duration::from_secs(bytes.into()) / self.bytes_per_second_min;
        let mut state = self.lock();
        state.last = state.last.max(Instant::now() + self.idle_time) + time;
        state.numbered += 1;
        let due = (state.last, state.numbered);
        state.due.insert(due);
        due
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
        let mut state = self.of.lock();
        state.due.remove(&self.due);
        if state.due.is_empty() {
            state.last = Instant::now();
        }
    }
}
