//! Re-export of `tracing`, and a subscriber that writes events to the function's log, one line
//! each: level, target, message, fields.
//!
//! ```
//! use lamina_sdk::tracing::{info, init_default_subscriber};
//!
//! init_default_subscriber();
//! info!(order = 7, "accepted");
//! ```
//!
//! Spans are not shown. For more, use `tracing-subscriber`, which also works.

pub use ::tracing::*;

use std::fmt::{self, Write as _};
use std::io::Write as _;

use field::{Field, Visit};
use level_filters::LevelFilter;

/// Installs the subscriber; call it in `main` or in the init function. The level comes from the
/// function's logging configuration (`AWS_LAMBDA_LOG_LEVEL`), else from `RUST_LOG`, else is `INFO`.
///
/// Does nothing if a subscriber is already set.
pub fn init_default_subscriber() {
    let lines = LogLines { most: level() };
    let _already_there = subscriber::set_global_default(lines);
}

/// Subscriber that writes events to stdout.
struct LogLines {
    most: LevelFilter,
}

impl Subscriber for LogLines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= self.most
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.most)
    }

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let mut line = format!("{} {}:", metadata.level(), metadata.target());
        event.record(&mut Fields(&mut line));
        line.push('\n');
        // An unwritable log must not fail the invocation.
        let _unwritable = std::io::stdout().write_all(line.as_bytes());
    }

    // Spans are disabled, so the span methods do nothing.
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// Formats fields as ` name=value`; the message goes without its name.
struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _infallible = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the environment is how the host configures a function"
)]
fn level() -> LevelFilter {
    ["AWS_LAMBDA_LOG_LEVEL", "RUST_LOG"]
        .into_iter()
        .find_map(|name| parse_level(&std::env::var(name).ok()?))
        .unwrap_or(LevelFilter::INFO)
}

/// Lambda's level names are those of `tracing`, and `FATAL`.
fn parse_level(name: &str) -> Option<LevelFilter> {
    if name.eq_ignore_ascii_case("fatal") {
        return Some(LevelFilter::ERROR);
    }
    name.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lambda_level_parses_in_any_case() {
        for (name, level) in [
            ("TRACE", Some(LevelFilter::TRACE)),
            ("debug", Some(LevelFilter::DEBUG)),
            ("FATAL", Some(LevelFilter::ERROR)),
            ("my_crate=info", None),
        ] {
            assert_eq!(parse_level(name), level, "{name}");
        }
    }
}
