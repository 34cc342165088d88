//! From the end of a guest to the error Lambda's callers know it by.

use std::time::Duration;

use wasmtime::Trap;
use wasmtime_wasi::I32Exit;

use super::deadline::TimeUp;
use super::{Cause, Failure};
use crate::names::RequestId;
use crate::units::PAYLOAD_BYTES_MAX;

/// What of a backtrace goes to the log.
const BACKTRACE_BYTES_MAX: usize = 4 << 10;

impl Failure {
    /// The time given was not enough.
    pub(super) fn timed_out(id: &RequestId, time: Duration) -> Self {
        let seconds = time.as_secs_f64();
        Self {
            error_type: "Sandbox.Timedout".into(),
            message: format!("RequestId: {id} Error: Task timed out after {seconds:.2} seconds"),
            stack_trace: Vec::new(),
            cause: Cause::Timeout,
        }
    }

    /// The guest ended where it should have answered.
    pub(super) fn exited(id: &RequestId, how: &str) -> Self {
        Self {
            error_type: "Runtime.ExitError".into(),
            message: format!("RequestId: {id} Error: Runtime exited {how}"),
            stack_trace: Vec::new(),
            cause: Cause::Environment,
        }
    }

    /// The guest needed more memory than it may have.
    fn out_of_memory(id: &RequestId) -> Self {
        let killed = Self::exited(id, "with error: signal: killed");
        Self {
            error_type: "Runtime.OutOfMemory".into(),
            ..killed
        }
    }

    /// The answer is larger than an answer may be.
    pub(super) fn response_too_large() -> Self {
        let message = format!(
            "Response payload size exceeded maximum allowed payload size ({PAYLOAD_BYTES_MAX} \
             bytes)."
        );
        Self {
            error_type: "Function.ResponseSizeTooLarge".into(),
            message,
            stack_trace: Vec::new(),
            cause: Cause::Handler,
        }
    }

    /// A guest's end, told apart by what ended it.
    pub(super) fn of_end(
        error: &wasmtime::Error,
        id: &RequestId,
        time: Duration,
        memory_refused: bool,
    ) -> Self {
        if error.is::<TimeUp>() {
            return Self::timed_out(id, time);
        }
        match error.downcast_ref::<I32Exit>() {
            Some(I32Exit(0)) => return Self::exited(id, "without providing a reason"),
            Some(I32Exit(_)) if memory_refused => return Self::out_of_memory(id),
            Some(I32Exit(status)) => {
                return Self::exited(id, &format!("with error: exit status {status}"));
            }
            None => {}
        }
        if memory_refused {
            return Self::out_of_memory(id);
        }
        match error.downcast_ref::<Trap>() {
            Some(trap) => Self::exited(id, &format!("with error: {trap}")),
            None => Self::exited(id, &format!("with error: {}", error.root_cause())),
        }
    }
}

/// What ended a guest, with where it was, for the log.
pub(super) fn backtrace(error: &wasmtime::Error) -> Option<String> {
    if error.is::<TimeUp>() || error.is::<I32Exit>() {
        return None;
    }
    let mut text = format!("{error:?}");
    if text.len() > BACKTRACE_BYTES_MAX {
        let cut = (0..=BACKTRACE_BYTES_MAX)
            .rev()
            .find(|at| text.is_char_boundary(*at));
        text.truncate(cut.unwrap_or(0));
        text.push_str("...");
    }
    Some(text)
}
