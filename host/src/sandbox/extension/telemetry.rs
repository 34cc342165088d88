//! Records of an environment for its extensions, in the schema of AWS's Telemetry API.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::buffer::{Buffer, Kind};
use super::member::Member;
use crate::clock::{Clock, Timestamp};
use crate::telemetry::event::{Event, Sink};
use crate::telemetry::log::telemetry_record;

/// Bytes of the records before the first invocation, which a new subscriber gets.
const EARLY_BYTES_MAX: usize = 256 << 10;

/// Telemetry of one environment.
#[derive(Debug)]
pub struct Telemetry {
    clock: Clock,
    members: OnceLock<Vec<Arc<Member>>>,
    /// Records before the first invocation; none after.
    early: Mutex<Option<Vec<(Kind, String)>>>,
}

/// The extension's side of its environment. Functions have none.
pub(in crate::sandbox) struct Post {
    pub(in crate::sandbox) member: Arc<Member>,
    pub(in crate::sandbox) telemetry: Arc<Telemetry>,
}

/// Sink of the lines of extensions.
#[derive(Debug)]
pub struct ExtensionLines(pub Arc<Telemetry>);

impl Telemetry {
    /// Telemetry of a new environment.
    pub fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            clock,
            members: OnceLock::new(),
            early: Mutex::new(Some(Vec::new())),
        })
    }

    pub(in crate::sandbox) fn set_members(&self, members: Vec<Arc<Member>>) {
        // An environment whose guest has ended opens again with new extensions, and with telemetry of its own.
        let _ = self.members.set(members);
    }

    /// Subscribes an extension; false once an invocation has begun.
    pub(in crate::sandbox) fn subscribe(&self, member: &Member, mut buffer: Buffer) -> bool {
        let early = self.early.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(records) = &*early else {
            return false;
        };
        let now = self.clock.now();
        for (kind, record) in records {
            if buffer.takes(*kind) {
                buffer.push(record, now);
            }
        }
        member.subscribe(buffer);
        true
    }

    /// Ends the time for subscriptions.
    pub(super) fn begin_invocations(&self) {
        let mut early = self.early.lock().unwrap_or_else(PoisonError::into_inner);
        *early = None;
    }

    /// Delivers what has been buffered for its time.
    pub(super) fn deliver(&self) {
        let now = self.clock.now();
        self.members().iter().for_each(|it| it.deliver(now));
    }

    fn members(&self) -> &[Arc<Member>] {
        self.members.get().map_or(&[], Vec::as_slice)
    }

    fn record(&self, kind: Kind, record: impl FnOnce(Timestamp) -> Option<String>) {
        let mut early = self.early.lock().unwrap_or_else(PoisonError::into_inner);
        let is_taken = self.members().iter().any(|it| it.takes(kind));
        if early.is_none() && !is_taken {
            return;
        }
        let now = self.clock.now();
        let Some(record) = record(now) else { return };
        for member in self.members() {
            member.record(kind, &record, now);
        }
        if let Some(records) = &mut *early {
            let bytes: usize = records.iter().map(|(_, it)| it.len()).sum();
            if bytes + record.len() <= EARLY_BYTES_MAX {
                records.push((kind, record));
            }
        }
    }

    fn line(&self, kind: Kind, name: &str, text: &str) {
        self.record(kind, |now| Some(telemetry_record(name, &text, now)));
    }
}

impl Sink for Telemetry {
    fn receive(&self, event: &Event<'_>) {
        self.record(Kind::Platform, |now| event.to_record(now));
    }

    fn line(&self, text: &str) {
        self.line(Kind::Function, "function", text);
    }
}

impl Sink for ExtensionLines {
    fn receive(&self, event: &Event<'_>) {
        self.0.receive(event);
    }

    fn line(&self, text: &str) {
        self.0.line(Kind::Extension, "extension", text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::extension::buffer::Buffering;
    use crate::sandbox::extension::member::Crew;

    #[test]
    fn early_records_reach_later_subscribers_only_before_invocations() {
        let telemetry = Telemetry::new(Clock::system());
        let crew = Crew::new(1);
        let member = Member::new("a".into(), &crew);
        telemetry.set_members(vec![Arc::clone(&member)]);
        Sink::line(&*telemetry, "early");
        let buffer = || Buffer::new(&[Kind::Function], Buffering::default()).unwrap();
        assert!(telemetry.subscribe(&member, buffer()));
        member.record(Kind::Function, "1", Timestamp::from_millis(1));
        telemetry.begin_invocations();
        assert!(!telemetry.subscribe(&member, buffer()));
    }
}
