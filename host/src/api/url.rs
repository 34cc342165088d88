//! Function URLs: HTTP in, HTTP out. The request becomes an event of payload version 2.0, or goes to
//! the function as it is, where the function takes HTTP.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Full;

use super::facts::Peer;
use super::{Front, Reply, host_of, json, read_body};
use crate::invoke::snapshot::Cors;
use crate::invoke::{self, Invoke, Target};
use crate::names::RequestId;
use crate::sandbox::{self, Event, http_event};
use crate::units::PAYLOAD_BYTES_MAX;

mod permit;

/// The id of the function URL that a host name is, if it is one.
pub(super) fn id_of(host: &str) -> Option<&str> {
    let (id, rest) = host.split_once('.')?;
    rest.starts_with("lambda-url.").then_some(id)
}

impl Front {
    pub(super) async fn serve_url<B>(
        &self,
        id: &str,
        request_id: RequestId,
        parts: &Parts,
        body: B,
    ) -> Reply
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let snapshot = self.invoker.snapshot();
        let Some(route) = snapshot.url(id) else {
            return nowhere();
        };
        let cors = route.cors.as_deref();
        if let Some(cors) = cors
            && is_preflight(parts)
        {
            let mut reply = Reply::default();
            allow(cors, &parts.headers, reply.headers_mut());
            return reply;
        }
        let Ok(body) = read_body(body, PAYLOAD_BYTES_MAX).await else {
            return json(
                StatusCode::PAYLOAD_TOO_LARGE,
                r#"{"Message":"Request Too Long"}"#,
            );
        };
        if !self.may_call(route, parts, &body) {
            return forbidden();
        }
        let mut reply = self
            .call_url(&route.target, id, request_id, parts, body)
            .await;
        if let Some(cors) = cors {
            allow(cors, &parts.headers, reply.headers_mut());
        }
        reply
    }

    /// Calls a function over HTTP without its URL, for those who hold the host itself.
    pub(crate) async fn call_function<B>(
        &self,
        target: &Target,
        request_id: RequestId,
        request: Request<B>,
    ) -> Reply
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let (parts, body) = request.into_parts();
        match read_body(body, PAYLOAD_BYTES_MAX).await {
            Ok(body) => {
                self.call_url(target, target.name.as_str(), request_id, &parts, body)
                    .await
            }
            Err(_) => json(
                StatusCode::PAYLOAD_TOO_LARGE,
                r#"{"Message":"Request Too Long"}"#,
            ),
        }
    }

    async fn call_url(
        &self,
        target: &Target,
        id: &str,
        request_id: RequestId,
        parts: &Parts,
        body: Bytes,
    ) -> Reply {
        let event = match self.url_event(target, id, request_id, parts, body).await {
            Ok(event) => event,
            Err(error) => return failed(&error),
        };
        let mut invoke = Invoke::new(request_id, target.clone(), event);
        let trace = parts
            .headers
            .get("x-amzn-trace-id")
            .and_then(|trace| trace.to_str().ok());
        invoke.trace_id = trace.map(str::to_owned);
        match self.invoker.invoke(invoke).await {
            Ok(finished) => match finished.outcome {
                Ok(sandbox::Reply::Json(result)) => http_event::response_of(&result).map(Full::new),
                Ok(sandbox::Reply::Http(response)) => response.map(Full::new),
                Err(_) => json(StatusCode::BAD_GATEWAY, "Internal Server Error"),
            },
            Err(error) => failed(&error),
        }
    }

    async fn url_event(
        &self,
        target: &Target,
        id: &str,
        request_id: RequestId,
        parts: &Parts,
        body: Bytes,
    ) -> Result<Event, invoke::Error> {
        let host = host_of(parts).unwrap_or_default();
        let mut request = Request::new(body);
        *request.method_mut() = parts.method.clone();
        *request.headers_mut() = parts.headers.clone();
        *request.uri_mut() = parts.uri.clone();
        if self.invoker.takes_http(target).await? {
            *request.uri_mut() = absolute(parts, host);
            return Ok(Event::Http(Box::new(request)));
        }
        let now = self.clock.now();
        let peer = parts.extensions.get::<Peer>();
        let peer = peer.map(|Peer(address)| address.to_canonical().to_string());
        let facts = http_event::Facts {
            api_id: id,
            domain_name: host.split(':').next().unwrap_or_default(),
            request_id: request_id.as_str(),
            source_ip: peer.as_deref().unwrap_or("127.0.0.1"),
            time_epoch: now.millis(),
            time: &now.utc().strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
        };
        Ok(Event::Json(http_event::event_of(&request, &facts)))
    }
}

fn absolute(parts: &Parts, host: &str) -> http::Uri {
    let path = parts
        .uri
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str);
    let uri = http::Uri::builder()
        .scheme("http")
        .authority(host)
        .path_and_query(path)
        .build();
    uri.unwrap_or_else(|_| parts.uri.clone())
}

fn failed(error: &invoke::Error) -> Reply {
    match error {
        invoke::Error::Resolve(_) => nowhere(),
        invoke::Error::Admit(_) | invoke::Error::Lease(invoke::lease::Error::Full) => json(
            StatusCode::TOO_MANY_REQUESTS,
            r#"{"Reason":"ConcurrentInvocationLimitExceeded","Message":"Rate Exceeded."}"#,
        ),
        invoke::Error::Lease(cause) => {
            tracing::error!(
                error = cause as &dyn std::error::Error,
                "a function could not start"
            );
            json(StatusCode::BAD_GATEWAY, "Internal Server Error")
        }
    }
}

fn forbidden() -> Reply {
    denied(
        r#"{"Message":"Forbidden. For troubleshooting Function URL authorization issues, see: https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"}"#,
    )
}

/// There is no such URL, or there is nothing behind it.
fn nowhere() -> Reply {
    denied(r#"{"Message":null}"#)
}

fn denied(body: &'static str) -> Reply {
    let mut reply = json(StatusCode::FORBIDDEN, body);
    let name = HeaderValue::from_static("AccessDeniedException");
    reply.headers_mut().insert("x-amzn-errortype", name);
    reply
}

fn is_preflight(parts: &Parts) -> bool {
    parts.method == Method::OPTIONS
        && parts.headers.contains_key(header::ORIGIN)
        && parts
            .headers
            .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// Adds what the cross-origin rules allow to this origin; nothing for others.
fn allow(cors: &Cors, asked: &HeaderMap, headers: &mut HeaderMap) {
    let Some(origin) = asked
        .get(header::ORIGIN)
        .and_then(|origin| origin.to_str().ok())
    else {
        return;
    };
    let allowed = cors
        .allow_origins
        .iter()
        .any(|it| it == "*" || it.eq_ignore_ascii_case(origin));
    if !allowed {
        return;
    }
    let wildcard = cors.allow_origins.iter().any(|it| it == "*") && !cors.allow_credentials;
    let origin = if wildcard { "*" } else { origin };
    let mut set = |name: header::HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value)
            && !value.is_empty()
        {
            headers.insert(name, value);
        }
    };
    set(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    set(header::VARY, if wildcard { "" } else { "origin" });
    set(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        &cors.expose_headers.join(","),
    );
    if cors.allow_credentials {
        set(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
    }
    if asked.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
        set(
            header::ACCESS_CONTROL_ALLOW_METHODS,
            &cors.allow_methods.join(","),
        );
        set(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            &cors.allow_headers.join(","),
        );
        set(
            header::ACCESS_CONTROL_MAX_AGE,
            &cors.max_age_seconds.to_string(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_url_is_known_by_its_host() {
        assert_eq!(
            id_of("abc.lambda-url.us-east-1.localhost:3001"),
            Some("abc")
        );
        for host in [
            "localhost:3001",
            "127.0.0.1",
            "lambda-url.x",
            "a.b.lambda-url.x",
        ] {
            assert_eq!(id_of(host), None, "{host}");
        }
    }

    #[test]
    fn only_allowed_origins_are_told_so() {
        let cors = Cors {
            allow_origins: vec!["https://a.example".into()],
            ..Cors::default()
        };
        for (origin, expected) in [("https://a.example", true), ("https://b.example", false)] {
            let mut asked = HeaderMap::new();
            asked.insert(header::ORIGIN, origin.parse().unwrap());
            let mut headers = HeaderMap::new();
            allow(&cors, &asked, &mut headers);
            assert_eq!(
                headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN),
                expected
            );
        }
    }
}
