//! Guards on library content. Content that is not in a record yet, or is used by a loaded program
//! or an environment, is held; collection never deletes held content.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Digest;

/// Guards of a library.
#[derive(Clone, Debug, Default)]
pub(super) struct Holds(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    held: HashMap<Digest, Held>,
    /// Content held at any time since the collection began: a record that the collection has not
    /// read may name it now.
    touched: HashSet<Digest>,
}

#[derive(Debug)]
struct Held {
    count: u32,
    /// Single permit: serializes creation and deletion of a digest's files.
    turn: Arc<Semaphore>,
}

/// Guard on the content of a digest.
#[derive(Debug)]
pub(super) struct Hold {
    digest: Digest,
    turn: Arc<Semaphore>,
    holds: Holds,
}

/// Exclusive right to delete the content of a digest. New guards wait until it is dropped.
#[derive(Debug)]
pub(super) struct Doom {
    // Field order matters: a guard that waits for the turn keeps the entry alive.
    _turn: OwnedSemaphorePermit,
    _hold: Hold,
}

impl Holds {
    /// Guards content, present or not. Waits for a creation or deletion in progress, so that a
    /// look-up afterwards is stable.
    pub(super) async fn hold(&self, digest: Digest) -> Hold {
        let hold = {
            let mut state = self.lock();
            state.touched.insert(digest);
            self.counted(&mut state, digest)
        };
        drop(hold.turn().await);
        hold
    }

    /// Starts a collection: only content not held from now on may be deleted.
    pub(super) fn begin_collection(&self) {
        let mut state = self.lock();
        state.touched = state.held.keys().copied().collect();
    }

    /// Right to delete content, unless it was held since the collection began.
    pub(super) fn doom(&self, digest: Digest) -> Option<Doom> {
        let mut state = self.lock();
        if state.touched.contains(&digest) || state.held.contains_key(&digest) {
            return None;
        }
        let hold = self.counted(&mut state, digest);
        let turn = Arc::clone(&hold.turn).try_acquire_owned();
        Some(Doom {
            _turn: turn.expect("nothing else has this new semaphore"),
            _hold: hold,
        })
    }

    fn counted(&self, state: &mut State, digest: Digest) -> Hold {
        let held = state.held.entry(digest).or_insert_with(|| Held {
            count: 0,
            turn: Arc::new(Semaphore::new(1)),
        });
        held.count += 1;
        Hold {
            digest,
            turn: Arc::clone(&held.turn),
            holds: self.clone(),
        }
    }

    // std mutex: held for a few map operations, without await or I/O.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hold {
    pub(super) fn digest(&self) -> Digest {
        self.digest
    }

    /// Serializes the creation of this content.
    pub(super) async fn turn(&self) -> OwnedSemaphorePermit {
        let turn = Arc::clone(&self.turn).acquire_owned().await;
        turn.expect("the semaphore is never closed")
    }
}

impl Clone for Hold {
    fn clone(&self) -> Self {
        self.holds.counted(&mut self.holds.lock(), self.digest)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut state = self.holds.lock();
        if let Some(held) = state.held.get_mut(&self.digest) {
            held.count -= 1;
            if held.count == 0 {
                state.held.remove(&self.digest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn hold(holds: &Holds, digest: Digest) -> Hold {
        holds.hold(digest).now_or_never().unwrap()
    }

    #[test]
    fn work_on_one_digest_is_serialized() {
        let holds = Holds::default();
        let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
        let (first, second, apart) = (hold(&holds, one), hold(&holds, one), hold(&holds, other));
        let turn = first.turn().now_or_never().unwrap();
        assert!(apart.turn().now_or_never().is_some());
        assert!(second.turn().now_or_never().is_none());
        assert!(holds.hold(one).now_or_never().is_none());
        drop(turn);
        assert!(second.turn().now_or_never().is_some());
        drop((first, second, apart));
        assert!(holds.lock().held.is_empty());
    }

    #[test]
    fn content_held_since_collection_began_is_kept() {
        let holds = Holds::default();
        let digest = Digest::of(b"x");
        let held = hold(&holds, digest);
        holds.begin_collection();
        assert!(holds.doom(digest).is_none());
        let again = held.clone();
        drop(held);
        drop(again);
        // A record may name it by now.
        assert!(holds.doom(digest).is_none());
        holds.begin_collection();
        drop(hold(&holds, digest));
        assert!(holds.doom(digest).is_none());
        holds.begin_collection();
        assert!(holds.doom(digest).is_some());
    }

    #[tokio::test]
    async fn new_guard_waits_for_deletion() {
        let holds = Holds::default();
        let digest = Digest::of(b"x");
        let doom = holds.doom(digest).unwrap();
        let mut waiting = Box::pin(holds.hold(digest));
        assert!((&mut waiting).now_or_never().is_none());
        drop(doom);
        drop(waiting.await);
        assert!(holds.lock().held.is_empty());
    }
}
