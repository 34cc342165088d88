//! Bounded quantities and the service's limits. Not configuration: these are Lambda's own numbers.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A synchronous event.
pub const EVENT_BYTES_MAX: usize = 6_291_456;
/// A response may be 6 MiB and 100 bytes: AWS leaves room for the envelope.
pub const PAYLOAD_BYTES_MAX: usize = 6_291_556;
/// A whole API request: a 50 MiB zip in base64, with room for the rest of the document.
pub const REQUEST_BYTES_MAX: usize = 70_167_211;
/// A deployment package inside a request.
pub const ZIP_BYTES_MAX: usize = 52_428_800;
/// A deployment package that is fetched from S3.
pub const FETCHED_ZIP_BYTES_MAX: u64 = UNZIPPED_BYTES_MAX;
/// A function and its layers, unpacked.
pub const UNZIPPED_BYTES_MAX: u64 = 262_144_000;
/// All packages of the account, unless configured otherwise.
pub const CODE_BYTES_DEFAULT: u64 = 80_530_636_800;
/// Names and values of a function's environment variables, as compact JSON.
pub const ENVIRONMENT_BYTES_MAX: usize = 4_096;
/// What `LogType: Tail` returns of an invocation's log.
pub const LOG_TAIL_BYTES_MAX: usize = 4_096;
/// How long `init` may take before the environment is given up, as in AWS.
pub const INIT_TIMEOUT: Duration = Duration::from_secs(10);
/// `Timeout` of a function without a capacity provider. The model's own maximum, 5,400, is for functions with one.
pub const TIMEOUT_SECONDS_MAX: u32 = 1_800;
/// `MemorySize` of a function without a capacity provider; the model allows 32,768 with one.
pub const MEMORY_MAX: Mib = Mib::new(10_240);
/// `EphemeralStorage.Size` of a function without a capacity provider; the model allows 32,768 with one.
pub const EPHEMERAL_MAX: Mib = Mib::new(10_240);
/// Environments of one account that may run at once unless configured otherwise.
pub const ACCOUNT_CONCURRENCY_DEFAULT: u32 = 1_000;

/// A memory size in MiB, as `MemorySize` gives it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mib(u32);

impl Mib {
    /// This many MiB.
    pub const fn new(mib: u32) -> Self {
        Self(mib)
    }

    /// The number of MiB.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The same in bytes.
    pub const fn bytes(self) -> u64 {
        (self.0 as u64) << 20
    }
}

impl fmt::Display for Mib {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MiB", self.0)
    }
}
