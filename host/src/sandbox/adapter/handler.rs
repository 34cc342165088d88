//! Adapter of `lambda:function/handler`. Hot path.

use bytes::Bytes;
use wasmtime::Store;

use crate::sandbox::bindings::function::{Function, FunctionPre};
use crate::sandbox::capability::runtime::Mailbox;
use crate::sandbox::capability::system::Streams;
use crate::sandbox::environment::{CallResult, StoreParts};
use crate::sandbox::guest::Guest;
use crate::sandbox::{Context, Failure};

pub(in crate::sandbox) type Pre = FunctionPre<Guest>;

pub(in crate::sandbox) struct Instance {
    store: Store<Guest>,
    function: Function,
}

impl Instance {
    pub(in crate::sandbox) async fn open(pre: &Pre, room: &StoreParts) -> CallResult<Self> {
        let mut store = room.store(Streams::Log, Mailbox::default());
        let function = pre.instantiate_async(&mut store).await?;
        let initialised = function
            .lambda_function_handler()
            .call_init(&mut store)
            .await?;
        Ok(initialised
            .map(|()| Self { store, function })
            .map_err(Failure::from))
    }

    pub(in crate::sandbox) async fn invoke(
        &mut self,
        event: &str,
        context: &Context,
    ) -> CallResult<Bytes> {
        let handler = self.function.lambda_function_handler();
        let answer = handler
            .call_invoke(&mut self.store, event, context.into())
            .await?;
        Ok(answer.map(Bytes::from).map_err(Failure::from))
    }

    pub(in crate::sandbox) fn is_spent(&self) -> bool {
        let guest = self.store.data();
        guest.is_ended || guest.network.is_spent()
    }
}
