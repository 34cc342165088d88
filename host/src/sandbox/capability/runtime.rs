//! `lambda:function/runtime`: the Runtime API, for custom runtimes.

use tokio::sync::mpsc::{Receiver, Sender, channel};
use wasmtime::component::{HasSelf, Linker};

use crate::sandbox::Failure;
use crate::sandbox::bindings::runtime::lambda::function::runtime::{
    self, AnswerError, Host, Invocation,
};
use crate::sandbox::bindings::runtime::lambda::function::types;
use crate::sandbox::guest::Guest;
use crate::units::PAYLOAD_BYTES_MAX;

/// A guest sends at most two signals between polls: a response, and Ready.
const SIGNALS_MAX: usize = 4;

/// Guest's side of the channels. Functions that are called have none.
#[derive(Default)]
pub(in crate::sandbox) struct Mailbox {
    line: Option<(Receiver<Invocation>, Sender<Signal>)>,
    /// Request id of the invocation in progress.
    current: Option<String>,
}

/// Host's side of the channels.
pub(in crate::sandbox) struct Line {
    pub(in crate::sandbox) events: Sender<Invocation>,
    pub(in crate::sandbox) signals: Receiver<Signal>,
}

/// Message from the guest.
pub(in crate::sandbox) enum Signal {
    /// Polls for an event.
    Ready,
    /// Initialisation failed.
    InitFailed(Failure),
    /// Responded.
    Answered(Result<String, Failure>),
}

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    runtime::add_to_linker::<_, HasSelf<Guest>>(linker, Guest::noted)
}

impl Mailbox {
    /// Connected pair of both sides.
    pub(in crate::sandbox) fn connected() -> (Self, Line) {
        let (events, inbox) = channel(1);
        let (outbox, signals) = channel(SIGNALS_MAX);
        let mailbox = Self {
            line: Some((inbox, outbox)),
            current: None,
        };
        (mailbox, Line { events, signals })
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
            // After the first event nothing receives it, and the exit counts.
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
