//! Terminal output: results on stdout, notes and errors on stderr; colour and progress only on a
//! terminal. A closed pipe is no error, because its reader has seen enough.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::environment::variable;

/// Prints a result line. Exits if stdout is closed.
pub(super) fn line(text: &str) {
    let mut stdout = io::stdout().lock();
    let written = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => {
            note(&format!("the result could not be written: {error}"));
            std::process::exit(3)
        }
        Ok(()) => {}
    }
}

/// Prints a note to stderr.
pub(super) fn note(text: &str) {
    // Write errors are ignored: a closed stderr must not fail the command.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Prints an error with its causes.
pub(super) fn error(error: &anyhow::Error) {
    let label = if colour_on_stderr() {
        "\x1b[1;31merror:\x1b[0m"
    } else {
        "error:"
    };
    note(&format!("{label} {}", chain(error)));
}

/// Error chain as one line. A cause that the text before it already contains is skipped.
pub(super) fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// True if stdout is a terminal and NO_COLOR is unset.
pub(super) fn colour_on_stdout() -> bool {
    !is_colour_unwanted() && io::stdout().is_terminal()
}

fn is_colour_unwanted() -> bool {
    variable("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// Bold on a terminal.
pub(super) fn bold(text: &str) -> String {
    if colour_on_stderr() && io::stdout().is_terminal() {
        format!("\x1b[1m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

/// Progress spinner until dropped; without a terminal, one note.
pub(super) fn progress(text: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        note(text);
    }
    spinner(text)
}

/// Progress spinner until dropped; without a terminal, nothing.
pub(super) fn spinner(text: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})");
    let bar = ProgressBar::new_spinner().with_message(text.to_owned());
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// True if stderr is a terminal and NO_COLOR is unset.
pub(super) fn colour_on_stderr() -> bool {
    !is_colour_unwanted() && io::stderr().is_terminal()
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn repeated_cause_is_printed_once() {
        let cause = || io::Error::other("the disk is full");
        let plain = anyhow::Error::new(cause()).context("a.txt");
        assert_eq!(chain(&plain), "a.txt: the disk is full");
        let repeated = anyhow::Error::new(cause()).context("a.txt: the disk is full");
        assert_eq!(chain(&repeated), "a.txt: the disk is full");
        assert_eq!(chain(&anyhow!("alone")), "alone");
    }
}
