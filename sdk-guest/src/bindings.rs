//! The contract of `wit/` as Rust. Nothing but generated code.

#![expect(
    clippy::allow_attributes_without_reason,
    clippy::undocumented_unsafe_blocks,
    clippy::cast_possible_truncation,
    reason = "the code is generated"
)]

/// A function that is called.
pub mod function {
    wit_bindgen::generate!({
        path: "../wit",
        world: "lambda:function/function",
        pub_export_macro: true,
        export_macro_name: "export_function",
        default_bindings_module: "::lamina_sdk::__private::function",
    });
}

/// A program with its own loop.
pub(crate) mod runtime {
    wit_bindgen::generate!({
        path: "../wit",
        world: "lambda:function/custom-runtime",
    });
}
