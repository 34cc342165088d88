//! A function as HTTP service. Errors are responses, as those of a function URL, so that routers can mount it.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response, StatusCode};

use super::{Error, FunctionHandle};
use crate::invoke::reservation::Reservation;
use crate::invoke::reserve::Full;
use crate::names::RequestId;
use crate::payload::Body;

type Reserving = Pin<Box<dyn Future<Output = Option<Reservation>> + Send>>;

/// Permit of the next call.
#[derive(Default)]
pub(super) enum Readiness {
    #[default]
    Unknown,
    /// The mutex is never locked: it makes the handle `Sync`.
    Waiting(Mutex<Reserving>),
    /// `None` if the call has to look for a permit itself.
    Ready(Option<Reservation>),
}

impl FunctionHandle {
    /// Waits until a permit is reserved for the next call, as `tower::ServiceExt::ready` does: without a type of bodies,
    /// which that cannot infer.
    ///
    /// # Errors
    /// If the host has ended.
    pub async fn ready(&mut self) -> Result<&mut Self, Error> {
        self.core()?;
        std::future::poll_fn(|cx| self.poll_permit(cx)).await;
        Ok(self)
    }

    fn poll_permit(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            self.readiness = match &mut self.readiness {
                Readiness::Ready(_) => return Poll::Ready(()),
                Readiness::Waiting(reserving) => {
                    let reserving = reserving.get_mut().unwrap_or_else(|it| it.into_inner());
                    Readiness::Ready(ready!(reserving.as_mut().poll(cx)))
                }
                Readiness::Unknown => self.reserve(),
            };
        }
    }

    fn reserve(&self) -> Readiness {
        let Ok(core) = self.core() else {
            return Readiness::Ready(None);
        };
        match core.invoker.try_reserve(&self.target) {
            Ok(reservation) => Readiness::Ready(reservation),
            Err(Full) => {
                let target = self.target.clone();
                let reserving = async move { core.invoker.reserve(&target).await };
                Readiness::Waiting(Mutex::new(Box::pin(reserving)))
            }
        }
    }
}

/// The function over HTTP: what its function URL would answer, without the URL, its authorization and its CORS.
///
/// `poll_ready` reserves a permit of the function's concurrency, and waits for one while the limit is reached; a clone has
/// none. Bodies stream both ways to `wasi:http` components and streaming functions. The service answers errors as a
/// function URL does: 403 for no such function, 429 if it is throttled, 502 if it fails; and 503 after its host has ended.
///
/// The function sees the client of [`Ends`](crate::Ends) in the request's extensions; without them `x-forwarded-for` is
/// taken as it is.
impl<B> tower::Service<Request<B>> for FunctionHandle
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.poll_permit(cx).map(Ok)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let reservation = match std::mem::take(&mut self.readiness) {
            Readiness::Ready(reservation) => reservation,
            Readiness::Unknown | Readiness::Waiting(_) => None,
        };
        let (core, target) = (self.core(), self.target.clone());
        Box::pin(async move {
            let Ok(core) = core else {
                return Ok(ended());
            };
            let id = RequestId::random(&core.clock);
            // Awaited where it is made: kept in a variable, it would be in this future twice.
            Ok(core
                .front
                .call_function(target, reservation, id, request)
                .await)
        })
    }
}

/// Response of a host that has ended.
pub(super) fn ended() -> Response<Body> {
    let mut response = Response::new(Body::from(r#"{"Message":"Service Unavailable"}"#));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let json = http::HeaderValue::from_static("application/json");
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, json);
    response
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "Unknown",
            Self::Waiting(_) => "Waiting",
            Self::Ready(_) => "Ready",
        })
    }
}
