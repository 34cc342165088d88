//! Compilation in child processes of this program.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::sandbox::Target;
use crate::sandbox::compile::{self, Compiler};

impl Compiler {
    /// Child processes of the running program, whose `main` begins with [`compiler_main`].
    ///
    /// # Errors
    /// If the path of the program is not known.
    pub fn this_program() -> std::io::Result<Self> {
        // It stays valid after an upgrade replaces the file, whose new engine would compile artifacts that this process
        // cannot load.
        let own = PathBuf::from("/proc/self/exe");
        let program = match own.exists() {
            true => own,
            false => std::env::current_exe()?,
        };
        Ok(Self::Child { program })
    }
}

/// Entry of the compiler's child processes, for programs that use [`Compiler::this_program`]: compiles a component if this
/// process is such a child, and returns its exit code. Call it first in `main`.
///
/// ```no_run
/// use std::process::ExitCode;
///
/// fn main() -> ExitCode {
///     if let Some(code) = lamina::compiler_main() {
///         return code;
///     }
///     // The program itself.
///     ExitCode::SUCCESS
/// }
/// ```
#[must_use]
pub fn compiler_main() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != compile::ARGUMENT {
        return None;
    }
    let paths = [arguments.next()?, arguments.next()?];
    let [component, artifact] = paths.map(PathBuf::from);
    let target = match arguments.next() {
        Some(architecture) => Target::Any(architecture.to_str()?.parse().ok()?),
        None => Target::Here,
    };
    let code = compile::worker_main(&component, &artifact, target);
    Some(code.into())
}
