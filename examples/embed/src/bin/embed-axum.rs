//! An axum router with a function as its fallback, another that a handler invokes, and a third that decides about every
//! request: `embed-axum WEB_COMPONENT EVENT_COMPONENT FILTER_COMPONENT DATA_DIR`.
#![expect(clippy::print_stdout, reason = "it prints its address")]

use std::error::Error;
use std::process::ExitCode;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, ServiceExt};
use http::StatusCode;
use lamina::{Blame, Compiler, Decision, Function, FunctionHandle, Host, InvokeOptions};
use tokio::net::TcpListener;
use tower::Layer;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    // Functions are compiled in child processes of this program.
    if let Some(code) = lamina::compiler_main() {
        return Ok(code);
    }
    serve()?;
    Ok(ExitCode::SUCCESS)
}

#[tokio::main]
async fn serve() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [web, event, filter, data_dir] = &arguments[..] else {
        return Err(
            "usage: embed-axum WEB_COMPONENT EVENT_COMPONENT FILTER_COMPONENT DATA_DIR".into(),
        );
    };
    let compiler = Compiler::this_program()?;
    let host = Host::builder().data_dir(data_dir).compiler(compiler);
    let host = host.build().await?;
    let deploy = async |name: &str, file: &String| -> Result<_, Box<dyn Error>> {
        Ok(host
            .deploy(Function::from_bytes(name, std::fs::read(file)?))
            .await?)
    };
    let web = deploy("web", web).await?;
    let greeter = deploy("greeter", event).await?;
    let filter = deploy("filter", filter).await?;

    let router = Router::new()
        .route("/health", get(async || "ok"))
        .route("/greet", post(greet).with_state(greeter))
        .fallback_service(web);
    // Around the router, so that a changed path is routed.
    let filtered = middleware::from_fn_with_state(filter, decide).layer(router);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    axum::serve(listener, ServiceExt::<Request>::into_make_service(filtered)).await?;
    Ok(())
}

/// Invokes a function with the body of the request.
async fn greet(State(greeter): State<FunctionHandle>, event: Bytes) -> Response {
    match greeter.invoke(event, InvokeOptions::default()).await {
        Ok(response) => response.payload.into_response(),
        Err(error) => failed(&error),
    }
}

/// Lets a function decide what happens to a request.
async fn decide(State(filter): State<FunctionHandle>, request: Request, next: Next) -> Response {
    let (mut head, body) = request.into_parts();
    match filter.decide(&head).await {
        Ok(Decision::Continue) => {}
        Ok(Decision::Modify(changes)) => changes.apply(&mut head),
        Ok(Decision::Respond(response)) => return response.into_response(),
        Ok(_) => return StatusCode::BAD_GATEWAY.into_response(),
        Err(error) => return failed(&error),
    }
    next.run(Request::from_parts(head, body)).await
}

fn failed(error: &lamina::Error) -> Response {
    let status = match error.blame() {
        _ if matches!(error, lamina::Error::Throttled(_)) => StatusCode::TOO_MANY_REQUESTS,
        Blame::Caller => StatusCode::BAD_REQUEST,
        Blame::Function => StatusCode::BAD_GATEWAY,
        Blame::Host => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, error.to_string()).into_response()
}
