//! Program types: a function called by the host, and a custom runtime that polls the host for
//! events. The host interface is in `guest`, or in `native` for native builds.

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
use crate::{Context, Diagnostic, Error, LambdaEvent, ResponseStream, block_on, event};

/// State of a function: empty before init, then constant until the environment ends.
pub type Slot<State> = Cell<Option<&'static State>>;

/// A function as expanded by `#[handler]` or `#[streaming_handler]`: its state and its hooks.
pub trait Function {
    /// Return type of the init function, if the handler takes it.
    type State: 'static;

    /// Storage of the state.
    fn slot() -> &'static LocalKey<Slot<Self::State>>;

    /// Runs the init function.
    fn init() -> Result<Self::State, Diagnostic>;

    /// Runs before a snapshot is taken.
    fn before_checkpoint(_: &'static Self::State) -> Result<(), Diagnostic> {
        Ok(())
    }

    /// Runs in each environment restored from a snapshot.
    fn after_restore(_: &'static Self::State) -> Result<(), Diagnostic> {
        Ok(())
    }
}

/// A function whose response is a JSON document.
pub trait Handler: Function {
    /// Handles one event, JSON to JSON.
    fn invoke(
        event: &str,
        context: Context,
        state: &'static Self::State,
    ) -> Result<String, Diagnostic>;
}

/// A function that writes its response.
pub trait StreamingHandler: Function {
    /// Handles one event.
    fn invoke(
        event: &str,
        context: Context,
        response: &mut ResponseStream<'_>,
        state: &'static Self::State,
    ) -> Result<(), Diagnostic>;
}

/// Polls the host for events and answers each with the handler.
///
/// This is the event loop of a custom runtime, for the `main` of a binary under
/// [`#[lamina_sdk::main]`](crate::main). It does not return while the environment lives.
///
/// # Errors
///
/// If the service is permanently not ready, or in a native build, which has no host.
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

/// Runs the author's `main` and reports its failure to the host.
pub fn start<E: Into<Diagnostic>>(main: impl Future<Output = Result<(), E>>) -> ExitCode {
    match block_on(main) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            custom_runtime::fail_to_start(error.into());
            ExitCode::FAILURE
        }
    }
}
