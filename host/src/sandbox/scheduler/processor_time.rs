//! Processor time that threads use, as the kernel counts it.

use rustix::time::{ClockId, clock_gettime};

/// Processor time of this thread in nanoseconds. A system call: for turns and ticks, not for every call.
pub(in crate::sandbox) fn thread_nanos() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let nanos = |value: i64| u64::try_from(value).unwrap_or(0);
    nanos(time.tv_sec) * 1_000_000_000 + nanos(time.tv_nsec)
}
