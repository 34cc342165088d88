//! An invocation with a streamed response. Once the response has begun, the work is a task, which holds the environment and
//! the permit; [`Finished`] exists when the last byte is taken, or its reader is gone.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Frame;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle};

use super::Error;
use super::request::{Finished, Outcome};
use crate::payload::Body;
use crate::payload::body::Broken;
use crate::sandbox::Scheduled;
use crate::sandbox::outlet::{Head, Intake};

/// An invocation that answers.
#[derive(Debug)]
pub enum Running {
    /// It has come to its end, and its response is whole.
    Finished(Finished),
    /// Its response has begun.
    Streaming(Streaming),
}

/// An invocation whose response has begun.
#[derive(Debug)]
pub struct Streaming {
    /// The version that runs: a number or `$LATEST`.
    pub executed_version: Arc<str>,
    /// Head of the response.
    pub head: Head,
    /// The rest of it.
    pub rest: Rest,
}

/// The part of a response that is still to come, and the end of its invocation.
#[derive(Debug)]
pub struct Rest {
    frames: mpsc::Receiver<Frame<Bytes>>,
    work: Work,
}

type Task = JoinHandle<Result<Finished, Error>>;

#[derive(Debug)]
enum Work {
    Running(Task),
    Done(Option<Box<Finished>>),
}

/// Waits until the response begins, or the invocation ends without one that is streamed. The work becomes a task only
/// when the response has begun: most invocations end before, and a caller that leaves detaches it.
pub(super) async fn begin(
    executed_version: Arc<str>,
    mut work: Scheduled<Result<Finished, Error>>,
    intake: Intake,
) -> Result<Running, Error> {
    let Intake { mut head, frames } = intake;
    let (head, work) = tokio::select! {
        // The work first: a poll of it may begin the response.
        biased;
        ended = &mut work => {
            let finished = ended?;
            match head.try_recv() {
                Ok(head) => (head, Work::Done(Some(Box::new(finished)))),
                Err(_) => return Ok(Running::Finished(finished)),
            }
        }
        Ok(head) = &mut head => (head, Work::Running(tokio::spawn(work))),
    };
    let rest = Rest { frames, work };
    Ok(Running::Streaming(Streaming {
        executed_version,
        head,
        rest,
    }))
}

/// The result of a task; none where the runtime is coming down, and its tasks with it. Its panic is its caller's.
fn joined<T>(ended: Result<T, JoinError>) -> Option<T> {
    let failed = match ended {
        Ok(done) => return Some(done),
        Err(error) => error.try_into_panic(),
    };
    failed.map_or(None, |panic| std::panic::resume_unwind(panic))
}

impl Rest {
    /// The next frame; none after the last one.
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Frame<Bytes>>> {
        self.frames.poll_recv(cx)
    }

    /// End of the invocation after the last frame; returned once.
    pub fn poll_finished(&mut self, cx: &mut Context<'_>) -> Poll<Option<Box<Finished>>> {
        let ended = match &mut self.work {
            Work::Done(finished) => return Poll::Ready(finished.take()),
            Work::Running(task) => ready!(Pin::new(task).poll(cx)),
        };
        self.work = Work::Done(None);
        let finished = match joined(ended) {
            Some(Ok(finished)) => finished,
            // After its beginning no stage before the run can fail.
            Some(Err(error)) => unreachable!("a response began without an environment: {error}"),
            None => return Poll::Pending,
        };
        Poll::Ready(Some(Box::new(finished)))
    }

    /// The rest as the body of a response: it breaks off where the function fails.
    pub fn into_body(self) -> Body {
        Body::streamed(Remaining(self))
    }
}

struct Remaining(Rest);

impl http_body::Body for Remaining {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some(frame) = ready!(self.0.poll_frame(cx)) {
            return Poll::Ready(Some(Ok(frame)));
        }
        let finished = ready!(self.0.poll_finished(cx));
        let outcome: Option<Outcome> = finished.map(|finished| finished.outcome);
        Poll::Ready(match outcome {
            Some(Err(failure)) => Some(Err(Broken(failure.message.into()))),
            Some(Ok(_)) | None => None,
        })
    }
}
