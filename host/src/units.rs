//! Lambda's quotas and units. Not configurable, except where a default says so.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Event of a synchronous invocation.
pub const EVENT_BYTES_MAX: usize = 6_291_456;
/// Event of an asynchronous invocation.
pub const ASYNC_EVENT_BYTES_MAX: usize = 1_048_576;
/// Event of the deprecated InvokeAsync.
pub const INVOKE_ASYNC_BYTES_MAX: usize = 262_144;
/// Response of an invocation: 6 MiB and 100 bytes, because AWS allows for the envelope.
pub const PAYLOAD_BYTES_MAX: usize = 6_291_556;
/// Whole API request: a 50 MiB zip in base64 and the rest of the JSON document.
pub const REQUEST_BYTES_MAX: usize = 70_167_211;
/// Deployment package inside a request.
pub const ZIP_BYTES_MAX: usize = 52_428_800;
/// Deployment package from S3.
pub const FETCHED_ZIP_BYTES_MAX: u64 = UNZIPPED_BYTES_MAX;
/// Function code and layers, unzipped.
pub const UNZIPPED_BYTES_MAX: u64 = 262_144_000;
/// Code storage of the account, by default.
pub const CODE_BYTES_DEFAULT: u64 = 80_530_636_800;
/// Environment variables of a function, names and values as compact JSON.
pub const ENVIRONMENT_BYTES_MAX: usize = 4_096;
/// Log tail that `LogType: Tail` returns.
pub const LOG_TAIL_BYTES_MAX: usize = 4_096;
/// Init timeout of an environment, as in AWS.
pub const INIT_TIMEOUT: Duration = Duration::from_secs(10);
/// `Timeout` without a capacity provider; the model's 5,400 s applies with one.
pub const TIMEOUT_SECONDS_MAX: u32 = 1_800;
/// `MemorySize` of a function without a capacity provider; the model allows 32,768 with one.
pub const MEMORY_MAX: Mib = Mib::new(10_240);
/// `EphemeralStorage.Size` of a function without a capacity provider; the model allows 32,768 with one.
pub const EPHEMERAL_MAX: Mib = Mib::new(10_240);
/// Environments by which one function may grow in 10 s, by default: AWS's number.
pub const BURST_ENVIRONMENTS_DEFAULT: u32 = 1_000;
/// Concurrent invocations of an account, by default.
pub const ACCOUNT_CONCURRENCY_DEFAULT: u32 = 1_000;

/// A memory size in MiB, as `MemorySize` gives it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mib(u32);

impl Mib {
    pub const fn new(mib: u32) -> Self {
        Self(mib)
    }

    pub const fn get(self) -> u32 {
        self.0
    }

    pub const fn bytes(self) -> u64 {
        (self.0 as u64) << 20
    }
}

impl fmt::Display for Mib {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MiB", self.0)
    }
}
