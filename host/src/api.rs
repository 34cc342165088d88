//! The host's front: which of its APIs a request is for, within which limits. What the APIs do is
//! in the modules below.

use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};

use crate::clock::Clock;
use crate::control::Control;
use crate::invoke::Invoker;
use crate::names::RequestId;
use crate::telemetry::log::Logs;

pub mod access;
pub mod download;
mod facts;
pub mod logs;
pub mod rest;
pub mod url;

pub use facts::Peer;

use access::Access;
use download::Downloads;

/// Every API of a host, behind one function.
#[derive(Debug)]
pub struct Front {
    control: Control,
    invoker: Invoker,
    logs: Logs,
    access: Option<Access>,
    downloads: Downloads,
    clock: Clock,
}

/// A client that sends nothing of its body for so long is given up.
const FRAME_TIMEOUT: Duration = Duration::from_secs(30);
/// What is read of a body that is too large, for the client to see its answer.
const DROPPED_BYTES_MAX: usize = 80 << 20;

/// What every API answers with.
pub type Reply = Response<Full<Bytes>>;

/// Why a request's body is not there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// It is larger than this API takes.
    #[error("the request's body is larger than {0} bytes")]
    TooLarge(usize),
    /// The client stopped sending it.
    #[error("the request's body ended early")]
    Ended,
}

impl Front {
    /// A front for these parts of a host. Without access, anyone may do anything.
    pub fn new(
        control: Control,
        invoker: Invoker,
        logs: Logs,
        access: Option<Access>,
        clock: Clock,
    ) -> Self {
        let downloads = Downloads::new(clock.clone());
        Self {
            control,
            invoker,
            logs,
            access,
            downloads,
            clock,
        }
    }

    /// Answers one request.
    pub async fn handle<B>(&self, request: Request<B>) -> Reply
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let request_id = RequestId::random(&self.clock);
        let (parts, body) = request.into_parts();
        let mut reply = match Door::of(&parts) {
            Door::Url(id) => self.serve_url(id, request_id, &parts, body).await,
            Door::Health => Response::new(Full::from("ok\n")),
            Door::Download(digest) => self.serve_download(digest, &parts).await,
            Door::Logs(target) => self.serve_logs(target, request_id, &parts, body).await,
            Door::Rest => self.serve_rest(request_id, parts, body).await,
        };
        let id = HeaderValue::from_str(request_id.as_str()).expect("an id is ASCII");
        reply.headers_mut().entry("x-amzn-requestid").or_insert(id);
        reply
    }
}

/// Which API a request is for.
enum Door<'a> {
    Url(&'a str),
    Health,
    Download(&'a str),
    Logs(&'a str),
    Rest,
}

impl<'a> Door<'a> {
    fn of(parts: &'a Parts) -> Self {
        if let Some(id) = host_of(parts).and_then(url::id_of) {
            return Self::Url(id);
        }
        if let Some(target) = parts
            .headers
            .get("x-amz-target")
            .and_then(|it| it.to_str().ok())
        {
            return Self::Logs(target);
        }
        match parts.uri.path() {
            "/_lamina/health" => Self::Health,
            path => path
                .strip_prefix(download::PATH)
                .map_or(Self::Rest, Self::Download),
        }
    }
}

/// The host a request names, with its port.
pub(crate) fn host_of(parts: &Parts) -> Option<&str> {
    let header = parts
        .headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    header.or_else(|| parts.uri.authority().map(http::uri::Authority::as_str))
}

/// The whole body, if it is no larger than `bytes_max`. Of a larger one the rest is read and dropped,
/// or the client would not see the answer for the broken pipe.
pub(crate) async fn read_body<B>(body: B, bytes_max: usize) -> Result<Bytes, BodyError>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let mut body = std::pin::pin!(body);
    let mut kept: Vec<Bytes> = Vec::new();
    let (mut bytes, mut dropped) = (0, 0);
    loop {
        let frame = tokio::time::timeout(FRAME_TIMEOUT, body.frame()).await;
        let Ok(frame) = frame else {
            return Err(BodyError::Ended);
        };
        let Some(frame) = frame else { break };
        let Ok(data) = frame.map_err(|_| BodyError::Ended)?.into_data() else {
            continue;
        };
        if bytes + data.len() <= bytes_max {
            bytes += data.len();
            kept.push(data);
        } else {
            // From here on nothing is kept.
            bytes = bytes_max;
            kept.clear();
            dropped += data.len();
            if dropped > DROPPED_BYTES_MAX {
                break;
            }
        }
    }
    match (dropped, kept.len()) {
        (1.., _) => Err(BodyError::TooLarge(bytes_max)),
        (0, 1) => Ok(kept.remove(0)),
        (0, _) => Ok(kept.concat().into()),
    }
}

/// A JSON document as a response.
pub(crate) fn json(status: StatusCode, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    reply.headers_mut().insert(header::CONTENT_TYPE, json);
    reply
}
