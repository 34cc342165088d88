//! Environments without WebAssembly, so that the pipeline's rules can be tested by themselves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::environment::Answer;
use super::{Cause, Failure};

/// What every environment of a fake program does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    /// How long a call takes.
    pub(crate) takes: Duration,
    /// Calls fail, with the function's own failure.
    pub(crate) fails: bool,
    /// Calls end the environment.
    pub(crate) ends: bool,
    /// Counts calls in progress, and the most there ever were.
    pub(crate) gauge: Arc<Gauge>,
}

/// Counts calls in progress.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    now: AtomicU32,
    pub(crate) most: AtomicU32,
    pub(crate) opened: AtomicU32,
    pub(crate) finished: AtomicU32,
}

impl Script {
    pub(super) async fn play(&mut self) -> Answer<Bytes> {
        let now = self.gauge.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.gauge.most.fetch_max(now, Ordering::SeqCst);
        tokio::time::sleep(self.takes).await;
        self.gauge.now.fetch_sub(1, Ordering::SeqCst);
        self.gauge.finished.fetch_add(1, Ordering::SeqCst);
        if self.ends {
            return Err(wasmtime::Error::msg("the script ends here"));
        }
        Ok(if self.fails { Err(own_failure()) } else { Ok(Bytes::from_static(b"null")) })
    }
}

fn own_failure() -> Failure {
    Failure {
        error_type: "Scripted".into(),
        message: "as the script has it".into(),
        stack_trace: Vec::new(),
        cause: Cause::Handler,
    }
}
