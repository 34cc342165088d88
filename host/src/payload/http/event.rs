//! Conversion of HTTP requests to function URL events, and back.

use std::borrow::Cow;
use std::sync::PoisonError;

use bytes::Bytes;
use http::header::{COOKIE, HOST};
use http::uri::Scheme;
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use serde_json::{Map, Value};

use super::{Error, HttpEvent, Iam, body_of, cookies, encode, insert_fields, join};
use crate::names::RequestId;
use crate::payload::{Body, Document, json};

impl HttpEvent {
    /// Function URL event of a request. Requests outside a function URL have the function's name as
    /// API id.
    pub fn event(&self, function: &str, request_id: &RequestId) -> Document {
        let request = &self.request;
        let host = self.host();
        let api_id = self.url_id.clone().or_else(|| url_id(&host));
        let api_id = api_id.unwrap_or_else(|| function.to_owned());
        let (headers, cookies) = split_headers(request.headers());
        let path = request.uri().path();
        let query = request.uri().query().unwrap_or_default();
        let context = self.context(&api_id, request_id, headers.get("user-agent"));
        let mut event = Map::new();
        event.insert("version".into(), "2.0".into());
        event.insert("routeKey".into(), "$default".into());
        event.insert("rawPath".into(), path.into());
        event.insert("rawQueryString".into(), query.into());
        if !cookies.is_empty() {
            event.insert("cookies".into(), cookies.into());
        }
        event.insert("headers".into(), headers.into());
        if !query.is_empty() {
            event.insert("queryStringParameters".into(), parameters(query).into());
        }
        event.insert("requestContext".into(), context);
        let (body, is_base64) = encode(request.body(), request.headers());
        if !request.body().is_empty() {
            event.insert("body".into(), body.into());
        }
        event.insert("isBase64Encoded".into(), is_base64.into());
        Value::Object(event).into()
    }

    fn context(&self, api_id: &str, request_id: &RequestId, user_agent: Option<&Value>) -> Value {
        let host = self.host();
        let time = self.time.utc().strftime("%d/%b/%Y:%H:%M:%S +0000");
        let account = self.iam.as_ref().map(|iam| iam.account_id.as_str());
        let mut context = serde_json::json!({
            "accountId": account.unwrap_or("anonymous"),
            "apiId": api_id,
            "domainName": host.split(':').next().unwrap_or_default(),
            "domainPrefix": api_id,
            "http": {
                "method": self.request.method().as_str(),
                "path": self.request.uri().path(),
                "protocol": "HTTP/1.1",
                "sourceIp": self.source_ip.to_string(),
                "userAgent": user_agent,
            },
            "requestId": request_id.as_str(),
            "routeKey": "$default",
            "stage": "$default",
            "time": time.to_string(),
            "timeEpoch": self.time.millis(),
        });
        if let Some(iam) = &self.iam {
            context["authorizer"] = iam.authorizer();
        }
        context
    }

    /// Request for an HTTP component, with an absolute URI.
    pub fn into_request(mut self) -> Request<Body> {
        let uri = absolute(self.scheme(), &self.host(), self.request.uri());
        if let Some(uri) = uri {
            *self.request.uri_mut() = uri;
        }
        let streamed = self.streamed;
        let streamed = streamed.map(|it| it.into_inner().unwrap_or_else(PoisonError::into_inner));
        self.request
            .map(|bytes| streamed.unwrap_or_else(|| bytes.into()))
    }

    /// Scheme that the client used: the header is the host's own, or a trusted proxy's.
    fn scheme(&self) -> Scheme {
        let proto = self.request.headers().get("x-forwarded-proto");
        match proto.map(HeaderValue::as_bytes) {
            Some(proto) if proto.eq_ignore_ascii_case(b"https") => Scheme::HTTPS,
            _ => Scheme::HTTP,
        }
    }

    fn host(&self) -> Cow<'_, str> {
        let host = self.request.headers().get(HOST);
        host.map_or(Cow::Borrowed(""), |it| {
            String::from_utf8_lossy(it.as_bytes())
        })
    }
}

impl Iam {
    /// IAM authorizer of an event's request context.
    fn authorizer(&self) -> Value {
        serde_json::json!({"iam": {
            "accessKey": self.access_key,
            "accountId": self.account_id,
            "callerId": self.id,
            "cognitoIdentity": null,
            "principalOrgId": null,
            "userArn": self.user_arn,
            "userId": self.id,
        }})
    }
}

/// URL id in a host name, in lower case.
fn url_id(host: &str) -> Option<String> {
    let (id, rest) = host.split_once('.')?;
    let (label, _) = rest.split_once('.')?;
    let is_url = label.eq_ignore_ascii_case("lambda-url");
    is_url.then(|| id.to_ascii_lowercase())
}

/// Absolute URI of a host; `None` if the parts do not fit together.
fn absolute(scheme: Scheme, host: &str, uri: &Uri) -> Option<Uri> {
    let path = uri
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str);
    let builder = Uri::builder().scheme(scheme).authority(host);
    builder.path_and_query(path).build().ok()
}

/// Request described by an event.
///
/// # Errors
/// If a member of the event cannot be part of a request.
pub fn request_of(event: &Document) -> Result<Request<Bytes>, Error> {
    let event = event.root();
    let context = event.member("requestContext");
    let method = text(context.and_then(|it| it.member("http")?.member("method")));
    let method = method.map_or(Ok(Method::GET), |method| method.parse());
    let method = method.map_err(|_| Error::Member("the method is not one of HTTP's"))?;
    let is_base64 = event.member("isBase64Encoded").and_then(|it| it.as_bool());
    let mut request = Request::new(body_of(event.member("body"), is_base64 == Some(true))?);
    *request.method_mut() = method;
    let headers = event.member("headers");
    *request.uri_mut() = uri_of(event, headers)?;
    insert_fields(request.headers_mut(), headers.and_then(|it| it.members()));
    let cookies: Vec<_> = cookies(event.member("cookies")).collect();
    let cookies: Vec<&[u8]> = cookies.iter().map(HeaderValue::as_bytes).collect();
    let cookies = cookies.join(&b"; "[..]);
    if let Ok(cookies) = HeaderValue::from_maybe_shared(Bytes::from(cookies))
        && !cookies.is_empty()
    {
        request.headers_mut().insert(COOKIE, cookies);
    }
    Ok(request)
}

fn uri_of(event: json::Value<'_>, headers: Option<json::Value<'_>>) -> Result<Uri, Error> {
    let host = text(headers.and_then(|it| it.member("host")));
    let path = text(event.member("rawPath")).filter(|path| path.starts_with('/'));
    let path = path.unwrap_or(Cow::Borrowed("/"));
    let query = text(event.member("rawQueryString")).filter(|query| !query.is_empty());
    let target = match query {
        Some(query) => format!("{path}?{query}"),
        None => path.into_owned(),
    };
    let host = host.as_deref().unwrap_or("localhost");
    let proto = text(headers.and_then(|it| it.member("x-forwarded-proto")));
    let scheme = match proto {
        Some(proto) if proto.eq_ignore_ascii_case("https") => Scheme::HTTPS,
        _ => Scheme::HTTP,
    };
    let uri = Uri::builder().scheme(scheme).authority(host);
    let uri = uri.path_and_query(target).build();
    uri.map_err(|_| Error::Member("the host, path or query is malformed"))
}

fn text(value: Option<json::Value<'_>>) -> Option<Cow<'_, str>> {
    value?.text()?.decode().ok()
}

/// Headers, and the cookies also one by one, as AWS has both.
fn split_headers(headers: &HeaderMap) -> (Map<String, Value>, Vec<Value>) {
    let mut fields = Map::new();
    let mut cookies = Vec::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        if name == COOKIE {
            let sent = value.split(';').map(str::trim);
            cookies.extend(sent.filter(|it| !it.is_empty()).map(Value::from));
            // HTTP/2 splits cookies into several fields, which are joined with `; `.
            match fields.get_mut("cookie") {
                Some(Value::String(present)) => present.extend(["; ", &*value]),
                _ => drop(fields.insert("cookie".to_owned(), value.into())),
            }
        } else if name != http::header::CONNECTION {
            join(&mut fields, name.as_str(), &value);
        }
    }
    (fields, cookies)
}

fn parameters(query: &str) -> Map<String, Value> {
    let mut parameters = Map::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        join(&mut parameters, &decoded(name), &decoded(value));
    }
    parameters
}

fn decoded(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced)
        .decode_utf8_lossy()
        .into_owned()
}
