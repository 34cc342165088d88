//! `tracing` to the function's log.

use tracing_subscriber::EnvFilter;

/// Writes events to the function's log: level, target, text. `RUST_LOG` or `AWS_LAMBDA_LOG_LEVEL` choose the
/// level; INFO if neither is set.
pub fn init_default_subscriber() {
    let chosen = ["AWS_LAMBDA_LOG_LEVEL", "RUST_LOG"]
        .iter()
        .find_map(|name| read(name))
        .unwrap_or_else(|| "info".to_owned());
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(chosen))
        .with_ansi(false)
        .without_time();
    // A second call changes nothing.
    let _ = subscriber.try_init();
}

#[expect(clippy::disallowed_methods, reason = "a function is configured by its variables")]
fn read(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
