//! The `handler` attribute of `lamina-sdk`. Use it from there.

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Code;
use quote::quote;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{Error, FnArg, ItemFn, MetaNameValue, Path, ReturnType, Token, Type};

/// Makes a function the handler of a Lambda function: `fn(LambdaEvent<T>) -> Result<R, E>`, async or not.
///
/// * `init = f` runs `fn f() -> Result<State, E>` once in each environment; the handler takes
///   `&State` as its second argument.
/// * `before_checkpoint = f` and `after_restore = f` run `fn f()` around a snapshot.
#[proc_macro_attribute]
pub fn handler(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let parsed = Hooks::parse(arguments).and_then(|hooks| {
        let function = syn::parse::<ItemFn>(item)?;
        expand(&hooks, &function)
    });
    parsed.unwrap_or_else(Error::into_compile_error).into()
}

/// What the attribute's arguments name.
#[derive(Default)]
struct Hooks {
    init: Option<Path>,
    before_checkpoint: Option<Path>,
    after_restore: Option<Path>,
}

impl Hooks {
    fn parse(arguments: TokenStream) -> syn::Result<Self> {
        let arguments =
            Punctuated::<MetaNameValue, Token![,]>::parse_terminated.parse(arguments)?;
        let mut hooks = Self::default();
        for argument in arguments {
            let place = match argument.path.get_ident().map(ToString::to_string).as_deref() {
                Some("init") => &mut hooks.init,
                Some("before_checkpoint") => &mut hooks.before_checkpoint,
                Some("after_restore") => &mut hooks.after_restore,
                _ => {
                    return Err(Error::new_spanned(
                        argument.path,
                        "expected `init`, `before_checkpoint` or `after_restore`",
                    ));
                }
            };
            let value = &argument.value;
            *place = Some(syn::parse2(quote!(#value))?);
        }
        Ok(hooks)
    }
}

fn expand(hooks: &Hooks, function: &ItemFn) -> syn::Result<Code> {
    let signature = &function.sig;
    if let ReturnType::Default = signature.output {
        return Err(Error::new_spanned(signature, "a handler returns a Result"));
    }
    let name = &signature.ident;
    let state = state_type(hooks, function)?;
    let (statics, init, call) = match (&hooks.init, state) {
        (Some(init), Some(state)) => (
            quote!(static STATE: ::std::sync::OnceLock<#state> = ::std::sync::OnceLock::new();),
            quote!(::lamina_sdk::__private::initialise(&STATE, #init).map_err(Into::into)),
            quote!(#name(event, STATE.get().expect("init has run"))),
        ),
        _ => (quote!(), quote!(Ok(())), quote!(#name(event))),
    };
    let call = match signature.asyncness {
        Some(_) => quote!(::lamina_sdk::__private::block_on(#call)),
        None => call,
    };
    let before = hooks.before_checkpoint.iter();
    let after = hooks.after_restore.iter();
    Ok(quote! {
        #function

        const _: () = {
            use ::lamina_sdk::__private::function;
            use function::exports::lambda::function::handler::{Context, Failure, Guest};

            #statics

            struct Function;

            impl Guest for Function {
                fn init() -> Result<(), Failure> {
                    #init
                }

                fn invoke(event: String, context: Context) -> Result<String, Failure> {
                    ::lamina_sdk::__private::invoke(&event, context, |event| #call)
                        .map_err(Into::into)
                }

                fn before_checkpoint() {
                    #(#before();)*
                }

                fn after_restore() {
                    #(#after();)*
                }
            }

            function::export_function!(Function with_types_in function);
        };
    })
}

/// The state a handler takes: there is one if, and only if, there is init code.
fn state_type(hooks: &Hooks, function: &ItemFn) -> syn::Result<Option<Type>> {
    let inputs = &function.sig.inputs;
    match (&hooks.init, inputs.len(), inputs.get(1)) {
        (None, 1, _) => Ok(None),
        (Some(_), 2, Some(FnArg::Typed(argument))) => match argument.ty.as_ref() {
            Type::Reference(reference) => Ok(Some(reference.elem.as_ref().clone())),
            other => Err(Error::new_spanned(other, "the state is taken by reference: `&State`")),
        },
        (None, ..) => Err(Error::new_spanned(inputs, "a handler takes one argument: the event")),
        (Some(_), ..) => Err(Error::new_spanned(
            inputs,
            "a handler with `init` takes two arguments: the event, and what `init` returned",
        )),
    }
}
