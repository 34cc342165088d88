//! The machines that code is compiled for: the one that this host is on, and all of an architecture. Which
//! functions are compiled for which, `control` decides.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An instruction set that a function asks for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub enum Architecture {
    /// `x86_64`
    X86_64,
    /// `arm64`
    Arm64,
}

/// What code is compiled for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Target {
    /// This machine, with all that its processor can do. Only this can be run.
    Here,
    /// Every machine of an architecture, with what all its processors can do.
    Any(Architecture),
}

impl Architecture {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::X86_64, Self::Arm64];

    /// This machine's; None where it is one that functions cannot ask for.
    pub const fn of_this_machine() -> Option<Self> {
        if cfg!(target_arch = "x86_64") {
            Some(Self::X86_64)
        } else if cfg!(target_arch = "aarch64") {
            Some(Self::Arm64)
        } else {
            None
        }
    }

    /// What AWS calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
        }
    }

    /// The machines that code for it is made for; the same that this program is built for there.
    pub(super) const fn triple(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-unknown-linux-gnu",
            Self::Arm64 => "aarch64-unknown-linux-gnu",
        }
    }
}

impl Target {
    /// What a function of this architecture is compiled for, besides the machine it runs on here.
    pub fn elsewhere(architecture: Architecture) -> Option<Self> {
        let here = Architecture::of_this_machine();
        (here != Some(architecture)).then_some(Self::Any(architecture))
    }

    /// What another machine may have compiled that can be run here too.
    pub fn from_elsewhere() -> Option<Self> {
        Architecture::of_this_machine().map(Self::Any)
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no architecture.
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
