//! `wasi:cli/run` alone: a program that reads its event from stdin and writes its result to
//! stdout. It runs once, so each event gets a new instance; directories are kept.

use bytes::Bytes;
use wasmtime::Store;
use wasmtime_wasi::I32Exit;
use wasmtime_wasi::p2::bindings::{Command, CommandPre};

use crate::sandbox::capability::runtime::Mailbox;
use crate::sandbox::capability::system::Streams;
use crate::sandbox::environment::{CallResult, StoreParts};
use crate::sandbox::guest::Guest;
use crate::sandbox::stdio::{Captured, Input};

pub(in crate::sandbox) type Pre = CommandPre<Guest>;

pub(in crate::sandbox) struct Instance {
    pre: Pre,
    room: StoreParts,
}

impl Instance {
    pub(in crate::sandbox) fn new(pre: Pre, room: StoreParts) -> Self {
        Self { pre, room }
    }

    pub(in crate::sandbox) async fn invoke(&mut self, event: &Bytes) -> CallResult<Bytes> {
        let stdout = Captured::default();
        let streams = Streams::Event {
            stdin: Input(event.clone()),
            stdout: stdout.clone(),
        };
        self.room.usage.reset();
        let mut store = self.room.store(streams, Mailbox::default());
        let command = self.pre.instantiate_async(&mut store).await?;
        run(&command, &mut store).await?;
        drop(store);
        let shared = &self.room.loaded.shared;
        shared.turnover.ended(self.room.usage.left_bytes());
        self.room.usage.freed();
        Ok(Ok(stdout.take()))
    }
}

/// Runs a program to its end. An orderly exit is a return; any other is an error.
pub(in crate::sandbox) async fn run(
    command: &Command,
    store: &mut Store<Guest>,
) -> wasmtime::Result<()> {
    match command.wasi_cli_run().call_run(store).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(())) => Err(I32Exit(1).into()),
        Err(error) => match error.downcast_ref::<I32Exit>() {
            Some(I32Exit(0)) => Ok(()),
            _ => Err(error),
        },
    }
}
