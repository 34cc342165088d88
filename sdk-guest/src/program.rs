//! The two kinds of program and what drives them: a function that the host calls, and a custom
//! runtime that asks the host for events. The host's side of both is `guest`, or `native` where
//! there is none.

use std::cell::Cell;
use std::process::ExitCode;
use std::thread::LocalKey;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tower_service::Service;

#[cfg(target_family = "wasm")]
use crate::guest::custom_runtime;
#[cfg(not(target_family = "wasm"))]
use crate::native::custom_runtime;
use crate::{Context, Diagnostic, Error, LambdaEvent, block_on, event};

/// Where a function keeps its state: empty before init, then the same until the environment ends.
pub type Slot<State> = Cell<Option<&'static State>>;

/// What `#[handler]` makes of an author's function.
pub trait Function {
    /// What the init function returned, if the handler takes it.
    type State: 'static;

    /// Where the state is.
    fn slot() -> &'static LocalKey<Slot<Self::State>>;

    /// Makes the state.
    fn init() -> Result<Self::State, Diagnostic>;

    /// Answers one event, JSON for JSON.
    fn invoke(
        event: &str,
        context: Context,
        state: &'static Self::State,
    ) -> Result<String, Diagnostic>;

    /// Runs before a snapshot is taken.
    fn before_checkpoint(_: &'static Self::State) -> Result<(), Diagnostic> {
        Ok(())
    }

    /// Runs in each copy of a snapshot.
    fn after_restore(_: &'static Self::State) -> Result<(), Diagnostic> {
        Ok(())
    }
}

/// Asks the host for events, one after the other, and answers each with the handler.
///
/// This is the loop of a custom runtime; it stands in the `main` of a binary, under
/// [`#[lamina_sdk::main]`](crate::main). It does not return while the environment lives.
///
/// # Errors
///
/// If the service says that it will never be ready again, or if there is no host: the program was
/// built for something else than a component.
pub async fn run<S, T>(mut handler: S) -> Result<(), Error>
where
    S: Service<LambdaEvent<T>>,
    S::Response: Serialize,
    S::Error: Into<Diagnostic>,
    T: DeserializeOwned,
{
    custom_runtime::prepare()?;
    loop {
        std::future::poll_fn(|context| handler.poll_ready(context))
            .await
            .map_err(Into::into)?;
        let invocation = custom_runtime::next();
        let answer = match invocation.context {
            Ok(context) => answer(&mut handler, &invocation.event, context).await,
            Err(diagnostic) => Err(diagnostic),
        };
        custom_runtime::answer(&invocation.request_id, answer);
    }
}

async fn answer<S, T>(handler: &mut S, event: &str, context: Context) -> Result<String, Diagnostic>
where
    S: Service<LambdaEvent<T>>,
    S::Response: Serialize,
    S::Error: Into<Diagnostic>,
    T: DeserializeOwned,
{
    let event = event::read_event(event, context)?;
    let response = handler.call(event).await.map_err(Into::into)?;
    event::write_response(&response)
}

/// Runs the author's `main` and tells the host if it failed.
pub fn start<E: Into<Diagnostic>>(main: impl Future<Output = Result<(), E>>) -> ExitCode {
    match block_on(main) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            custom_runtime::fail_to_start(error.into());
            ExitCode::FAILURE
        }
    }
}
