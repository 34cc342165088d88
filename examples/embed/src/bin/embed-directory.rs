//! A proxy that serves a directory of components and swaps them while it runs: `/hello/...` goes to `hello.wasm`. A changed
//! file is deployed; requests in progress end in the old code. `embed-directory DIRECTORY DATA_DIR`.
#![expect(
    clippy::print_stdout,
    reason = "it prints its address and what it deploys"
)]

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use lamina::{Compiler, Host};
use notify::{RecursiveMode, Watcher};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tower::Service;

/// A file is written in several steps; they are one change.
const SETTLE: Duration = Duration::from_millis(100);

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
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [directory, data_dir] = &arguments[..] else {
        return Err("usage: embed-directory DIRECTORY DATA_DIR".into());
    };
    let compiler = Compiler::this_program()?;
    let host = Host::builder().data_dir(data_dir).compiler(compiler);
    let host = Arc::new(host.build().await?);
    let changed = Arc::new(Notify::new());
    let mut watcher = notify::recommended_watcher({
        let changed = Arc::clone(&changed);
        move |_| changed.notify_one()
    })?;
    // Watched before it is read, so that no change is missed.
    watcher.watch(directory, RecursiveMode::NonRecursive)?;
    deploy(&host, directory).await;
    tokio::spawn({
        let (host, directory) = (Arc::clone(&host), directory.clone());
        async move {
            loop {
                changed.notified().await;
                tokio::time::sleep(SETTLE).await;
                deploy(&host, &directory).await;
            }
        }
    });

    let router = Router::new().fallback(proxy).with_state(host);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    axum::serve(listener, router).await?;
    Ok(())
}

async fn deploy(host: &Host, directory: &std::path::Path) {
    match host.deploy_directory(directory).await {
        Ok(functions) => {
            for (name, outcome) in functions {
                match outcome {
                    Ok(_) => println!("{name} is deployed"),
                    Err(error) => println!("{name} stays as it is: {error}"),
                }
            }
        }
        Err(error) => println!("{error}"),
    }
}

/// Passes a request on, without the name of the function in its path.
async fn proxy(State(host): State<Arc<Host>>, mut request: Request) -> Response {
    let target = request.uri().path_and_query();
    let target = target.and_then(|it| it.as_str().strip_prefix('/')?.split_once('/'));
    let Some((name, rest)) = target else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let (Ok(uri), Ok(mut function)) = (format!("/{rest}").parse(), host.function(name)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    *request.uri_mut() = uri;
    match function.ready().await {
        Ok(ready) => match ready.call(request).await {
            Ok(response) => response.into_response(),
        },
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}
