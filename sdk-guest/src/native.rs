//! Stand-in for the host in native builds, for unit tests and docs of a function. Handlers are
//! callable; the program itself does not run.

use std::marker::PhantomData;

use crate::program::{Handler, StreamingHandler};

/// Stand-in for the component's exports.
#[derive(Debug)]
pub struct Exported<F: Handler>(PhantomData<F>);

impl<F: Handler> Exported<F> {
    /// References every part of the function, to avoid dead-code warnings.
    pub fn check() {
        let _ = (
            F::slot,
            F::init,
            F::invoke,
            F::before_checkpoint,
            F::after_restore,
        );
    }
}

/// Stand-in for the exports of a streaming function.
#[derive(Debug)]
pub struct ExportedStream<F: StreamingHandler>(PhantomData<F>);

impl<F: StreamingHandler> ExportedStream<F> {
    /// References every part of the function, to avoid dead-code warnings.
    pub fn check() {
        let _ = (
            F::slot,
            F::init,
            F::invoke,
            F::before_checkpoint,
            F::after_restore,
        );
    }
}

/// Export of the function in a component.
#[doc(hidden)]
#[macro_export]
macro_rules! __native_export {
    ($exported:ident) => {
        const _: fn() = $exported::check;
    };
}
pub use __native_export as export;
pub use __native_export as export_stream;

pub(crate) mod custom_runtime {
    //! Stand-in for the Runtime API.

    use crate::{Context, Diagnostic, Error};

    pub(crate) struct Invocation {
        pub(crate) request_id: String,
        pub(crate) event: String,
        pub(crate) context: Result<Context, Diagnostic>,
    }

    pub(crate) fn prepare() -> Result<(), Error> {
        Err("a function runs in a Lamina host: build it with `--target wasm32-wasip2`".into())
    }

    pub(crate) fn next() -> Invocation {
        unreachable!("`prepare` fails in a native build")
    }

    pub(crate) fn answer(_: &str, _: Result<String, Diagnostic>) {}

    #[expect(
        clippy::print_stderr,
        reason = "the error of a program that is run by hand"
    )]
    pub(crate) fn fail_to_start(error: Diagnostic) {
        eprintln!("{error}");
    }
}

pub(crate) mod extension {
    //! Stand-in for the Extensions API.

    use crate::Error;
    use crate::extension::{Event, Extension};

    pub(crate) fn register(_: &Extension) -> Result<(), Error> {
        Err("an extension runs in a Lamina host: build it with `--target wasm32-wasip2`".into())
    }

    pub(crate) fn next() -> Event {
        unreachable!("`register` fails in a native build")
    }

    pub(crate) fn exit_error(_: &str, _: &str) {}
}
