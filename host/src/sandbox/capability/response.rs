//! `lambda:function/response`: the stream that a streaming function writes its response to.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use wasmtime::component::{HasSelf, Linker, Resource};

use crate::payload::Document;
use crate::sandbox::FunctionResponse;
use crate::sandbox::bindings::streaming::lambda::function::response::{
    self, Host, HostResponseStream, WriteError,
};
use crate::sandbox::guest::Guest;
use crate::sandbox::outlet::{Head, Malformed, Outlet, PRELUDE_END, TooLarge};
use crate::units::PAYLOAD_BYTES_MAX;

/// A response that is being written; the type behind the `response-stream` resource.
#[derive(Clone)]
pub enum Sink {
    /// The caller gets it whole.
    Collected(Arc<Mutex<Written>>),
    /// The caller gets it as it is written.
    Streamed(Outlet),
}

/// The part of a response that was written.
#[derive(Default)]
pub struct Written {
    prelude: Option<String>,
    body: BytesMut,
}

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    response::add_to_linker::<_, HasSelf<Guest>>(linker, Guest::noted)
}

impl Written {
    fn begin(&mut self, prelude: String) -> Result<(), WriteError> {
        if self.prelude.is_some() || !self.body.is_empty() {
            return Err(WriteError::TooLate);
        }
        self.prelude = Some(prelude);
        Ok(())
    }

    fn append(&mut self, chunk: &[u8]) -> Result<(), WriteError> {
        if self.body.len() + chunk.len() > PAYLOAD_BYTES_MAX {
            return Err(WriteError::Closed);
        }
        self.body.extend_from_slice(chunk);
        Ok(())
    }

    fn finished(&mut self) -> Bytes {
        let body = std::mem::take(&mut self.body);
        match self.prelude.take() {
            None => body.freeze(),
            Some(prelude) => [prelude.as_bytes(), &PRELUDE_END, &body].concat().into(),
        }
    }
}

impl Sink {
    pub(in crate::sandbox) fn new(outlet: Option<&Outlet>) -> Self {
        match outlet {
            None => Self::Collected(Arc::default()),
            Some(outlet) => Self::Streamed(outlet.clone()),
        }
    }

    /// The response, whose function has returned.
    pub(in crate::sandbox) fn finished(&self) -> FunctionResponse {
        match self {
            Self::Collected(written) => FunctionResponse::Json(lock(written).finished()),
            Self::Streamed(outlet) => FunctionResponse::Streamed(outlet.written()),
        }
    }

    fn begin(&self, prelude: String) -> Result<(), WriteError> {
        let document = Document::parse(prelude.clone().into());
        let is_object = |it: &Document| it.root().members().is_some();
        let document = document.ok().filter(is_object);
        let document = document.ok_or(WriteError::Malformed)?;
        match self {
            Self::Collected(written) => lock(written).begin(prelude),
            Self::Streamed(outlet) if outlet.has_begun() => Err(WriteError::TooLate),
            Self::Streamed(outlet) => {
                let begun = outlet.begin(Head::Prelude(Some(document)));
                begun.map_err(|Malformed| WriteError::Malformed)
            }
        }
    }

    async fn append(&self, chunk: Vec<u8>) -> Result<(), WriteError> {
        match self {
            Self::Collected(written) => lock(written).append(&chunk),
            Self::Streamed(outlet) => {
                let begun = outlet.begin(Head::Prelude(None));
                begun.map_err(|Malformed| WriteError::Malformed)?;
                let written = outlet.write(chunk.into()).await;
                written.map_err(|TooLarge| WriteError::Closed)
            }
        }
    }
}

// A std mutex: the sections copy bytes, and nothing awaits inside.
fn lock(written: &Mutex<Written>) -> MutexGuard<'_, Written> {
    written.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Host for Guest {}

impl HostResponseStream for Guest {
    async fn set_metadata(
        &mut self,
        stream: Resource<Sink>,
        prelude: String,
    ) -> wasmtime::Result<Result<(), WriteError>> {
        Ok(self.table.get(&stream)?.begin(prelude))
    }

    async fn write(
        &mut self,
        stream: Resource<Sink>,
        chunk: String,
    ) -> wasmtime::Result<Result<(), WriteError>> {
        let sink = self.table.get(&stream)?.clone();
        Ok(sink.append(chunk.into_bytes()).await)
    }

    async fn write_bytes(
        &mut self,
        stream: Resource<Sink>,
        chunk: Vec<u8>,
    ) -> wasmtime::Result<Result<(), WriteError>> {
        let sink = self.table.get(&stream)?.clone();
        Ok(sink.append(chunk).await)
    }

    async fn drop(&mut self, stream: Resource<Sink>) -> wasmtime::Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}
