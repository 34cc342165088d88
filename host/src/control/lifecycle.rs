//! States and their transitions. A change is recorded as Pending or InProgress; a job then does the work
//! that it waits for and records the outcome. Jobs are found in the store, so a restart resumes them. AWS
//! takes a moment, and its clients rely on seeing it: a set time is the least that such a state stays visible.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::configuration::{FunctionRecord, LastUpdate, State, StateReason, VersionRecord};
use super::layer::LayerUse;
use super::origin::PackageError;
use super::revision::RevisionId;
use super::{Control, Error, Plane, function, version};
use crate::clock::Clock;
use crate::library::{Arrival, Requester};
use crate::names::FunctionName;
use crate::store::{self, Expect, Write};

/// Back-off after a failure of the host; doubled each time, up to the last.
const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_LAST: Duration = Duration::from_secs(60);

/// Outcome of the work that a version waits for: the code of an image that was pulled, or the reason of a failure.
type Prepared = Result<Option<Arrival>, StateReason>;

#[cfg(test)]
mod tests;

/// The resource that a job completes a change of.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Subject {
    Function(FunctionName),
    /// An event source mapping, by its id.
    Mapping(String),
}

/// Jobs that run: one for each subject.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    // A std mutex: entries come and go, and nothing awaits inside. The value says that the subject
    // changed again while its job ran.
    running: Mutex<BTreeMap<Subject, bool>>,
}

impl Jobs {
    /// True if the caller is to run the job. A job that runs already looks once more before it ends.
    fn begin(&self, subject: &Subject) -> bool {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        match running.get_mut(subject) {
            Some(again) => {
                *again = true;
                false
            }
            None => running.insert(subject.clone(), false).is_none(),
        }
    }

    /// True if the job may end; false where its subject changed again.
    fn end(&self, subject: &Subject) -> bool {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        match running.get_mut(subject) {
            Some(again) if *again => {
                *again = false;
                false
            }
            _ => {
                running.remove(subject);
                true
            }
        }
    }
}

#[cfg(test)]
impl Jobs {
    /// True if no job runs.
    pub(super) fn are_done(&self) -> bool {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.is_empty()
    }
}

impl FunctionRecord {
    /// True while a change of it, or the publication of a version, is in progress.
    pub(super) fn is_settling(&self) -> bool {
        self.latest.is_settling() || !self.settling_versions.is_empty()
    }
}

impl VersionRecord {
    /// Records the outcome of its change. Returns the guard on the files of a pulled image.
    fn settle(&mut self, prepared: Prepared, clock: &Clock) -> Option<Arrival> {
        let outcome = prepared.map(|pulled| {
            let pulled = pulled?;
            self.code = pulled.code.clone();
            // Live state of a deployment has the code that it was made with.
            self.deployment = RevisionId::new(clock);
            Some(pulled)
        });
        let (outcome, pulled) = match outcome {
            Ok(pulled) => (Ok(()), pulled),
            Err(reason) => (Err(reason), None),
        };
        match (outcome, self.state) {
            (Ok(()), _) => {
                self.state = State::Active;
                self.last_update = Some(LastUpdate::Successful);
                self.reason = None;
            }
            (Err(reason), State::Pending) => {
                self.state = State::Failed;
                self.last_update = Some(LastUpdate::Failed);
                self.reason = Some(reason);
            }
            (Err(reason), State::Active | State::Inactive | State::Failed) => {
                self.last_update = Some(LastUpdate::Failed);
                self.reason = Some(reason);
            }
        }
        self.revision = RevisionId::new(clock);
        pulled
    }
}

impl Control {
    /// Starts the job that completes a change, if none runs for its subject.
    pub(super) fn start_job(&self, subject: Subject) {
        if self.0.jobs.begin(&subject) {
            let (plane, clock) = (Arc::downgrade(&self.0), self.0.clock.clone());
            tokio::spawn(run(plane, clock, subject, self.0.config.settle));
        }
    }

    /// Waits until no change of a function is in progress and its state is published.
    ///
    /// # Errors
    /// If there is no such function.
    pub async fn settled(&self, name: &FunctionName) -> Result<FunctionRecord, Error> {
        let mut snapshots = self.0.publisher.snapshots();
        loop {
            snapshots.borrow_and_update();
            let function = self.function(name).await?;
            if !function.is_settling() {
                self.0.publisher.caught_up(name, &self.0.clock).await;
                return Ok(function);
            }
            // Each step of a job is a publication. None comes after the end of the publisher.
            if snapshots.changed().await.is_err() {
                return Ok(function);
            }
        }
    }

    async fn complete(&self, subject: &Subject) -> Result<(), Error> {
        match subject {
            Subject::Function(name) => self.complete_function(name).await,
            Subject::Mapping(id) => self.complete_mapping(id).await,
        }
    }

    /// Completes the change of a function that is in progress, if one is. Safe to repeat.
    async fn complete_function(&self, name: &FunctionName) -> Result<(), Error> {
        loop {
            let Some((mut record, read_at)) = self.load(name).await? else {
                return Ok(());
            };
            if !record.is_settling() {
                return Ok(());
            }
            let (mut batch, mut held) = (Vec::new(), Vec::new());
            for number in std::mem::take(&mut record.settling_versions) {
                if let Some((mut version, read_at)) = self.load_version(name, number).await? {
                    let prepared = self.prepare(name, &version).await?;
                    held.extend(version.settle(prepared, &self.0.clock));
                    batch.push(version::put(name, &version, Expect::Revision(read_at)));
                }
            }
            if record.latest.is_settling() {
                let prepared = self.prepare(name, &record.latest).await?;
                // A failed update leaves invocations with the version before.
                if prepared.is_ok() {
                    record.serving = None;
                }
                held.extend(record.latest.settle(prepared, &self.0.clock));
            }
            batch.push(function::record::put(&record, Expect::Revision(read_at)));
            if self.is_committed(batch).await? {
                return Ok(());
            }
            // Files that no record names yet are kept until the commit.
            drop(held);
        }
    }

    /// Does the work that a version waits for: its component is compiled for this host's engine. The inner
    /// error is the version's own, the outer one the host's, after which the job is repeated.
    async fn prepare(
        &self,
        name: &FunctionName,
        version: &VersionRecord,
    ) -> Result<Prepared, Error> {
        let architecture = version.configuration.architecture;
        let layers = LayerUse::packages(&version.configuration.layers);
        let requester = Requester::of_host(name.as_str());
        let library = &self.0.library;
        let code = &version.code;
        let prepared = if code.is_unpulled() {
            let overrides = version.configuration.overrides();
            let pulled = Box::pin(library.pull(code, &overrides, architecture, &requester));
            pulled.await.map(Some)
        } else {
            let compiled = library.refresh(code, architecture, &layers, &requester);
            compiled.await.map(|()| None)
        };
        match prepared.map_err(Error::from) {
            Ok(pulled) => Ok(Ok(pulled)),
            Err(Error::Package(PackageError::Image(error))) => Ok(Err(StateReason {
                code: error.reason_code().into(),
                text: error.to_string(),
            })),
            Err(Error::Package(error @ (PackageError::Component(_) | PackageError::Upload(_))))
                if code.image.is_some() =>
            {
                Ok(Err(StateReason {
                    code: "InvalidImage".into(),
                    text: error.to_string(),
                }))
            }
            Err(Error::Package(error @ (PackageError::Component(_) | PackageError::Upload(_)))) => {
                Ok(Err(StateReason {
                    code: "InvalidRuntime".into(),
                    text: error.to_string(),
                }))
            }
            Err(error) => Err(error),
        }
    }

    /// Commits a job's outcome; false where another change got ahead.
    pub(super) async fn is_committed(&self, batch: Vec<Write>) -> Result<bool, Error> {
        match self.commit(batch).await {
            Ok(_) => Ok(true),
            Err(store::Error::Conflict(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

async fn run(plane: Weak<Plane>, clock: Clock, subject: Subject, visible: Duration) {
    clock.sleep(visible).await;
    let mut pause = RETRY_FIRST;
    loop {
        let Some(control) = plane.upgrade().map(Control) else {
            return;
        };
        let completed = control.complete(&subject).await;
        if completed.is_ok() && control.0.jobs.end(&subject) {
            return;
        }
        drop(control);
        let Err(error) = completed else {
            clock.sleep(visible).await;
            continue;
        };
        tracing::error!(?subject, %error, ?pause, "a change could not be completed; it is repeated");
        clock.sleep(pause).await;
        pause = RETRY_LAST.min(pause * 2);
    }
}
