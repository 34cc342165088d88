//! Errors as AWS's clients understand them: the name in a header, the message in a body whose
//! spelling of "message" depends on the error.

use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value};

use crate::api::REQUEST_ID;
use crate::names::RequestId;
use crate::payload::Body;

include!(concat!(env!("OUT_DIR"), "/faults.rs"));

struct ErrorTraits {
    name: &'static str,
    status: u16,
    /// `message` or `Message`.
    message: &'static str,
    /// The body has the member `Type`, which says whose fault it was.
    typed: bool,
}

/// An error on its way to a client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    shape: ErrorShape,
    message: Option<String>,
    members: Vec<(&'static str, String)>,
    is_untyped: bool,
    retry_after_seconds: Option<u32>,
}

impl Fault {
    /// An error with a message.
    pub fn new(shape: ErrorShape, message: impl Into<String>) -> Self {
        Self {
            shape,
            message: Some(message.into()),
            members: Vec::new(),
            is_untyped: false,
            retry_after_seconds: None,
        }
    }

    /// An error whose message is null, as AWS has it where it must not say more.
    pub fn without_message(shape: ErrorShape) -> Self {
        Self {
            shape,
            message: None,
            members: Vec::new(),
            is_untyped: false,
            retry_after_seconds: None,
        }
    }

    /// Leaves out `Type`, as AWS does in places.
    #[must_use]
    pub fn untyped(mut self) -> Self {
        self.is_untyped = true;
        self
    }

    /// Adds `Retry-After`.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// With another member.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.members.push((name, value.into()));
        self
    }

    /// The response.
    pub fn into_response(self, request_id: &RequestId) -> Response<Body> {
        let ErrorTraits {
            name,
            status,
            message,
            typed,
        } = self.shape.traits();
        let mut body = Map::new();
        if typed && !self.is_untyped {
            let whose = if status >= 500 { "Service" } else { "User" };
            body.insert("Type".into(), whose.into());
        }
        body.insert(
            message.into(),
            self.message.map_or(Value::Null, Value::String),
        );
        for (name, value) in self.members {
            body.insert(name.into(), value.into());
        }
        let mut response = Response::new(Body::from(Value::Object(body).to_string()));
        *response.status_mut() = StatusCode::from_u16(status).expect("the model has real statuses");
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        headers.insert("x-amzn-errortype", HeaderValue::from_static(name));
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        let id = HeaderValue::from_str(request_id.as_str()).expect("an id is ASCII");
        headers.insert(REQUEST_ID, id);
        response
    }
}
