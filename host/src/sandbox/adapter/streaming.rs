//! `lambda:function/streaming-handler`: the function writes its response. This host collects it and
//! sends it whole.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use wasmtime::Store;
use wasmtime::component::Resource;

use super::custom_runtime::Mailbox;
use crate::sandbox::bindings::streaming::lambda::function::response::{
    Host, HostResponseStream, WriteError,
};
use crate::sandbox::bindings::streaming::{StreamingFunction, StreamingFunctionPre};
use crate::sandbox::environment::{Answer, Room};
use crate::sandbox::guest::{Guest, Streams};
use crate::sandbox::{Context, Failure};
use crate::units::PAYLOAD_BYTES_MAX;

pub(in crate::sandbox) type Pre = StreamingFunctionPre<Guest>;

/// What parts the metadata from the body, as in AWS.
const PRELUDE_END: [u8; 8] = [0; 8];

pub(in crate::sandbox) struct Instance {
    store: Store<Guest>,
    function: StreamingFunction,
}

/// A response that is being written; the type behind the `response-stream` resource.
#[derive(Clone, Default)]
pub struct Sink(Arc<Mutex<Written>>);

#[derive(Default)]
struct Written {
    prelude: Option<String>,
    body: BytesMut,
}

impl Instance {
    pub(in crate::sandbox) async fn open(pre: &Pre, room: &Room) -> Answer<Self> {
        let mut store = room.store(Streams::Log, Mailbox::default());
        let function = pre.instantiate_async(&mut store).await?;
        let handler = function.lambda_function_streaming_handler();
        let initialised = handler.call_init(&mut store).await?;
        Ok(initialised
            .map(|()| Self { store, function })
            .map_err(Failure::from))
    }

    pub(in crate::sandbox) async fn invoke(
        &mut self,
        event: &str,
        context: &Context,
    ) -> Answer<Bytes> {
        let sink = Sink::default();
        let stream = self.store.data_mut().table().push(sink.clone())?;
        let lent = Resource::new_borrow(stream.rep());
        let handler = self.function.lambda_function_streaming_handler();
        let answer = handler
            .call_invoke(&mut self.store, event, context.into(), lent)
            .await?;
        self.store.data_mut().table().delete(stream)?;
        Ok(answer.map(|()| sink.finished()).map_err(Failure::from))
    }
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

    fn finished(&self) -> Bytes {
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
        let parsed = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&prelude);
        let mut written = self.table().get(&stream)?.lock();
        if parsed.is_err() {
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
        Ok(self.table().get(&stream)?.append(chunk.as_bytes()))
    }

    async fn write_bytes(
        &mut self,
        stream: Resource<Sink>,
        chunk: Vec<u8>,
    ) -> wasmtime::Result<Result<(), WriteError>> {
        Ok(self.table().get(&stream)?.append(&chunk))
    }

    async fn drop(&mut self, stream: Resource<Sink>) -> wasmtime::Result<()> {
        self.table().delete(stream)?;
        Ok(())
    }
}
