//! Security Token Service: GetCallerIdentity, which tools for infrastructure as code ask first. AWS's query protocol:
//! a form in, XML out.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode, header};
use percent_encoding::percent_decode;
use quick_xml::escape::escape;

use super::access::Caller;
use super::rest::sigv4;
use super::{Front, HttpResponse, body};
use crate::names::RequestId;
use crate::payload::Body;

/// Limit of a request, whose only parameters are `Action` and `Version`.
const REQUEST_BYTES_MAX: usize = 8 << 10;
/// Content type of requests.
const FORM: &[u8] = b"application/x-www-form-urlencoded";
/// XML namespace, which has the version of the API.
const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// An error of this API.
#[derive(Debug)]
struct Fault {
    status: StatusCode,
    code: &'static str,
    message: String,
}

/// True for a form, as the query protocol sends it. STS is the only service of a host with this protocol.
pub(super) fn is_query(parts: &Parts) -> bool {
    let kind = parts.headers.get(header::CONTENT_TYPE);
    let is_form = kind.is_some_and(|kind| kind.as_bytes().starts_with(FORM));
    parts.method == Method::POST && is_form
}

/// AccessDenied response of a check before the request is parsed.
pub(super) fn refused(text: String, request_id: &RequestId) -> HttpResponse {
    Fault::new(StatusCode::FORBIDDEN, "AccessDenied", text).into_response(request_id)
}

impl Front {
    pub(super) async fn serve_sts<B>(
        &self,
        request_id: &RequestId,
        parts: &Parts,
        body: B,
    ) -> HttpResponse
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        match self.answer_sts(request_id, parts, body).await {
            Ok(document) => xml(StatusCode::OK, document),
            Err(fault) => fault.into_response(request_id),
        }
    }

    async fn answer_sts<B>(
        &self,
        request_id: &RequestId,
        parts: &Parts,
        body: B,
    ) -> Result<String, Fault>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let signed = self.access.get().map(|it| it.parse(parts, "sts"));
        let signed = signed.transpose().map_err(Fault::of_signature)?;
        let read = {
            let (bodies, from) = self.bodies_of(parts, signed.as_ref());
            bodies.read(body, REQUEST_BYTES_MAX, &from).await
        };
        let form = read.map_err(of_body)?.bytes;
        let caller = signed.map(|signed| signed.check(&form)).transpose();
        let caller = caller.map_err(Fault::of_signature)?;
        match parameter(&form, "Action").as_deref() {
            Some("GetCallerIdentity") => Ok(self.identity(caller.as_deref(), request_id)),
            Some(action) => Err(Fault::new(
                StatusCode::BAD_REQUEST,
                "InvalidAction",
                format!("Could not find operation {action} for version 2011-06-15"),
            )),
            None => Err(Fault::new(
                StatusCode::BAD_REQUEST,
                "MissingAction",
                "Missing Action".to_owned(),
            )),
        }
    }

    /// Identity of the caller, for which no permission is needed. Without keys everyone is the account's root user.
    fn identity(&self, caller: Option<&Caller>, request_id: &RequestId) -> String {
        let home = self.control.home().account.to_string();
        let principal = caller.map(|caller| &caller.principal);
        let account = principal.and_then(|it| Some(it.account()?.to_string()));
        let account = account.unwrap_or(home);
        let root = format!("arn:aws:iam::{account}:root");
        let arn = principal.and_then(|it| it.arn()).unwrap_or(&root);
        // AWS's unique id of a user stands for the user; the id of a root user is its account's.
        let user = arn.split_once(":user/").map_or(&*account, |(_, name)| name);
        let (arn, user) = (escape(arn), escape(user));
        format!(
            "<GetCallerIdentityResponse xmlns=\"{NAMESPACE}\"><GetCallerIdentityResult><Arn>{arn}</Arn>\
             <UserId>{user}</UserId><Account>{account}</Account></GetCallerIdentityResult>\
             <ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>\
             </GetCallerIdentityResponse>\n"
        )
    }
}

impl Fault {
    fn new(status: StatusCode, code: &'static str, message: String) -> Self {
        Self {
            status,
            code,
            message,
        }
    }

    /// Errors of signatures under their names in the query protocol.
    fn of_signature(error: sigv4::Error) -> Self {
        let (status, code) = match error {
            sigv4::Error::Missing => (StatusCode::FORBIDDEN, "MissingAuthenticationToken"),
            sigv4::Error::Incomplete(_) => (StatusCode::BAD_REQUEST, "IncompleteSignature"),
            sigv4::Error::UnknownKey => (StatusCode::FORBIDDEN, "InvalidClientTokenId"),
            sigv4::Error::Scope(_) | sigv4::Error::Time(_) | sigv4::Error::Mismatch => {
                (StatusCode::FORBIDDEN, "SignatureDoesNotMatch")
            }
        };
        Self::new(status, code, error.to_string())
    }

    fn into_response(self, request_id: &RequestId) -> HttpResponse {
        let (code, message) = (self.code, escape(&self.message));
        let document = format!(
            "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>Sender</Type><Code>{code}</Code>\
             <Message>{message}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>\n"
        );
        xml(self.status, document)
    }
}

fn xml(status: StatusCode, document: String) -> HttpResponse {
    let mut reply = Response::new(Body::from(document));
    *reply.status_mut() = status;
    let kind = HeaderValue::from_static("text/xml");
    reply.headers_mut().insert(header::CONTENT_TYPE, kind);
    reply
}

fn of_body(error: body::Error) -> Fault {
    match error {
        body::Error::Busy => Fault::new(
            StatusCode::BAD_REQUEST,
            "Throttling",
            "Rate exceeded".to_owned(),
        ),
        other => Fault::new(StatusCode::BAD_REQUEST, "MalformedInput", other.to_string()),
    }
}

/// Value of a parameter. `None` if it is missing or not UTF-8.
fn parameter(form: &[u8], name: &str) -> Option<String> {
    let pairs = form.split(|byte| *byte == b'&');
    let value = pairs.into_iter().find_map(|pair| {
        let at = pair.iter().position(|byte| *byte == b'=')?;
        (&pair[..at] == name.as_bytes()).then(|| &pair[at + 1..])
    })?;
    let value = percent_decode(value).decode_utf8().ok()?;
    Some(value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_has_its_parameters() {
        let form = b"Version=2011-06-15&Action=Get%43allerIdentity&x";
        assert_eq!(
            parameter(form, "Action").as_deref(),
            Some("GetCallerIdentity")
        );
        assert_eq!(parameter(form, "x"), None);
        assert_eq!(parameter(b"Action=%ff", "Action"), None);
    }

    #[tokio::test]
    async fn message_of_an_error_is_escaped() {
        let fault = Fault::new(StatusCode::BAD_REQUEST, "InvalidAction", "<b>&".to_owned());
        let id = RequestId::random(&crate::clock::Clock::system());
        let reply = fault.into_response(&id);
        assert_eq!(reply.status(), 400);
        assert_eq!(reply.headers()["content-type"], "text/xml");
        let body = http_body_util::BodyExt::collect(reply.into_body()).await;
        let text = String::from_utf8(body.unwrap().to_bytes().to_vec()).unwrap();
        let message = "<Code>InvalidAction</Code><Message>&lt;b&gt;&amp;</Message>";
        assert!(text.contains(message), "{text}");
    }
}
