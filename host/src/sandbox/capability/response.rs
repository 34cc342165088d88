//! `lambda:function/response`: the stream that a streaming function writes its response to.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use wasmtime::component::{HasSelf, Linker, Resource};

use crate::payload::Document;
use crate::sandbox::bindings::streaming::lambda::function::response::{
    self, Host, HostResponseStream, WriteError,
};
use crate::sandbox::guest::Guest;
use crate::units::PAYLOAD_BYTES_MAX;

/// Between the metadata and the body, as in AWS.
const PRELUDE_END: [u8; 8] = [0; 8];

/// A response that is being written; the type behind the `response-stream` resource.
#[derive(Clone, Default)]
pub struct Sink(Arc<Mutex<Written>>);

#[derive(Default)]
struct Written {
    prelude: Option<String>,
    body: BytesMut,
}

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    response::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)
}

impl Sink {
    // A std mutex: the sections copy bytes, and nothing awaits inside.
    fn lock(&self) -> MutexGuard<'_, Written> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, chunk: &[u8]) -> Result<(), WriteError> {
        let mut written = self.lock();
        if written.body.len() + chunk.len() > PAYLOAD_BYTES_MAX {
            return Err(WriteError::Closed);
        }
        written.body.extend_from_slice(chunk);
        Ok(())
    }

    /// Everything that was written.
    pub(in crate::sandbox) fn finished(&self) -> Bytes {
        let mut written = self.lock();
        let body = std::mem::take(&mut written.body);
        match written.prelude.take() {
            None => body.freeze(),
            Some(prelude) => [prelude.as_bytes(), &PRELUDE_END, &body].concat().into(),
        }
    }
}

impl Host for Guest {}

impl HostResponseStream for Guest {
    async fn set_metadata(
        &mut self,
        stream: Resource<Sink>,
        prelude: String,
    ) -> wasmtime::Result<Result<(), WriteError>> {
        let document = Document::parse(Bytes::copy_from_slice(prelude.as_bytes()));
        let is_object = document.is_ok_and(|it| it.root().members().is_some());
        let mut written = self.table.get(&stream)?.lock();
        if !is_object {
            return Ok(Err(WriteError::Malformed));
        }
        if written.prelude.is_some() || !written.body.is_empty() {
            return Ok(Err(WriteError::TooLate));
        }
        written.prelude = Some(prelude);
        Ok(Ok(()))
    }

    async fn write(
        &mut self,
        stream: Resource<Sink>,
        chunk: String,
    ) -> wasmtime::Result<Result<(), WriteError>> {
        Ok(self.table.get(&stream)?.append(chunk.as_bytes()))
    }

    async fn write_bytes(
        &mut self,
        stream: Resource<Sink>,
        chunk: Vec<u8>,
    ) -> wasmtime::Result<Result<(), WriteError>> {
        Ok(self.table.get(&stream)?.append(&chunk))
    }

    async fn drop(&mut self, stream: Resource<Sink>) -> wasmtime::Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}
