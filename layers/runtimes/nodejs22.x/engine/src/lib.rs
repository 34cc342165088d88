//! The managed Node.js runtime: exports `lambda:function/handler`, and hands each call to `runtime/entry.js`, as texts.

use std::sync::LazyLock;

mod bindings {
    wit_bindgen::generate!({
        path: ["wit", "wit/managed"],
        world: "lambda:managed/managed-http",
        generate_all,
    });
}

// Sources of wasm-rquickjs.
mod builtin;
#[allow(unused)]
mod internal;
mod wrappers;

#[allow(unused)]
mod modules;

use bindings::exports::lambda::function::handler::{Context, Failure, Guest};

/// Names that the sources of wasm-rquickjs read.
static JS_EXPORT_MODULE_NAME: &str = "lamina/entry";

fn js_export_module() -> &'static str {
    let entry = SOURCES
        .iter()
        .find(|(name, _)| name == JS_EXPORT_MODULE_NAME);
    entry.map_or("", |(_, text)| text)
}

type Source = Box<dyn (Fn() -> String) + Send + Sync>;

static JS_ADDITIONAL_MODULES: LazyLock<Vec<(&str, Source)>> = LazyLock::new(|| {
    let others = SOURCES
        .iter()
        .filter(|(name, _)| name != JS_EXPORT_MODULE_NAME);
    let module = |(name, text): &'static (String, String)| -> (&'static str, Source) {
        (name, Box::new(|| text.clone()))
    };
    others.map(module).collect()
});

/// Names and texts of the modules of the runtime: the arguments of the build, which starts the engine. So they change
/// without a new engine.
static SOURCES: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let arguments = wasip2::cli::environment::get_arguments();
    let pairs = arguments.chunks_exact(2);
    pairs.map(|it| (it[0].clone(), it[1].clone())).collect()
});

struct Runtime;

impl Guest for Runtime {
    fn init() -> Result<(), Failure> {
        outcome(called(&["init"], wrappers::JsArgs(()))).map(drop)
    }

    fn invoke(event: String, context: Context) -> Result<String, Failure> {
        let arguments = wrappers::JsArgs((event, facts(&context)));
        outcome(called(&["invoke"], arguments))
    }

    fn before_checkpoint() -> Result<(), Failure> {
        Ok(())
    }

    fn after_restore() -> Result<(), Failure> {
        Ok(())
    }
}

fn called<A>(name: &'static [&'static str], arguments: A) -> String
where
    A: for<'js> rquickjs::function::IntoArgs<'js> + 'static,
{
    internal::async_exported_function(internal::call_js_export("lambda:function", name, arguments))
}

/// The result after the mark `+`, or the failure as JSON.
fn outcome(text: String) -> Result<String, Failure> {
    if let Some(result) = text.strip_prefix('+') {
        return Ok(result.to_owned());
    }
    let failure: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let text = |member: &str| failure[member].as_str().unwrap_or_default().to_owned();
    let frames = failure["trace"].as_array().into_iter().flatten();
    Err(Failure {
        error_type: text("errorType"),
        error_message: text("errorMessage"),
        stack_trace: frames
            .filter_map(|it| it.as_str().map(str::to_owned))
            .collect(),
    })
}

fn facts(context: &Context) -> String {
    serde_json::json!({
        "awsRequestId": context.aws_request_id,
        "deadlineMs": context.deadline_ms,
        "invokedFunctionArn": context.invoked_function_arn,
        "functionName": context.function_name,
        "functionVersion": context.function_version,
        "memoryLimitInMB": context.memory_limit_mib.to_string(),
        "logGroupName": context.log_group_name,
        "logStreamName": context.log_stream_name,
        "clientContext": context.client_context,
        "identity": context.identity.as_ref().map(|it| serde_json::json!({
            "cognitoIdentityId": it.identity_id,
            "cognitoIdentityPoolId": it.identity_pool_id,
        })),
        "traceId": context.trace_id,
        "tenantId": context.tenant_id,
    })
    .to_string()
}

/// Starts the engine. The build calls this once, and keeps the memory as it is then.
#[unsafe(no_mangle)]
extern "C" fn lamina_prepare() {
    internal::wizer_initialize();
}

bindings::export!(Runtime with_types_in bindings);
