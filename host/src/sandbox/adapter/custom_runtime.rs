//! Adapter of custom runtimes: `wasi:cli/run` with `lambda:function/runtime`. The run is one future
//! that owns the store. It is polled only during start-up and invocations; in between the guest is
//! frozen.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use tokio::sync::mpsc::{Receiver, Sender};
use wasmtime_wasi::I32Exit;

use super::command::{self, Pre};
use crate::sandbox::Context;
use crate::sandbox::bindings::runtime::lambda::function::runtime::Invocation;
use crate::sandbox::capability::runtime::{Line, Mailbox, Signal};
use crate::sandbox::capability::system::Streams;
use crate::sandbox::environment::{CallResult, StoreParts};
use crate::sandbox::network::GuestNetwork;

type Run = Pin<Box<dyn Future<Output = wasmtime::Result<()>> + Send>>;

pub(in crate::sandbox) struct Instance {
    run: Run,
    /// Outcome of the program, kept while a signal sent before it is still unread.
    ended: Option<wasmtime::Result<()>>,
    events: Sender<Invocation>,
    signals: Receiver<Signal>,
    /// The run owns the store.
    network: GuestNetwork,
}

impl Instance {
    pub(in crate::sandbox) async fn open(pre: &Pre, room: &StoreParts) -> CallResult<Self> {
        let (mailbox, Line { events, signals }) = Mailbox::connected();
        let mut store = room.store(Streams::Log, mailbox);
        let network = store.data().network.clone();
        let pre = pre.clone();
        let run: Run = Box::pin(async move {
            let command = pre.instantiate_async(&mut store).await?;
            command::run(&command, &mut store).await
        });
        let mut instance = Self {
            run,
            ended: None,
            events,
            signals,
            network,
        };
        match instance.next_signal().await? {
            Signal::Ready => Ok(Ok(instance)),
            Signal::InitFailed(failure) => Ok(Err(failure)),
            Signal::Answered(_) => {
                Err(wasmtime::Error::msg("the runtime answered before it asked"))
            }
        }
    }

    pub(in crate::sandbox) async fn invoke(
        &mut self,
        event: &str,
        context: &Context,
    ) -> CallResult<Bytes> {
        let invocation = Invocation {
            event: event.to_owned(),
            context: context.into(),
        };
        let full = |_| wasmtime::Error::msg("the runtime did not take its last event");
        self.events.try_send(invocation).map_err(full)?;
        loop {
            if let Signal::Answered(answer) = self.next_signal().await? {
                return Ok(answer.map(Bytes::from));
            }
        }
    }

    /// Resumes a guest after its response until it polls for the next event.
    pub(in crate::sandbox) async fn settle(&mut self) -> CallResult<()> {
        while !matches!(self.next_signal().await?, Signal::Ready) {}
        Ok(Ok(()))
    }

    pub(in crate::sandbox) fn is_spent(&self) -> bool {
        self.network.is_spent()
    }

    /// Next signal of the guest. The end of the program is an error, because a signal was expected.
    async fn next_signal(&mut self) -> wasmtime::Result<Signal> {
        let ended = if let Some(ended) = self.ended.take() {
            ended
        } else {
            tokio::select! {
                biased;
                Some(signal) = self.signals.recv() => return Ok(signal),
                ended = &mut self.run => ended,
            }
        };
        // The guest may send a signal and end in the same poll.
        if let Ok(signal) = self.signals.try_recv() {
            self.ended = Some(ended);
            return Ok(signal);
        }
        ended.and_then(|()| Err(I32Exit(0).into()))
    }
}
