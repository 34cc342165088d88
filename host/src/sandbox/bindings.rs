//! Generated bindings of `wit/`, one module per world.

pub(super) mod function {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "lambda:function/function",
        exports: { default: async },
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

pub(super) mod streaming {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "lambda:function/streaming-function",
        imports: { default: async | trappable },
        exports: { default: async },
        ownership: Borrowing { duplicate_if_necessary: true },
        with: {
            "lambda:function/types": crate::sandbox::bindings::function::lambda::function::types,
            "lambda:function/response.response-stream": crate::sandbox::capability::response::Sink,
        },
    });
}

pub(super) mod extension {
    wasmtime::component::bindgen!({
        path: "../wit/extension",
        world: "lambda:extension/extension",
        imports: { default: async | trappable },
    });
}

pub(super) mod runtime {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "lambda:function/custom-runtime",
        imports: { default: async | trappable },
    });
}
