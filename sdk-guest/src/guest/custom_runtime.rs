//! Runtime API of the contract, `lambda:function/runtime`.

use std::cell::RefCell;

use super::bindings::lambda::function::runtime;
use crate::{Context, Diagnostic, Error};

/// An event as received, with its parsed context.
pub(crate) struct Invocation {
    pub(crate) request_id: String,
    pub(crate) event: String,
    pub(crate) context: Result<Context, Diagnostic>,
}

/// Phase of the program.
enum Phase {
    Initialising,
    Waiting,
    Answering { request_id: String },
}

thread_local! {
    static PHASE: RefCell<Phase> = const { RefCell::new(Phase::Initialising) };
}

/// Installs a panic hook that reports the panic to the waiting caller before the program ends.
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

/// Errors are ignored: the host has reported the refusal to the caller, and the next event may
/// succeed.
pub(crate) fn answer(request_id: &str, answer: Result<String, Diagnostic>) {
    let _refused = match answer {
        Ok(response) => runtime::respond(request_id, &response),
        Err(diagnostic) => runtime::fail(request_id, &diagnostic.into()),
    };
}

/// Reports only an error before the first event; later ones are not init failures, and the exit
/// code suffices.
pub(crate) fn fail_to_start(diagnostic: Diagnostic) {
    if PHASE.with_borrow(|phase| matches!(phase, Phase::Initialising)) {
        runtime::init_error(&diagnostic.into());
    }
}
