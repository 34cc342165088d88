//! HTTP/2 server that answers each request at once and takes none of its body: its window is 0.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::http_server::acceptor;

const PREFACE_BYTES: usize = 24;
const HEAD_BYTES: usize = 9;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const ACK: u8 = 1;
const END_STREAM_AND_HEADERS: u8 = 5;
/// SETTINGS_INITIAL_WINDOW_SIZE of 0.
const NO_WINDOW: [u8; 6] = [0, 4, 0, 0, 0, 0];
/// `:status: 200`, of the static table.
const OK: [u8; 1] = [0x88];

pub struct Windowless {
    pub address: SocketAddr,
    pub connections: Arc<AtomicUsize>,
    /// Connections that the client has not closed.
    pub open: Arc<AtomicUsize>,
}

impl Windowless {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let server = Self {
            address: listener.local_addr().expect("it is bound"),
            connections: Arc::default(),
            open: Arc::default(),
        };
        let (connections, open) = (Arc::clone(&server.connections), Arc::clone(&server.open));
        tokio::spawn(async move {
            let tls = acceptor("server", &["h2"]);
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::Relaxed);
                open.fetch_add(1, Ordering::Relaxed);
                let (tls, open) = (tls.clone(), Arc::clone(&open));
                tokio::spawn(async move {
                    // It ends as the client ends it.
                    if let Ok(stream) = tls.accept(stream).await {
                        let _ended = serve(stream).await;
                    }
                    open.fetch_sub(1, Ordering::Relaxed);
                });
            }
        });
        server
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<()> {
    stream.read_exact(&mut [0; PREFACE_BYTES]).await?;
    write(&mut stream, SETTINGS, 0, [0; 4], &NO_WINDOW).await?;
    loop {
        let mut head = [0; HEAD_BYTES];
        stream.read_exact(&mut head).await?;
        let [a, b, c, kind, flags, id @ ..] = head;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await?;
        match kind {
            SETTINGS if flags & ACK == 0 => write(&mut stream, SETTINGS, ACK, id, &[]).await?,
            PING if flags & ACK == 0 => write(&mut stream, PING, ACK, id, &payload).await?,
            HEADERS => write(&mut stream, HEADERS, END_STREAM_AND_HEADERS, id, &OK).await?,
            _ => {}
        }
    }
}

async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    kind: u8,
    flags: u8,
    id: [u8; 4],
    payload: &[u8],
) -> std::io::Result<()> {
    let length = u32::try_from(payload.len())
        .expect("it is short")
        .to_be_bytes();
    let frame = [&length[1..], &[kind, flags], &id, payload].concat();
    stream.write_all(&frame).await?;
    stream.flush().await
}
