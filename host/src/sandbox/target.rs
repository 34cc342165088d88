//! Compile targets: this machine, or any machine of an architecture. `control` chooses them per
//! function.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Instruction set of a function.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub enum Architecture {
    /// `x86_64`.
    X86_64,
    /// `arm64`.
    Arm64,
}

/// Compile target.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Target {
    /// This machine, with all its CPU features. The only runnable target.
    Here,
    /// Any machine of an architecture, with its baseline CPU features.
    Any(Architecture),
}

impl Architecture {
    pub const ALL: [Self; 2] = [Self::X86_64, Self::Arm64];

    /// This machine's architecture; `None` if functions cannot have it.
    pub const fn of_this_machine() -> Option<Self> {
        if cfg!(target_arch = "x86_64") {
            Some(Self::X86_64)
        } else if cfg!(target_arch = "aarch64") {
            Some(Self::Arm64)
        } else {
            None
        }
    }

    /// AWS's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
        }
    }

    /// Target triple for the architecture, the same as of this program's builds there.
    pub(super) const fn triple(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-unknown-linux-gnu",
            Self::Arm64 => "aarch64-unknown-linux-gnu",
        }
    }
}

impl Target {
    /// Additional target of a function of this architecture; `None` if this machine has it.
    pub fn elsewhere(architecture: Architecture) -> Option<Self> {
        let here = Architecture::of_this_machine();
        (here != Some(architecture)).then_some(Self::Any(architecture))
    }

    /// Target whose artifacts, compiled by another machine, run here too.
    pub fn from_elsewhere() -> Option<Self> {
        Architecture::of_this_machine().map(Self::Any)
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Syntax error of an architecture.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("not an architecture")]
pub struct Unknown;

impl FromStr for Architecture {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Self, Unknown> {
        let named = Self::ALL.into_iter().find(|it| it.name() == text);
        named.ok_or(Unknown)
    }
}
