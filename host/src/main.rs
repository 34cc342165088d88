//! The `lamina` program. Everything is in the library; here it starts and ends.

use std::process::ExitCode;

fn main() -> ExitCode {
    lamina::cli::main()
}
