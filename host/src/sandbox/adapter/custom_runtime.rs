//! `wasi:cli/run` with `lambda:function/runtime`: a program with its own loop, which asks for events.
//! Its run is one future that owns the store. It is polled only while it starts or while an
//! invocation waits for it: between invocations the guest is frozen.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use wasmtime_wasi::I32Exit;

use super::command;
use crate::sandbox::bindings::runtime::lambda::function::runtime::{AnswerError, Host, Invocation};
use crate::sandbox::bindings::runtime::lambda::function::types;
use crate::sandbox::environment::{Answer, Room};
use crate::sandbox::guest::{Guest, Streams};
use crate::sandbox::program::Entry;
use crate::sandbox::{Context, Failure};
use crate::units::PAYLOAD_BYTES_MAX;

/// A guest says at most two things before the host looks: an answer, and that it is ready again.
const SIGNALS_MAX: usize = 4;

/// The guest's end of the line.
#[derive(Default)]
pub(in crate::sandbox) struct Mailbox {
    line: Option<(Receiver<Invocation>, Sender<Signal>)>,
    /// The invocation that waits for an answer.
    current: Option<String>,
}

/// What a guest says.
enum Signal {
    /// It waits for an event.
    Ready,
    /// It could not initialise.
    InitFailed(Failure),
    /// It has answered.
    Answered(Result<String, Failure>),
}

type Run = Pin<Box<dyn Future<Output = wasmtime::Result<()>> + Send>>;

pub(in crate::sandbox) struct Instance {
    run: Run,
    /// How the program ended, while what it said last was still to be heard.
    ended: Option<wasmtime::Result<()>>,
    events: Sender<Invocation>,
    signals: Receiver<Signal>,
}

impl Instance {
    pub(in crate::sandbox) async fn open(room: &Room) -> Answer<Self> {
        let (events, inbox) = channel(1);
        let (outbox, signals) = channel(SIGNALS_MAX);
        let mailbox = Mailbox {
            line: Some((inbox, outbox)),
            current: None,
        };
        let mut store = room.store(Streams::Log, mailbox);
        let loaded = std::sync::Arc::clone(&room.loaded);
        let run: Run = Box::pin(async move {
            let Entry::CustomRuntime(pre) = &loaded.entry else {
                return Err(wasmtime::Error::msg("the program has no loop"));
            };
            let command = pre.instantiate_async(&mut store).await?;
            command::run(&command, &mut store).await
        });
        let mut instance = Self {
            run,
            ended: None,
            events,
            signals,
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
    ) -> Answer<Bytes> {
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

    /// Lets a guest that has answered go on until it asks for the next event.
    pub(in crate::sandbox) async fn settle(&mut self) -> Answer<()> {
        while !matches!(self.next_signal().await?, Signal::Ready) {}
        Ok(Ok(()))
    }

    /// What the guest says next. Its end, orderly or not, is an error: more was expected of it.
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
        // The guest may have spoken and ended in one go.
        if let Ok(signal) = self.signals.try_recv() {
            self.ended = Some(ended);
            return Ok(signal);
        }
        ended.and_then(|()| Err(I32Exit(0).into()))
    }
}

impl Host for Guest {
    async fn next(&mut self) -> wasmtime::Result<Invocation> {
        let closed = || wasmtime::Error::msg("this environment has no runtime interface");
        let Mailbox { line, current } = &mut self.mailbox;
        let (inbox, outbox) = line.as_mut().ok_or_else(closed)?;
        outbox.send(Signal::Ready).await.map_err(|_| closed())?;
        let invocation = inbox.recv().await.ok_or_else(closed)?;
        *current = Some(invocation.context.aws_request_id.clone());
        Ok(invocation)
    }

    async fn respond(
        &mut self,
        request_id: String,
        response: String,
    ) -> wasmtime::Result<Result<(), AnswerError>> {
        if response.len() > PAYLOAD_BYTES_MAX {
            let answered = self
                .mailbox
                .answer(&request_id, Err(Failure::response_too_large()));
            return Ok(answered.and(Err(AnswerError::TooLarge)));
        }
        Ok(self.mailbox.answer(&request_id, Ok(response)))
    }

    async fn fail(
        &mut self,
        request_id: String,
        failure: types::Failure,
    ) -> wasmtime::Result<Result<(), AnswerError>> {
        Ok(self.mailbox.answer(&request_id, Err(failure.into())))
    }

    async fn init_error(&mut self, failure: types::Failure) -> wasmtime::Result<()> {
        if let Some((_, outbox)) = &self.mailbox.line {
            // Nobody listens for it after the first event; then it is only an exit.
            let _ = outbox.try_send(Signal::InitFailed(failure.into()));
        }
        Ok(())
    }
}

impl Mailbox {
    fn answer(
        &mut self,
        request_id: &str,
        answer: Result<String, Failure>,
    ) -> Result<(), AnswerError> {
        let (Some((_, outbox)), Some(current)) = (&self.line, &self.current) else {
            return Err(AnswerError::UnknownRequest);
        };
        if current != request_id || outbox.try_send(Signal::Answered(answer)).is_err() {
            return Err(AnswerError::UnknownRequest);
        }
        self.current = None;
        Ok(())
    }
}

impl types::Host for Guest {}
