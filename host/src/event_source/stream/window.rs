//! Tumbling windows: invocations of one window hand a state on, and the last one of a window has no records. Pure.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock::Timestamp;

/// State that a function may hand on, as in AWS.
const STATE_BYTES_MAX: usize = 1 << 20;

/// A window that is open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Window {
    /// Seconds since the Unix epoch.
    start: u64,
    end: u64,
    /// State of the last invocation.
    state: Value,
    /// True if the state was too large: the window ends early.
    #[serde(default)]
    is_early: bool,
}

impl Window {
    /// Window of this length that a time lies in. Windows begin at multiples of their length.
    pub(super) fn of(at: Timestamp, seconds: u32) -> Self {
        let length = u64::from(seconds.max(1));
        let start = at.secs() / length * length;
        Self {
            start,
            end: start + length,
            state: json!({}),
            is_early: false,
        }
    }

    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// True once no record of it is to come.
    pub(super) fn has_passed(&self, now: Timestamp) -> bool {
        self.end <= now.secs()
    }

    /// True if it must end before its time.
    pub(super) fn is_early(&self) -> bool {
        self.is_early
    }

    /// Members of the event besides its records.
    pub(super) fn describe(&self, event: &mut Value, shard: &str, arn: &str, last: Last) {
        let time = |seconds: u64| {
            let at = Timestamp::from_millis(seconds * 1_000).utc();
            at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
        };
        event["window"] = json!({"start": time(self.start), "end": time(self.end)});
        event["state"] = self.state.clone();
        event["shardId"] = shard.into();
        event["eventSourceARN"] = arn.into();
        event["isFinalInvokeForWindow"] = (last != Last::No).into();
        event["isWindowTerminatedEarly"] = (last == Last::Early).into();
    }

    /// Takes the state out of a response. A response without one hands an empty state on.
    pub(super) fn hand_on(&mut self, response: &[u8]) {
        let response: Value = serde_json::from_slice(response).unwrap_or_default();
        let state = response.get("state").filter(|it| it.is_object());
        let state = state.cloned().unwrap_or_else(|| json!({}));
        if state.to_string().len() > STATE_BYTES_MAX {
            self.is_early = true;
            return;
        }
        self.state = state;
    }
}

/// True for the last invocation of a window.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Last {
    No,
    Yes,
    /// Before its time: the shard has ended, or the state is too large.
    Early,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn window_begins_at_a_multiple_of_its_length() {
        let window = Window::of(Timestamp::from_millis(1_767_225_659_999), 60);
        assert_eq!(window.start(), 1_767_225_600);
        assert!(!window.has_passed(Timestamp::from_millis(1_767_225_659_999)));
        assert!(window.has_passed(Timestamp::from_millis(1_767_225_660_000)));
        let mut event = json!({"Records": []});
        window.describe(&mut event, "shard", "arn", Last::Yes);
        let expected = json!({"Records": [], "state": {}, "shardId": "shard",
            "window": {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T00:01:00Z"},
            "eventSourceARN": "arn", "isFinalInvokeForWindow": true,
            "isWindowTerminatedEarly": false});
        assert_eq!(event, expected);
    }

    #[test]
    fn state_is_handed_on_unless_it_is_too_large() {
        let mut window = Window::of(Timestamp::from_millis(0), 60);
        window.hand_on(br#"{"state":{"sum":3}}"#);
        assert_eq!(window.state, json!({"sum": 3}));
        let large = json!({"state": {"text": "x".repeat(STATE_BYTES_MAX)}}).to_string();
        window.hand_on(large.as_bytes());
        assert!(window.is_early() && window.state == json!({"sum": 3}));
        for none in ["null", "", "1", r#"{"state":7}"#] {
            window.hand_on(none.as_bytes());
            assert_eq!(window.state, json!({}), "{none}");
        }
    }
}
