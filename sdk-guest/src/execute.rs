//! What happens around a handler: the event is read, the handler is run, its answer is written.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context as TaskContext, Poll, Wake, Waker};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Context, Diagnostic, LambdaEvent};

/// Runs a handler on an event.
pub fn invoke<T, R, E>(
    event: &str,
    context: impl Into<Context>,
    handler: impl FnOnce(LambdaEvent<T>) -> Result<R, E>,
) -> Result<String, Diagnostic>
where
    T: DeserializeOwned,
    R: Serialize,
    E: Into<Diagnostic>,
{
    let payload = serde_json::from_str(event).map_err(|error| Diagnostic {
        error_type: "Runtime.UnmarshalError".into(),
        error_message: format!("The event is not what the function takes: {error}"),
    })?;
    let answer = handler(LambdaEvent::new(payload, context.into())).map_err(Into::into)?;
    serde_json::to_string(&answer).map_err(|error| Diagnostic {
        error_type: "Runtime.MarshalError".into(),
        error_message: format!("The function's answer cannot be written as JSON: {error}"),
    })
}

/// Runs a function's init code, once.
pub fn initialise<S, E: Into<Diagnostic>>(
    state: &OnceLock<S>,
    init: impl FnOnce() -> Result<S, E>,
) -> Result<(), Diagnostic> {
    // There is one thread and one init: nobody else can have set it.
    let _ = state.set(init().map_err(Into::into)?);
    Ok(())
}

/// Polls a future to its end.
///
/// # Panics
/// Where it waits for something that nobody will bring: there is nothing to wait for here.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let woken = Arc::new(Flag(AtomicBool::new(true)));
    let waker = Waker::from(Arc::clone(&woken));
    let mut future = pin!(future);
    while woken.0.swap(false, Ordering::Relaxed) {
        if let Poll::Ready(output) = future.as_mut().poll(&mut TaskContext::from_waker(&waker)) {
            return output;
        }
    }
    panic!("the handler waits for something that can never happen: nothing here drives timers or sockets");
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn double(event: LambdaEvent<u32>) -> Result<u32, String> {
        event.payload.checked_mul(2).ok_or_else(|| "too large".to_owned())
    }

    #[test]
    fn a_handler_is_given_its_type_and_answers_in_json() {
        assert_eq!(invoke("21", Context::default(), double).as_deref(), Ok("42"));
        let failed = invoke("4294967295", Context::default(), double).unwrap_err();
        assert_eq!((&*failed.error_type, &*failed.error_message), ("String", "too large"));
        let bad = invoke("\"x\"", Context::default(), double).unwrap_err();
        assert_eq!(bad.error_type, "Runtime.UnmarshalError");
        assert!(bad.error_message.contains("line 1 column"), "{}", bad.error_message);
    }

    #[test]
    fn a_future_is_polled_while_it_is_woken() {
        let mut polls = 0;
        let future = std::future::poll_fn(|task| {
            polls += 1;
            task.waker().wake_by_ref();
            if polls == 3 { Poll::Ready(polls) } else { Poll::Pending }
        });
        assert_eq!(block_on(future), 3);
    }
}
