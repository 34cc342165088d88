//! HTTP as events of payload version 2.0, in all four directions: request to event and result to
//! response for functions that take events, event to request and response to result for components
//! that take HTTP. Pure: no sockets, no engine.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{self, CONTENT_TYPE, COOKIE, HeaderName, HeaderValue, SET_COOKIE};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use serde_json::{Map, Value, json};

#[cfg(test)]
mod tests;

/// What a function URL knows of a request besides the request itself.
#[derive(Clone, Debug)]
pub(crate) struct Facts<'a> {
    /// The first label of the host name.
    pub(crate) api_id: &'a str,
    /// The whole host name, without port.
    pub(crate) domain_name: &'a str,
    /// The id of the invocation.
    pub(crate) request_id: &'a str,
    /// The caller's address.
    pub(crate) source_ip: &'a str,
    /// The caller, if it signed.
    pub(crate) iam: Option<&'a Iam>,
    /// When the request came, in milliseconds since the Unix epoch.
    pub(crate) time_epoch: u64,
    /// The same as `24/Nov/2026:13:37:00 +0000`.
    pub(crate) time: &'a str,
}

/// The caller of a function URL that signed.
#[derive(Clone, Debug)]
pub(crate) struct Iam {
    /// The id of its access key.
    pub(crate) access_key: String,
    /// Its account.
    pub(crate) account_id: String,
    /// IAM's own id of it.
    pub(crate) id: String,
    /// Its ARN.
    pub(crate) user_arn: String,
}

impl Iam {
    /// The authorizer in the context of an event.
    fn authorizer(&self) -> Value {
        json!({"iam": {
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

/// The event that a function URL makes of a request.
pub(crate) fn event_of(request: &Request<Bytes>, facts: &Facts<'_>) -> Bytes {
    let (headers, cookies) = split_headers(request.headers());
    let user_agent = headers.get("user-agent").cloned().unwrap_or(Value::Null);
    let path = request.uri().path();
    let query = request.uri().query().unwrap_or_default();
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
    let account = facts.iam.map_or("anonymous", |iam| &iam.account_id);
    let mut context = json!({
        "accountId": account,
        "apiId": facts.api_id,
        "domainName": facts.domain_name,
        "domainPrefix": facts.api_id,
        "http": {
            "method": request.method().as_str(),
            "path": path,
            "protocol": "HTTP/1.1",
            "sourceIp": facts.source_ip,
            "userAgent": user_agent,
        },
        "requestId": facts.request_id,
        "routeKey": "$default",
        "stage": "$default",
        "time": facts.time,
        "timeEpoch": facts.time_epoch,
    });
    if let Some(iam) = facts.iam {
        context["authorizer"] = iam.authorizer();
    }
    event.insert("requestContext".into(), context);
    let (body, is_base64) = encode(request.body(), request.headers());
    if !request.body().is_empty() {
        event.insert("body".into(), body.into());
    }
    event.insert("isBase64Encoded".into(), is_base64.into());
    Value::Object(event).to_string().into()
}

/// The response that a function URL makes of a function's result: what the function says, if it
/// says a status; else the result itself.
pub(crate) fn response_of(result: &Bytes) -> Response<Bytes> {
    let parsed: Option<Value> = serde_json::from_slice(result).ok();
    match parsed {
        Some(Value::Object(said)) if said.contains_key("statusCode") => said_response(&said)
            .unwrap_or_else(|| plain(StatusCode::BAD_GATEWAY, "Internal Server Error")),
        Some(Value::String(text)) => plain(StatusCode::OK, text),
        Some(_) => plain(StatusCode::OK, compact(result)),
        None => plain(StatusCode::OK, result.clone()),
    }
}

/// A JSON document without the spaces between its parts, which AWS does not pass on.
fn compact(document: &Bytes) -> Bytes {
    let (mut in_text, mut is_escaped) = (false, false);
    let is_part = |byte: &u8| {
        let is_kept = in_text || !byte.is_ascii_whitespace();
        if *byte == b'"' && !is_escaped {
            in_text = !in_text;
        }
        is_escaped = *byte == b'\\' && !is_escaped;
        is_kept
    };
    document.iter().copied().filter(is_part).collect()
}

/// Whether a status is the last word on a request, and one that clients know what to make of.
pub(crate) fn is_final(status: StatusCode) -> bool {
    (200..600).contains(&status.as_u16())
}

/// The request that an event describes.
pub(crate) fn request_of(event: &Bytes) -> Result<Request<Bytes>, String> {
    let event: Value = serde_json::from_slice(event).map_err(|error| error.to_string())?;
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
    let method = text("/requestContext/http/method").unwrap_or("GET");
    let method = method
        .parse::<Method>()
        .map_err(|_| "the method is not one of HTTP's")?;
    let headers = event.get("headers").and_then(Value::as_object);
    let host = headers
        .and_then(|it| it.get("host")?.as_str())
        .unwrap_or("localhost");
    let path = text("/rawPath")
        .filter(|path| path.starts_with('/'))
        .unwrap_or("/");
    let query = text("/rawQueryString").filter(|query| !query.is_empty());
    let target = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let uri = Uri::builder()
        .scheme("http")
        .authority(host)
        .path_and_query(target);
    let uri = uri
        .build()
        .map_err(|error| format!("the path or query is malformed: {error}"))?;
    let mut request = Request::new(body_of(&event)?);
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    for (name, value) in headers.into_iter().flatten() {
        insert(request.headers_mut(), name, value);
    }
    let cookies = event
        .get("cookies")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let cookies: Vec<&str> = cookies.filter_map(Value::as_str).collect();
    if let Ok(cookies) = HeaderValue::from_str(&cookies.join("; "))
        && !cookies.is_empty()
    {
        request.headers_mut().insert(COOKIE, cookies);
    }
    Ok(request)
}

/// The result that describes a response.
pub(crate) fn result_of(response: &Response<Bytes>) -> Bytes {
    let mut headers = Map::new();
    let mut cookies = Vec::new();
    for (name, value) in response.headers() {
        let value = String::from_utf8_lossy(value.as_bytes());
        if name == SET_COOKIE {
            cookies.push(Value::from(value));
        } else {
            join(&mut headers, name.as_str(), &value);
        }
    }
    let (body, is_base64) = encode(response.body(), response.headers());
    let mut result = Map::new();
    result.insert("statusCode".into(), response.status().as_u16().into());
    result.insert("headers".into(), headers.into());
    if !cookies.is_empty() {
        result.insert("cookies".into(), cookies.into());
    }
    result.insert("body".into(), body.into());
    result.insert("isBase64Encoded".into(), is_base64.into());
    Value::Object(result).to_string().into()
}

fn split_headers(headers: &HeaderMap) -> (Map<String, Value>, Vec<Value>) {
    let mut plain = Map::new();
    let mut cookies = Vec::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        if name == COOKIE {
            cookies.extend(value.split(';').map(|cookie| Value::from(cookie.trim())));
        } else if name != http::header::CONNECTION {
            join(&mut plain, name.as_str(), &value);
        }
    }
    (plain, cookies)
}

/// Repeated fields are one field, joined by commas.
fn join(fields: &mut Map<String, Value>, name: &str, value: &str) {
    match fields.get_mut(name) {
        Some(Value::String(present)) => {
            present.push(',');
            present.push_str(value);
        }
        _ => drop(fields.insert(name.to_owned(), value.into())),
    }
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

/// A body as a JSON string: as it is where its type says it is text, else in base64.
fn encode(body: &Bytes, headers: &HeaderMap) -> (String, bool) {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    match std::str::from_utf8(body) {
        Ok(text) if body.is_empty() || is_text(kind) => (text.to_owned(), false),
        _ => (STANDARD.encode(body), true),
    }
}

fn is_text(content_type: &str) -> bool {
    let kind = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    kind.starts_with("text/")
        || ["json", "xml", "javascript", "x-www-form-urlencoded", "yaml"]
            .iter()
            .any(|text| kind.starts_with("application/") && kind.ends_with(text))
}

fn body_of(event: &Value) -> Result<Bytes, String> {
    let body = match event.get("body") {
        None | Some(Value::Null) => "",
        Some(Value::String(body)) => body,
        Some(_) => return Err("the body is not a text".into()),
    };
    let is_base64 = event
        .get("isBase64Encoded")
        .and_then(Value::as_bool)
        .unwrap_or_default();
    if is_base64 {
        let bytes = STANDARD
            .decode(body)
            .map_err(|_| "the body is not base64")?;
        return Ok(bytes.into());
    }
    Ok(body.to_owned().into())
}

fn said_response(said: &Map<String, Value>) -> Option<Response<Bytes>> {
    let status = said.get("statusCode")?;
    let status = status.as_u64().or_else(|| status.as_str()?.parse().ok())?;
    let status = StatusCode::from_u16(u16::try_from(status).ok()?).ok()?;
    if !is_final(status) {
        return None;
    }
    let event = Value::Object(said.clone());
    let mut response = Response::new(body_of(&event).ok()?);
    *response.status_mut() = status;
    for (name, value) in said
        .get("headers")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        insert(response.headers_mut(), name, value);
    }
    for cookie in said
        .get("cookies")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        if let Some(cookie) = cookie
            .as_str()
            .and_then(|it| HeaderValue::from_str(it).ok())
        {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
    }
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().entry(CONTENT_TYPE).or_insert(json);
    Some(response)
}

/// Fields that speak of the connection.
pub(crate) static CONNECTION_FIELDS: [HeaderName; 8] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Fields that speak of the connection are the host's own; one that HTTP does not allow is left out.
fn insert(headers: &mut HeaderMap, name: &str, value: &Value) {
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(&text)) else {
        return;
    };
    if !CONNECTION_FIELDS.contains(&name) {
        headers.insert(name, value);
    }
}

fn plain(status: StatusCode, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
