//! Errors of guests in Lambda's terms, made from how a guest ended.

use std::time::Duration;

use rustix::io::Errno;
use wasmtime::{PoolConcurrencyLimitError, Trap};
use wasmtime_wasi::I32Exit;

use super::deadline::TimeUp;
use super::limits::Refusal;
use super::{Cause, Error, Failure, FailureForm, Failures, Unopened};
use crate::names::RequestId;
use crate::units::PAYLOAD_BYTES_MAX;

/// Bytes of a backtrace in the log.
const BACKTRACE_BYTES_MAX: usize = 4 << 10;
/// Text of a guest that was refused memory within its `MemorySize`.
pub(super) const HOST_MEMORY_SHORT: &str = "the host refused the function memory within its MemorySize: all functions \
                                            together use what limits.guest_memory_bytes allows";
/// Text of a guest that was refused space within its `EphemeralStorage`.
pub(super) const HOST_SCRATCH_SHORT: &str = "the host refused the function space in /tmp within its EphemeralStorage: \
                                             all functions together use what limits.scratch_bytes allows";
/// Errors of the system for exhausted file descriptors, of this process or of all, and for exhausted memory.
const NO_ROOM: [Errno; 3] = [Errno::MFILE, Errno::NFILE, Errno::NOMEM];

impl Failure {
    /// The time given was not enough.
    pub(super) fn timed_out(id: &RequestId, time: Duration) -> Self {
        let seconds = time.as_secs_f64();
        Self {
            error_type: "Sandbox.Timedout".into(),
            message: format!("RequestId: {id} Error: Task timed out after {seconds:.2} seconds"),
            stack_trace: Vec::new(),
            form: FailureForm::Plain,
            cause: Cause::Timeout,
        }
    }

    /// The guest ended where it should have answered.
    pub(super) fn exited(id: &RequestId, how: &str) -> Self {
        Self {
            error_type: "Runtime.ExitError".into(),
            message: format!("RequestId: {id} Error: Runtime exited {how}"),
            stack_trace: Vec::new(),
            form: FailureForm::Plain,
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

    /// The guest needed memory that the host had not, and ended.
    fn without_host_memory(id: &RequestId) -> Self {
        Self {
            error_type: "Runtime.OutOfMemory".into(),
            message: format!("RequestId: {id} Error: {HOST_MEMORY_SHORT}"),
            stack_trace: Vec::new(),
            form: FailureForm::Plain,
            cause: Cause::Host,
        }
    }

    /// The function's response cannot be sent.
    pub fn response_error(problem: String) -> Self {
        Self {
            error_type: "Function.ResponseError".into(),
            message: problem,
            stack_trace: Vec::new(),
            form: FailureForm::Plain,
            cause: Cause::Response,
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
            form: FailureForm::Plain,
            cause: Cause::Response,
        }
    }

    /// Gives a failure that a managed runtime has reported the form of that runtime.
    pub(super) fn of_request(mut self, id: &RequestId, failures: Option<Failures>) -> Self {
        if self.cause == Cause::Handler {
            self.form = match failures {
                None => FailureForm::Plain,
                Some(Failures::Python) => FailureForm::Python(*id),
                Some(Failures::Node) => FailureForm::Node,
            };
        }
        self
    }

    /// The failure for a guest that ended with `error`.
    pub(super) fn of_end(
        error: &wasmtime::Error,
        id: &RequestId,
        time: Duration,
        refusal: Option<Refusal>,
    ) -> Self {
        if error.is::<TimeUp>() {
            return Self::timed_out(id, time);
        }
        let exit = error.downcast_ref::<I32Exit>();
        if let Some(I32Exit(0)) = exit {
            return Self::exited(id, "without providing a reason");
        }
        match refusal {
            Some(Refusal::Host) => return Self::without_host_memory(id),
            Some(Refusal::Environment) => return Self::out_of_memory(id),
            None => {}
        }
        if let Some(I32Exit(status)) = exit {
            return Self::exited(id, &format!("with error: exit status {status}"));
        }
        match error.downcast_ref::<Trap>() {
            Some(trap) => Self::exited(id, &format!("with error: {trap}")),
            None => Self::exited(id, &format!("with error: {}", error.root_cause())),
        }
    }
}

impl Unopened {
    /// The error of an environment whose directories cannot be opened.
    pub(super) fn without_mounts(error: Error) -> Self {
        match &error {
            Error::Mount { source, .. } if is_exhausted(source) => Self::NoRoom(error.to_string()),
            _ => Self::Broken(error),
        }
    }

    /// The error of an environment for which the machine or the engine's pool has no more slots, descriptors or memory.
    pub(super) fn for_want_of_room(error: &wasmtime::Error) -> Option<Self> {
        let is_no_room = error.is::<PoolConcurrencyLimitError>()
            || error
                .downcast_ref::<std::io::Error>()
                .is_some_and(is_exhausted)
            || error
                .downcast_ref()
                .is_some_and(|errno| NO_ROOM.contains(errno));
        is_no_room.then(|| Self::NoRoom(format!("{error:#}")))
    }
}

fn is_exhausted(error: &std::io::Error) -> bool {
    Errno::from_io_error(error).is_some_and(|errno| NO_ROOM.contains(&errno))
}

/// The error that ended a guest and its backtrace, for the log.
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

#[cfg(test)]
mod tests {
    use wasmtime::{
        Config, Engine, Instance, InstanceAllocationStrategy, Module, PoolingAllocationConfig,
        Store,
    };

    use super::*;

    /// A module with one memory.
    const MODULE: &[u8] = b"\0asm\x01\0\0\0\x05\x03\x01\0\x01";

    fn is_no_room(error: &wasmtime::Error) -> bool {
        matches!(Unopened::for_want_of_room(error), Some(Unopened::NoRoom(_)))
    }

    #[test]
    fn full_pool_is_not_the_functions_fault() {
        let mut slots = PoolingAllocationConfig::default();
        slots.total_memories(1).total_tables(0);
        let mut config = Config::new();
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(slots));
        let engine = Engine::new(&config).unwrap();
        let module = Module::new(&engine, MODULE).unwrap();
        let mut store = Store::new(&engine, ());
        Instance::new(&mut store, &module, &[]).unwrap();
        let error = Instance::new(&mut store, &module, &[]).unwrap_err();
        assert!(is_no_room(&error), "{error:?}");
    }

    #[test]
    fn exhausted_machine_is_not_the_functions_fault() {
        for errno in NO_ROOM {
            let error = wasmtime::Error::from(errno).context("mmap");
            assert!(is_no_room(&error), "{error:?}");
            let mount = Error::Mount {
                path: "/x".into(),
                source: errno.into(),
            };
            let unopened = Unopened::without_mounts(mount);
            assert!(matches!(unopened, Unopened::NoRoom(_)), "{unopened:?}");
        }
        let gone = Error::Mount {
            path: "/x".into(),
            source: Errno::NOENT.into(),
        };
        assert!(matches!(
            Unopened::without_mounts(gone),
            Unopened::Broken(_)
        ));
        for error in [Trap::UnreachableCodeReached.into(), I32Exit(1).into()] {
            assert!(!is_no_room(&error), "{error:?}");
        }
    }
}
