//! Attribute macros of `lamina-sdk`: `handler`, `streaming_handler` and `main`. They only connect the author's function to
//! `lamina_sdk::__private`, which has all run-time code.

mod handler;
mod main_fn;

use handler::Response;
use proc_macro::TokenStream;
use syn::{ItemFn, parse_macro_input};

/// Makes a function the handler of a component that exports `lambda:function/handler`.
///
/// The crate is a library with `crate-type = ["cdylib"]`. The function is sync or async, takes a
/// `LambdaEvent<T>` and returns a `Result`:
///
/// ```ignore
/// #[lamina_sdk::handler]
/// async fn greet(event: LambdaEvent<Request>) -> Result<Response, Error> { .. }
/// ```
///
/// Options, each the path of a sync function that returns a `Result`:
///
/// - `init = setup` runs once in each environment, before the first event. A handler with a
///   second argument `&State` gets what `setup` returned.
/// - `before_checkpoint = close` runs when the environment is about to be snapshotted.
/// - `after_restore = reopen` runs in each environment made from a snapshot.
///
/// Both hooks take `&State` too if the handler does.
#[proc_macro_attribute]
pub fn handler(options: TokenStream, function: TokenStream) -> TokenStream {
    expand_handler(Response::Returned, options, function)
}

/// Makes a function the handler of a component that exports
/// `lambda:function/streaming-handler`: it writes its response to a stream.
///
/// ```ignore
/// #[lamina_sdk::streaming_handler]
/// fn greet(event: LambdaEvent<Request>, response: &mut ResponseStream) -> Result<(), Error> { .. }
/// ```
///
/// The options are those of `handler`; `&State` is the third argument.
#[proc_macro_attribute]
pub fn streaming_handler(options: TokenStream, function: TokenStream) -> TokenStream {
    expand_handler(Response::Streamed, options, function)
}

fn expand_handler(response: Response, options: TokenStream, function: TokenStream) -> TokenStream {
    let mut parsed = handler::Options::new(response);
    let parser = syn::meta::parser(|meta| parsed.set(&meta));
    parse_macro_input!(options with parser);
    let function = parse_macro_input!(function as ItemFn);
    handler::expand(&parsed, &function)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Makes an `async fn main` a custom runtime, like `#[tokio::main]` for AWS's `lambda_runtime`. An
/// error returned before the first event fails the initialisation.
///
/// ```ignore
/// #[lamina_sdk::main]
/// async fn main() -> Result<(), Error> {
///     lamina_sdk::run(service_fn(greet)).await
/// }
/// ```
#[proc_macro_attribute]
pub fn main(options: TokenStream, function: TokenStream) -> TokenStream {
    parse_macro_input!(options as syn::parse::Nothing);
    let function = parse_macro_input!(function as ItemFn);
    main_fn::expand(function)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
