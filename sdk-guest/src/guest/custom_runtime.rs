//! The Runtime API as the contract has it, `lambda:function/runtime`.

use std::cell::RefCell;

use super::bindings::lambda::function::runtime;
use crate::{Context, Diagnostic, Error};

/// One event as it came, and what its context says.
pub(crate) struct Invocation {
    pub(crate) request_id: String,
    pub(crate) event: String,
    pub(crate) context: Result<Context, Diagnostic>,
}

/// How far this program is.
enum Phase {
    Initialising,
    Waiting,
    Answering { request_id: String },
}

thread_local! {
    static PHASE: RefCell<Phase> = const { RefCell::new(Phase::Initialising) };
}

/// A panic ends the program, but before it does the waiting caller can be told.
pub(crate) fn prepare() -> Result<(), Error> {
    let log = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        log(panic);
        if let Phase::Answering { request_id } = PHASE.replace(Phase::Waiting) {
            let diagnostic = Diagnostic {
                error_type: "Panic".to_owned(),
                error_message: panic.to_string(),
            };
            answer(&request_id, Err(diagnostic));
        }
    }));
    Ok(())
}

pub(crate) fn next() -> Invocation {
    PHASE.set(Phase::Waiting);
    let invocation = runtime::next();
    let request_id = invocation.context.aws_request_id.clone();
    PHASE.set(Phase::Answering {
        request_id: request_id.clone(),
    });
    Invocation {
        request_id,
        event: invocation.event,
        context: invocation.context.try_into(),
    }
}

/// Whether the host took the answer makes no difference here: it has told the caller why not,
/// and the next event may well go better.
pub(crate) fn answer(request_id: &str, answer: Result<String, Diagnostic>) {
    let _refused = match answer {
        Ok(response) => runtime::respond(request_id, &response),
        Err(diagnostic) => runtime::fail(request_id, &diagnostic.into()),
    };
}

/// An error after the first event is no failure of the initialisation; the exit code says enough.
pub(crate) fn fail_to_start(diagnostic: Diagnostic) {
    if PHASE.with_borrow(|phase| matches!(phase, Phase::Initialising)) {
        runtime::init_error(&diagnostic.into());
    }
}
