//! HTTP server for requests of functions, with HTTP/1.1 or HTTP/2, plain or with TLS. It counts connections.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::harness::root;

/// File of `tests/certificates`.
pub fn certificate(name: &str) -> PathBuf {
    root().join("tests/certificates").join(name)
}

pub struct HttpServer {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl HttpServer {
    /// Plain HTTP.
    pub async fn start() -> Self {
        Self::bind("127.0.0.1:0", None).await
    }

    /// TLS with the certificate `server.pem`; offers these ALPN protocols.
    pub async fn with_tls(protocols: &[&str]) -> Self {
        Self::bind("127.0.0.1:0", Some(acceptor("server", protocols))).await
    }

    pub async fn bind(address: &str, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(address).await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                let tls = tls.clone();
                tokio::spawn(async move {
                    let builder = auto::Builder::new(TokioExecutor::new());
                    let service = service_fn(answer);
                    // Clients may end connections as they like.
                    if let Some(tls) = tls {
                        if let Ok(stream) = tls.accept(stream).await {
                            let stream = TokioIo::new(stream);
                            let _ended = builder.serve_connection(stream, service).await;
                        }
                    } else {
                        let stream = TokioIo::new(stream);
                        let _ended = builder.serve_connection(stream, service).await;
                    }
                });
            }
        });
        Self {
            address,
            connections,
        }
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }
}

/// TLS with a certificate of `tests/certificates`.
pub fn acceptor(name: &str, protocols: &[&str]) -> TlsAcceptor {
    let chain = CertificateDer::pem_file_iter(certificate(&format!("{name}.pem")));
    let chain: Result<Vec<_>, _> = chain.expect("it is there").collect();
    let key = PrivateKeyDer::from_pem_file(certificate(&format!("{name}.key")));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider knows TLS")
        .with_no_client_auth()
        .with_single_cert(chain.expect("certificates"), key.expect("a key"))
        .expect("they belong together");
    config.alpn_protocols = protocols.iter().map(|it| it.as_bytes().to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

type Reply = Response<BoxBody<Bytes, Infallible>>;

/// `/silent` never answers, `/stalled` stops in its body, `/big` has 1 MiB; all else describes the request.
async fn answer(request: Request<Incoming>) -> Result<Reply, Infallible> {
    let path = request.uri().path().to_owned();
    Ok(match path.as_str() {
        "/silent" => std::future::pending().await,
        "/stalled" => Response::new(stalled()),
        "/big" => Response::new(Full::new(vec![b'x'; 1 << 20].into()).boxed()),
        _ => described(request).await,
    })
}

async fn described(request: Request<Incoming>) -> Reply {
    let (parts, body) = request.into_parts();
    let authority = parts.uri.authority().map(ToString::to_string);
    let host = parts.headers.get("host").and_then(|it| it.to_str().ok());
    let host = host.map(ToOwned::to_owned).or(authority);
    let own = parts.headers.get("x-own").and_then(|it| it.to_str().ok());
    let body = match body.collect().await {
        Ok(body) => body.to_bytes().len(),
        Err(_) => 0,
    };
    let target = parts.uri.path_and_query().map(ToString::to_string);
    let text = json!({
        "method": parts.method.as_str(), "target": target, "host": host, "own": own,
        "bytes": body, "version": format!("{:?}", parts.version),
    });
    let mut reply = Response::new(Full::new(text.to_string().into()).boxed());
    let answered = http::HeaderValue::from_static("1");
    reply.headers_mut().insert("x-answered", answered);
    reply
}

fn stalled() -> BoxBody<Bytes, Infallible> {
    let frames = futures_util::stream::unfold(0, async |sent| {
        if sent > 0 {
            tokio::time::sleep(Duration::from_secs(3_600)).await;
        }
        let frame = Frame::data(Bytes::from_static(b"begun"));
        Some((Ok::<_, Infallible>(frame), sent + 1))
    });
    BodyExt::boxed(StreamBody::new(Box::pin(frames)))
}
