//! A hyper server whose responses come from a function: `embed-hyper COMPONENT DATA_DIR`.
#![expect(clippy::print_stdout, reason = "it prints its address")]

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use lamina::{Compiler, Function, Host};
use tokio::net::TcpListener;

/// Time for a client to send the head of a request.
const HEAD_TIME: Duration = Duration::from_secs(10);

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
    let [component, data_dir] = &arguments[..] else {
        return Err("usage: embed-hyper COMPONENT DATA_DIR".into());
    };
    let compiler = Compiler::this_program()?;
    let host = Host::builder().data_dir(data_dir).compiler(compiler);
    let host = host.build().await?;
    let component = std::fs::read(component)?;
    let web = host
        .deploy(Function::from_bytes("web", component).timeout(Duration::from_secs(30)))
        .await?;
    web.prewarm(1).await?;

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let web = TowerToHyperService::new(web.clone());
        tokio::spawn(async move {
            let mut server = auto::Builder::new(TokioExecutor::new());
            let mut http1 = server.http1();
            http1
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIME);
            // Disconnects are normal.
            let _ended = server.serve_connection(TokioIo::new(stream), web).await;
        });
    }
}
