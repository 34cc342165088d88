//! What people see. Colour and movement only on a terminal, and only if they are welcome.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is the program's voice"
)]

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Prints a line of a command's result.
pub(super) fn line(text: &str) {
    println!("{text}");
}

/// Says what is going on, beside the result.
pub(super) fn note(text: &str) {
    eprintln!("{text}");
}

/// Says what went wrong, and what led to it.
pub(super) fn error(error: &anyhow::Error) {
    let label = if colourful() {
        "\x1b[1;31merror:\x1b[0m"
    } else {
        "error:"
    };
    eprintln!("{label} {error:#}");
}

/// Emphasis, on a terminal.
pub(super) fn bold(text: &str) -> String {
    if colourful() {
        format!("\x1b[1m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

/// Shows that something takes long, until it is dropped. Off a terminal it says so once.
pub(super) fn progress(text: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        note(text);
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})");
    let bar = ProgressBar::new_spinner().with_message(text.to_owned());
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

#[expect(
    clippy::disallowed_methods,
    reason = "the convention is an environment variable"
)]
fn colourful() -> bool {
    let unwanted = std::env::var("NO_COLOR").is_ok_and(|value| !value.is_empty());
    !unwanted && std::io::stderr().is_terminal() && std::io::stdout().is_terminal()
}
