//! Expansion of `#[handler]` and `#[streaming_handler]`: the author's function unchanged, and implementations of the traits
//! `Function` and `Handler` or `StreamingHandler`, exported from the component.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, FnArg, ItemFn, Path, Result, ReturnType, Type, meta::ParseNestedMeta};

/// The way in which a handler responds.
#[derive(Clone, Copy)]
pub(crate) enum Response {
    Returned,
    Streamed,
}

/// Arguments of the attribute.
pub(crate) struct Options {
    response: Response,
    init: Option<Path>,
    before_checkpoint: Option<Path>,
    after_restore: Option<Path>,
}

impl Options {
    pub(crate) fn new(response: Response) -> Self {
        Self {
            response,
            init: None,
            before_checkpoint: None,
            after_restore: None,
        }
    }

    /// Parses one `name = path` argument.
    pub(crate) fn set(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let option = if meta.path.is_ident("init") {
            &mut self.init
        } else if meta.path.is_ident("before_checkpoint") {
            &mut self.before_checkpoint
        } else if meta.path.is_ident("after_restore") {
            &mut self.after_restore
        } else {
            return Err(meta.error(
                "unknown option: a handler knows `init`, `before_checkpoint` and `after_restore`",
            ));
        };
        if option.replace(meta.value()?.parse()?).is_some() {
            return Err(meta.error("this option is given twice"));
        }
        Ok(())
    }
}

pub(crate) fn expand(options: &Options, function: &ItemFn) -> Result<TokenStream> {
    let state = check(options, function)?;
    let invoke = match options.response {
        Response::Returned => handler(function, state),
        Response::Streamed => streaming_handler(function, state),
    };
    let init = init(options, state);
    let before_checkpoint = hook(
        "before_checkpoint",
        options.before_checkpoint.as_ref(),
        state,
    );
    let after_restore = hook("after_restore", options.after_restore.as_ref(), state);
    let state = state.map_or_else(|| quote!(()), |state| quote!(#state));

    Ok(quote! {
        #function

        const _: () = {
            use ::lamina_sdk::__private;

            ::std::thread_local! {
                static STATE: __private::Slot<#state> = const { __private::Slot::new(None) };
            }

            struct Handler;

            impl __private::Function for Handler {
                type State = #state;

                fn slot() -> &'static __private::LocalKey<__private::Slot<Self::State>> {
                    &STATE
                }

                #init
                #before_checkpoint
                #after_restore
            }

            #invoke
        };
    })
}

/// Implementation and export of a handler that returns its response.
fn handler(function: &ItemFn, state: Option<&Type>) -> TokenStream {
    let place = place(&function.sig.output);
    let answer = outcome(place, &call(function, None, state));
    let invoke = quote_spanned!(place=> __private::write_response(&(#answer)?));
    quote! {
        impl __private::Handler for Handler {
            fn invoke(
                event: &str,
                context: ::lamina_sdk::Context,
                state: &'static <Self as __private::Function>::State,
            ) -> ::core::result::Result<__private::String, ::lamina_sdk::Diagnostic> {
                let event = __private::read_event(event, context)?;
                #invoke
            }
        }

        type Exported = __private::Exported<Handler>;
        __private::export!(Exported);
    }
}

/// Implementation and export of a handler that streams its response.
fn streaming_handler(function: &ItemFn, state: Option<&Type>) -> TokenStream {
    let place = place(&function.sig.output);
    let response = Some(quote!(response));
    let answer = outcome(place, &call(function, response, state));
    quote! {
        impl __private::StreamingHandler for Handler {
            fn invoke(
                event: &str,
                context: ::lamina_sdk::Context,
                response: &mut ::lamina_sdk::ResponseStream<'_>,
                state: &'static <Self as __private::Function>::State,
            ) -> ::core::result::Result<(), ::lamina_sdk::Diagnostic> {
                let event = __private::read_event(event, context)?;
                #answer
            }
        }

        type Exported = __private::ExportedStream<Handler>;
        __private::export_stream!(Exported);
    }
}

/// Call of the author's function.
fn call(function: &ItemFn, response: Option<TokenStream>, state: Option<&Type>) -> TokenStream {
    let name = &function.sig.ident;
    let state = state.map(|_| quote!(state));
    let arguments = std::iter::once(quote!(event)).chain(response).chain(state);
    let call = quote!(#name(#(#arguments),*));
    match function.sig.asyncness {
        Some(_) => quote!(__private::block_on(#call)),
        None => call,
    }
}

/// Validates the signature and returns the type of the state.
fn check<'a>(options: &Options, function: &'a ItemFn) -> Result<Option<&'a Type>> {
    let signature = &function.sig;
    if !signature.generics.params.is_empty() {
        return Err(Error::new_spanned(
            &signature.generics,
            "a handler has one event type, so it is not generic",
        ));
    }
    if matches!(signature.output, ReturnType::Default) {
        return Err(Error::new_spanned(
            signature,
            "a handler returns `Result<Response, Error>`",
        ));
    }
    // The event, and the response stream.
    let (before_state, takes) = match options.response {
        Response::Returned => (
            1,
            "a handler takes `event: LambdaEvent<T>`, and `&State` if it has an init function",
        ),
        Response::Streamed => (
            2,
            "a streaming handler takes `event: LambdaEvent<T>`, `response: &mut ResponseStream`, and `&State` if it has \
             an init function",
        ),
    };
    let mut arguments = signature.inputs.iter();
    let given = arguments.by_ref().take(before_state).count();
    match arguments.collect::<Vec<_>>()[..] {
        [] if given == before_state => Ok(None),
        [FnArg::Typed(state)] => match &*state.ty {
            Type::Reference(reference) if options.init.is_some() => Ok(Some(&reference.elem)),
            Type::Reference(_) => Err(Error::new_spanned(
                state,
                "the state comes from an init function: write `#[handler(init = setup)]`",
            )),
            other => Err(Error::new_spanned(
                other,
                "the state is shared by all invocations: take it as `&State`",
            )),
        },
        _ => Err(Error::new_spanned(signature, takes)),
    }
}

/// `Function::init`: calls the author's init function, if any. Its value is kept only if the
/// handler takes it.
fn init(options: &Options, state: Option<&Type>) -> TokenStream {
    let body = match (&options.init, state) {
        (Some(init), Some(_)) => outcome(place(init), &quote!(#init())),
        (Some(init), None) => {
            let outcome = outcome(place(init), &quote!(#init()));
            quote!(#outcome.map(|_| ()))
        }
        (None, _) => quote!(::core::result::Result::Ok(())),
    };
    quote! {
        fn init() -> ::core::result::Result<Self::State, ::lamina_sdk::Diagnostic> {
            #body
        }
    }
}

/// One of the two snapshot hooks; without a path, the trait's empty default.
fn hook(name: &str, path: Option<&Path>, state: Option<&Type>) -> Option<TokenStream> {
    let path = path?;
    let name = syn::Ident::new(name, proc_macro2::Span::call_site());
    let argument = state.map(|_| quote!(state));
    let body = outcome(place(path), &quote!(#path(#argument)));
    Some(quote! {
        fn #name(
            state: &'static Self::State,
        ) -> ::core::result::Result<(), ::lamina_sdk::Diagnostic> {
            #body
        }
    })
}

/// Expression for the result of a call, with its error converted into a `Diagnostic`. Method
/// resolution chooses
/// `diagnosis`: the author's conversion, or else the type name. Compiler errors point to `place`.
fn outcome(place: Span, call: &TokenStream) -> TokenStream {
    quote_spanned! {place=>
        __private::outcome(#call).map_err(|error| {
            #[allow(unused_imports, reason = "the error's type decides which of them is called")]
            use __private::{ByConversion as _, ByTypeName as _, Otherwise as _};
            (&&&__private::Probe::of(&error)).diagnosis().of(error)
        })
    }
}

/// Span of the author's code, so that errors in generated code point there.
fn place(written: &impl Spanned) -> Span {
    written.span().resolved_at(Span::mixed_site())
}
