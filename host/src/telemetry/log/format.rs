//! Log formats: text, or JSON lines in the shape of AWS's runtimes, filtered by level.

use serde_json::{Map, Value, json};

use crate::clock::Timestamp;
use crate::telemetry::level::Level;

/// Log format of a function.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Format {
    /// Plain lines.
    #[default]
    Text,
    /// JSON lines at or above these levels.
    Json(Levels),
}

/// Minimum levels of a JSON log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Levels {
    /// Minimum level of application lines.
    pub application: Level,
    /// Minimum level of platform events.
    pub system: Level,
}

/// Invocation that lines are attributed to.
#[derive(Clone, Debug, Default)]
pub(super) struct Invocation {
    pub(super) request_id: String,
    pub(super) tenant_id: Option<String>,
}

impl Levels {
    /// Formats an application line; `None` if its level is filtered out. A JSON object passes
    /// unchanged at its own level; any other line is wrapped at INFO.
    pub(super) fn application(
        self,
        line: String,
        at: Timestamp,
        invocation: Option<&Invocation>,
    ) -> Option<String> {
        let object = object(&line);
        let named = object.as_ref().and_then(|it| it.get("level")?.as_str());
        let level = named.and_then(Level::of_line).unwrap_or(Level::Info);
        if level < self.application {
            return None;
        }
        Some(match object {
            Some(_) => line,
            None => message(level, &line, at, invocation),
        })
    }
}

fn object(line: &str) -> Option<Map<String, Value>> {
    let text = line.trim();
    if !text.starts_with('{') {
        return None;
    }
    serde_json::from_str(text).ok()
}

/// Wraps a text as a JSON line.
pub(super) fn message(
    level: Level,
    text: &str,
    at: Timestamp,
    invocation: Option<&Invocation>,
) -> String {
    let mut line = json!({"timestamp": time(at), "level": level.name()});
    if let Some(invocation) = invocation {
        line["requestId"] = invocation.request_id.as_str().into();
    }
    line["message"] = text.into();
    if let Some(tenant_id) = invocation.and_then(|it| it.tenant_id.as_deref()) {
        line["tenantId"] = tenant_id.into();
    }
    line.to_string()
}

pub(super) fn time(at: Timestamp) -> String {
    at.utc().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_millis(1_790_000_000_007);

    fn written(level: Level, line: &str) -> Option<String> {
        let levels = Levels {
            application: level,
            system: Level::Info,
        };
        let invocation = Invocation {
            request_id: "id".into(),
            tenant_id: None,
        };
        levels.application(line.into(), AT, Some(&invocation))
    }

    #[test]
    fn object_line_passes_unchanged_at_its_own_level() {
        let cases = [
            (r#"{"level":"ERROR","message":"boom"}"#, Level::Error),
            (r#" {"msg": 1, "level": "debug"} "#, Level::Debug),
            (r#"{"level":"Trace"}"#, Level::Trace),
            (r#"{"level":"FATAL"}"#, Level::Fatal),
            (r#"{"level":"WARNING"}"#, Level::Warn),
            (r#"{"level":"CRITICAL"}"#, Level::Fatal),
            (r#"{"level":"NOTICE"}"#, Level::Info),
            (r#"{"level":3}"#, Level::Info),
            (r#"{"level":"DEBUG","level":"WARN"}"#, Level::Warn),
            ("{}", Level::Info),
        ];
        for (line, level) in cases {
            assert_eq!(written(level, line).as_deref(), Some(line));
            let above = Level::ALL.into_iter().find(|it| *it > level);
            if let Some(above) = above {
                assert_eq!(written(above, line), None, "{line}");
            }
        }
    }

    #[test]
    fn other_line_becomes_an_object_at_the_level_info() {
        for line in [
            "",
            "hello",
            r#"["level","ERROR"]"#,
            r#"{"level":"ERROR""#,
            "{\u{1}}",
        ] {
            let expected = json!({
                "timestamp": "2026-09-21T14:13:20.007Z", "level": "INFO", "requestId": "id",
                "message": line,
            });
            let found = written(Level::Info, line);
            assert_eq!(found, Some(expected.to_string()), "{line}");
            assert_eq!(written(Level::Warn, line), None, "{line}");
        }
    }

    #[test]
    fn levels_are_ordered_and_named() {
        assert!(Level::ALL.is_sorted());
        for level in Level::ALL {
            assert_eq!(Level::parse(level.name()), Some(level));
        }
        assert_eq!(Level::parse(""), None);
    }
}
