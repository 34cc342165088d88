//! One adapter for each interface a component may have: how it is instantiated and called. An
//! [`Instance`] is a component that runs, whatever its interface.

use super::environment::{CallResult, StoreParts};
use super::outlet::Outlet;
use super::program::Entry;
use super::{Cause, Context, Failure, FailureForm, FunctionResponse};
use crate::payload::{self, Document, Event};

pub(super) mod command;
mod contract;
pub(super) mod custom_runtime;
pub(super) mod handler;
pub(super) mod http;
pub(super) mod http_service;
pub(super) mod inspect;
pub(super) mod streaming;

/// A component that runs.
pub(super) enum Instance {
    Handler(handler::Instance),
    Streaming(streaming::Instance),
    CustomRuntime(custom_runtime::Instance),
    Http(http::Instance),
    HttpService(http_service::Instance),
    Command(command::Instance),
}

impl Instance {
    /// Instantiates a component and initialises it.
    pub(super) async fn open(room: StoreParts) -> CallResult<Self> {
        let entry = &*room.loaded.entry;
        Ok(match entry {
            Entry::Handler(pre) => handler::Instance::open(pre, &room)
                .await?
                .map(Self::Handler),
            Entry::Streaming(pre) => streaming::Instance::open(pre, &room)
                .await?
                .map(Self::Streaming),
            Entry::CustomRuntime(pre) => custom_runtime::Instance::open(pre, &room)
                .await?
                .map(Self::CustomRuntime),
            Entry::Http(pre) => http::Instance::open(pre, &room).await?.map(Self::Http),
            Entry::HttpService(pre) => http_service::Instance::open(pre, &room)
                .await?
                .map(Self::HttpService),
            Entry::Command(pre) => {
                let pre = pre.clone();
                Ok(Self::Command(command::Instance::new(pre, room)))
            }
            Entry::Extension(_) => {
                let problem =
                    "the component is an extension: publish it in a layer, below extensions/";
                return Err(wasmtime::Error::msg(problem));
            }
        })
    }

    /// Calls it with an event.
    pub(super) async fn invoke(
        &mut self,
        event: Event,
        context: &Context,
        outlet: Option<&Outlet>,
    ) -> CallResult<FunctionResponse> {
        let document = match (&mut *self, event) {
            (Self::Http(instance), Event::Http(event)) => {
                return instance.invoke(event.into_request(), outlet).await;
            }
            (Self::HttpService(instance), Event::Http(event)) => {
                // Boxed: it would make the future of every invocation larger.
                return Box::pin(instance.invoke(event.into_request(), outlet)).await;
            }
            (Self::Http(_) | Self::HttpService(_), Event::Json(event)) => {
                return self.invoke_with_event(&event, outlet).await;
            }
            (_, Event::Json(event)) => event,
            (_, Event::Http(_)) => {
                return Err(wasmtime::Error::msg("the function takes no HTTP requests"));
            }
        };
        let event = document.as_str();
        let answer = match self {
            Self::Handler(instance) => instance.invoke(event, context).await?,
            Self::Streaming(instance) => return instance.invoke(event, context, outlet).await,
            Self::CustomRuntime(instance) => instance.invoke(event, context).await?,
            Self::Command(instance) => instance.invoke(document.as_bytes()).await?,
            Self::Http(_) | Self::HttpService(_) => {
                unreachable!("events of HTTP components were taken above")
            }
        };
        Ok(answer.map(FunctionResponse::Json))
    }

    /// Lets it finish what it does after its answer, where it does anything then.
    pub(super) async fn settle(&mut self) -> CallResult<()> {
        match self {
            Self::CustomRuntime(runtime) => runtime.settle().await,
            _ => Ok(Ok(())),
        }
    }

    /// True if the guest may run after its response: a custom runtime may.
    pub(super) fn settles(&self) -> bool {
        matches!(self, Self::CustomRuntime(_))
    }

    /// True if the instance has leaked so many handles that a new one should replace it, or its runtime has given it up.
    pub(super) fn is_spent(&self) -> bool {
        match self {
            Self::Handler(instance) => instance.is_spent(),
            Self::Streaming(instance) => instance.is_spent(),
            Self::Http(instance) => instance.is_spent(),
            Self::HttpService(instance) => instance.is_spent(),
            Self::CustomRuntime(instance) => instance.is_spent(),
            Self::Command(_) => false,
        }
    }

    /// Invokes an HTTP component with an event: the event is made a request, the response a result.
    async fn invoke_with_event(
        &mut self,
        event: &Document,
        outlet: Option<&Outlet>,
    ) -> CallResult<FunctionResponse> {
        let request = match payload::http::request_of(event) {
            Ok(request) => request.map(payload::Body::from),
            Err(problem) => return Ok(Err(no_request(&problem))),
        };
        let reply = match self {
            Self::Http(instance) => instance.invoke(request, outlet).await?,
            Self::HttpService(instance) => Box::pin(instance.invoke(request, outlet)).await?,
            _ => return Err(wasmtime::Error::msg("the function takes no HTTP requests")),
        };
        Ok(reply.map(|reply| match reply {
            FunctionResponse::Http(response) => {
                FunctionResponse::Json(payload::http::result_of(&response))
            }
            reply @ (FunctionResponse::Json(_) | FunctionResponse::Streamed(_)) => reply,
        }))
    }
}

fn no_request(problem: &payload::http::Error) -> Failure {
    Failure {
        error_type: "Runtime.UnmarshalError".into(),
        message: format!("The event is not an HTTP request of payload version 2.0: {problem}"),
        stack_trace: Vec::new(),
        form: FailureForm::Plain,
        cause: Cause::Handler,
    }
}
