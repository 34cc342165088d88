//! `lambda:function/streaming-handler`: the function writes its response, which the caller gets as it comes
//! or whole.

use wasmtime::Store;
use wasmtime::component::Resource;

use crate::sandbox::bindings::streaming::{StreamingFunction, StreamingFunctionPre};
use crate::sandbox::capability::response::Sink;
use crate::sandbox::capability::runtime::Mailbox;
use crate::sandbox::capability::system::Streams;
use crate::sandbox::environment::{CallResult, StoreParts};
use crate::sandbox::guest::Guest;
use crate::sandbox::outlet::Outlet;
use crate::sandbox::{Context, Failure, FunctionResponse};

pub(in crate::sandbox) type Pre = StreamingFunctionPre<Guest>;

pub(in crate::sandbox) struct Instance {
    store: Store<Guest>,
    function: StreamingFunction,
}

impl Instance {
    pub(in crate::sandbox) async fn open(pre: &Pre, room: &StoreParts) -> CallResult<Self> {
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
        outlet: Option<&Outlet>,
    ) -> CallResult<FunctionResponse> {
        let sink = Sink::new(outlet);
        let stream = self.store.data_mut().table.push(sink.clone())?;
        let lent = Resource::new_borrow(stream.rep());
        let handler = self.function.lambda_function_streaming_handler();
        let answer = handler
            .call_invoke(&mut self.store, event, context.into(), lent)
            .await?;
        self.store.data_mut().table.delete(stream)?;
        Ok(answer.map(|()| sink.finished()).map_err(Failure::from))
    }
    pub(in crate::sandbox) fn is_spent(&self) -> bool {
        self.store.data().network.is_spent()
    }
}
