//! Start of the extensions beside a function: each gets a store, a `/tmp`, a deadline and a count of memory of its own.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;
use wasmtime_wasi::I32Exit;

use super::{CallResult, StoreParts, counted};
use crate::names::RequestId;
use crate::sandbox::adapter::{Instance, command};
use crate::sandbox::capability::runtime::Mailbox;
use crate::sandbox::capability::system::Streams;
use crate::sandbox::deadline::{Deadline, TimeUp};
use crate::sandbox::extension::member::{Crew, Member};
use crate::sandbox::extension::telemetry::Post;
use crate::sandbox::extension::{ExtensionSetup, Extensions, Running, TIMEOUT, TIMEOUT_TEXT};
use crate::sandbox::limits::{MemoryUsage, Together};
use crate::sandbox::program::{Entry, LoadedExtension};
use crate::sandbox::{Error, Unopened};

/// Starts the extensions of a program. `room` is that of the function.
pub(super) fn start(
    room: &StoreParts,
    together: &Arc<Together>,
    time: Duration,
) -> Result<Box<Extensions>, Unopened> {
    let all = &room.loaded.extensions;
    let setup = room.setup.extensions.as_ref();
    let setup = setup.ok_or_else(|| {
        let problem = "a program with extensions was opened without their setup";
        Unopened::Broken(Error::Engine(problem.into()))
    })?;
    let crew = Crew::new(all.len());
    let members = all
        .iter()
        .map(|it| Member::new(Arc::clone(&it.name), &crew));
    let members: Vec<_> = members.collect();
    setup.telemetry.set_members(members.clone());
    let mut running = Vec::with_capacity(all.len());
    for (extension, member) in all.iter().zip(members) {
        let parts = parts(extension, room, setup, together, time)?;
        running.push(spawned(parts, member, setup));
    }
    let clock = room.loaded.shared.resources.clock.clone();
    let extensions = Extensions::new(running, crew, &setup.telemetry, clock);
    Ok(Box::new(extensions))
}

/// Parts of the store of an extension.
fn parts(
    extension: &LoadedExtension,
    room: &StoreParts,
    setup: &ExtensionSetup,
    together: &Arc<Together>,
    time: Duration,
) -> Result<StoreParts, Unopened> {
    let loaded = Arc::clone(&extension.loaded);
    let scratch = room.files.quota().grant().beside();
    let files = loaded.mounts.open(room.setup.tmp, scratch);
    let usage = MemoryUsage::new(room.usage.grant().beside(), &loaded.shared.pages);
    Ok(StoreParts {
        setup: Arc::clone(&room.setup),
        log: Arc::clone(&setup.log),
        files: Arc::new(files.map_err(Unopened::without_mounts)?),
        usage: Arc::new(usage.together(together)),
        deadline: Deadline::after(&loaded.shared.resources.clock, time),
        loaded,
    })
}

fn spawned(parts: StoreParts, member: Arc<Member>, setup: &ExtensionSetup) -> Running {
    let function = &parts.setup.function;
    let scheduler = &parts.loaded.shared.resources.scheduler;
    let share = scheduler.share(&function.name, function.memory);
    let (cancel, deadline) = (CancellationToken::new(), parts.deadline.clone());
    let post = Post {
        member: Arc::clone(&member),
        telemetry: Arc::clone(&setup.telemetry),
    };
    Running {
        member,
        restart: Box::new(move |time| deadline.restart(time)),
        task: tokio::spawn(share.run(run(parts, post, cancel.clone()))),
        cancel,
    }
}

/// Opens an instance once the extensions have registered, and waits until they are ready too.
pub(super) async fn open(
    extensions: &Extensions,
    id: &RequestId,
    opening: impl Future<Output = CallResult<Instance>>,
) -> CallResult<Instance> {
    if let Err(failure) = extensions.registered(id).await {
        return Ok(Err(failure));
    }
    let opened = opening.await?;
    if opened.is_ok()
        && let Err(failure) = extensions.initialised(id).await
    {
        return Ok(Err(failure));
    }
    Ok(opened)
}

/// Runs an extension to its end.
async fn run(parts: StoreParts, post: Post, cancel: CancellationToken) {
    let (member, usage) = (Arc::clone(&post.member), Arc::clone(&parts.usage));
    let shared = Arc::clone(&parts.loaded.shared);
    let called = Box::pin(async {
        let called = AssertUnwindSafe(counted(&usage, call(parts, post))).catch_unwind();
        called.await.unwrap_or_else(|_| {
            tracing::error!("a host function panicked; the extension is given up");
            Err(wasmtime::Error::msg("the host failed"))
        })
    });
    let ended = tokio::select! {
        biased;
        () = cancel.cancelled() => None,
        ended = called => Some(ended),
    };
    shared.turnover.ended(usage.left_bytes());
    usage.release();
    if let Some(ended) = ended {
        // After `shutdown` the failure has no effect.
        match &ended {
            Err(error) if error.is::<TimeUp>() => member.fail(TIMEOUT, TIMEOUT_TEXT),
            ended => member.fail("Extension.Crash", &end_of(ended)),
        }
    }
    member.ended();
}

async fn call(parts: StoreParts, post: Post) -> CallResult<()> {
    let Entry::Extension(pre) = &*parts.loaded.entry else {
        let problem = "it is no extension: it does not import lambda:extension/lifecycle";
        return Err(wasmtime::Error::msg(problem));
    };
    let mut store = parts.store(Streams::Log, Mailbox::default());
    store.data_mut().extension = Some(Box::new(post));
    let command = pre.instantiate_async(&mut store).await?;
    command::run(&command, &mut store).await?;
    Ok(Ok(()))
}

fn end_of(ended: &CallResult<()>) -> String {
    let Err(error) = ended else {
        return "it exited".to_owned();
    };
    match error.downcast_ref::<I32Exit>() {
        Some(I32Exit(status)) => format!("it exited with status {status}"),
        None => format!("it was stopped: {}", error.root_cause()),
    }
}
