//! A request of the Lambda API, and the proof that its caller may make it. The proof alone says which
//! resource an operation acts on: the path, the query and the names in the body are private here.

use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use http::request::Parts;

use super::wire::{self, Fault, Operation, Route};
use crate::api::access::Caller;
use crate::api::{HttpResponse, at_length, host_of};
use crate::library::Requester;
use crate::names::RequestId;

mod authorize;
mod condition_keys;
pub(super) mod resource;
mod target;
#[cfg(test)]
mod tests;

/// A request whose operation is known, before its body is read.
pub(super) struct Head {
    /// None where the host has no keys, and every request is allowed.
    caller: Option<Arc<Caller>>,
    route: Route,
    parts: Parts,
    request_id: RequestId,
}

/// A request whose operation is known and whose caller is accepted.
pub(super) struct Call {
    head: Head,
    body: Bytes,
}

/// A call that its caller may make, with the resource that policies were asked about. Authorization
/// alone makes it.
pub(super) struct Permitted<'a, R> {
    call: &'a Call,
    resource: R,
}

impl<R> Permitted<'_, R> {
    /// The resource that the operation acts on.
    pub(super) fn resource(&self) -> &R {
        &self.resource
    }
}

impl<R> Deref for Permitted<'_, R> {
    type Target = Call;

    fn deref(&self) -> &Call {
        self.call
    }
}

impl Deref for Call {
    type Target = Head;

    fn deref(&self) -> &Head {
        &self.head
    }
}

impl Head {
    /// A head of a caller that says who it is: its signature may not be checked yet.
    pub(super) fn new(
        claimed: Option<Arc<Caller>>,
        route: Route,
        parts: Parts,
        request_id: RequestId,
    ) -> Self {
        Self {
            caller: claimed,
            route,
            parts,
            request_id,
        }
    }

    pub(super) fn parts(&self) -> &Parts {
        &self.parts
    }

    pub(super) fn operation(&self) -> Operation {
        self.route.operation()
    }

    pub(super) fn request_id(&self) -> RequestId {
        self.request_id
    }

    /// Requester of the steps of a deployment of this resource.
    pub(super) fn requester(&self, resource: &str) -> Requester {
        let caller = self.caller.as_deref().and_then(|it| it.principal.arn());
        Requester::new(caller.unwrap_or_default(), resource)
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// The host that the client called, with its port.
    pub(super) fn host(&self) -> Option<&str> {
        host_of(&self.parts)
    }

    /// The values that the query gives a name.
    fn query_all(&self, name: &str) -> Vec<String> {
        wire::query_values(self.parts.uri.query(), name)
    }

    /// The first of them: the model's checks take the first one too.
    fn query(&self, name: &str) -> Option<String> {
        self.query_all(name).into_iter().next()
    }

    /// A label of the path, if the operation has it.
    fn label(&self, name: &str) -> &str {
        self.route.label(name)
    }
}

impl Call {
    /// A call whose caller's signature is good.
    pub(super) fn new(caller: Option<Arc<Caller>>, head: Head, body: Bytes) -> Self {
        let head = Head { caller, ..head };
        Self { head, body }
    }

    pub(super) fn body(&self) -> &Bytes {
        &self.body
    }

    /// Does work that takes as long as the body is large.
    pub(super) fn at_length<T>(&self, work: impl FnOnce() -> T) -> T {
        at_length(&self.parts, self.body.len(), work)
    }

    pub(super) fn parse<T: wire::Input>(&self) -> Result<T, Fault> {
        let query = self.parts.uri.query();
        let parse = || wire::parse(&self.route, query, &self.parts.headers, &self.body);
        Ok(self.at_length(parse)?)
    }

    /// The constraints of the model that the request breaks.
    pub(super) fn violation(&self) -> Option<Fault> {
        let query = self.parts.uri.query();
        let check = || wire::verify(&self.route, query, &self.parts.headers, &self.body);
        self.at_length(check).err().map(Fault::from)
    }

    pub(super) fn render(&self, output: impl wire::Output) -> HttpResponse {
        wire::render(self.operation(), output)
    }
}
