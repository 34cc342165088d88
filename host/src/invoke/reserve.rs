//! Reservation of a permit before the invocation that uses it is known, as `tower::Service::poll_ready` does. An ordinary
//! invocation is admitted or throttled at once; only a reservation waits.

use std::sync::Arc;

use super::admit;
use super::live::Deployment;
use super::reservation::Reservation;
use super::snapshot::Snapshot;
use super::target::Target;
use super::{Invoker, Pipeline};

/// Outcome of an attempt to reserve.
enum Attempt {
    Reserved(Reservation),
    /// Waiting cannot help: the invocation itself tells why.
    Hopeless,
    Full(Arc<Deployment>, admit::Error),
}

impl Invoker {
    /// Reserves a permit if one is free. `Err` if the caller can wait for one; `None` if waiting cannot help.
    pub fn try_reserve(&self, target: &Target) -> Result<Option<Reservation>, Full> {
        match self.0.try_reserve(&self.0.live.snapshot(), target) {
            Attempt::Reserved(reservation) => Ok(Some(reservation)),
            Attempt::Hopeless => Ok(None),
            Attempt::Full(..) => Err(Full),
        }
    }

    /// Waits for a permit. `None` if waiting cannot help.
    pub async fn reserve(&self, target: &Target) -> Option<Reservation> {
        self.0.reserve(target).await
    }

    /// Waits until no invocation is in flight.
    pub async fn idle(&self) {
        let account = self.0.live.account();
        let waiting = account.emptied.join();
        loop {
            let emptied = waiting.released();
            if account.in_flight() == 0 {
                return;
            }
            emptied.await;
        }
    }
}

/// No permit is free.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Full;

impl Pipeline {
    fn try_reserve(&self, snapshot: &Snapshot, target: &Target) -> Attempt {
        let Ok((function, version)) = snapshot.resolve(target, &self.clock) else {
            return Attempt::Hopeless;
        };
        if function.reserved == Some(0) {
            return Attempt::Hopeless;
        }
        let deployment = self.live.deployment(&version);
        let shares = snapshot.shares(&function);
        match deployment.gate.enter(shares, &deployment.provisioning) {
            Ok(permit) => Attempt::Reserved(Reservation {
                version,
                deployment,
                permit,
            }),
            Err(error) => Attempt::Full(deployment, error),
        }
    }

    async fn reserve(&self, target: &Target) -> Option<Reservation> {
        let mut snapshots = self.live.snapshots();
        loop {
            let snapshot = Arc::clone(&snapshots.borrow_and_update());
            let (full, error) = match self.try_reserve(&snapshot, target) {
                Attempt::Reserved(reservation) => return Some(reservation),
                Attempt::Hopeless => return None,
                Attempt::Full(deployment, error) => (deployment, error),
            };
            let released = match error {
                admit::Error::Reserved => &full.gate.released,
                admit::Error::Account => &full.gate.account.released,
            };
            let waiting = released.join();
            let next = waiting.released();
            // A permit may have been released before this caller counted as waiting.
            match self.try_reserve(&snapshot, target) {
                Attempt::Reserved(reservation) => return Some(reservation),
                Attempt::Hopeless => return None,
                Attempt::Full(_, again) if again != error => continue,
                Attempt::Full(..) => {}
            }
            tokio::select! {
                () = next => match self.try_reserve(&snapshot, target) {
                    Attempt::Reserved(reservation) => return Some(reservation),
                    // Another caller was faster.
                    Attempt::Full(_, again) if again == error => {}
                    // The released permit is of use to other callers: this one needs more, or no longer waits.
                    Attempt::Hopeless | Attempt::Full(..) => waiting.pass_on(),
                },
                changed = snapshots.changed() => if changed.is_err() { return None },
            }
        }
    }
}
