//! The account's code storage: the size of every package that a function, a version or a layer has. AWS
//! counts a package as often as something has it, and so does this; the disk holds it once.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Control, Error};

/// The account's code storage is used up.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error(
    "Code storage limit exceeded. The limit is {max} bytes, and {used} are in use. Delete functions, versions \
     or layers that are not needed any more."
)]
pub struct CodeStorageError {
    max: u64,
    used: u64,
}

/// A bound on the bytes in use, kept so that they are counted only when the limit is near. Deleting
/// something does not lower it.
#[derive(Debug, Default)]
pub(super) struct CodeStorage(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// None before they were counted once.
    bytes_at_most: Option<u64>,
    /// Bytes that were granted, and that records may not name yet.
    granted: u64,
}

/// Bytes that were granted. Drop it when the record that uses them is written, or is not going to be.
#[derive(Debug)]
pub(super) struct Granted {
    control: Control,
    bytes: u64,
}

impl State {
    fn grant(&mut self, bytes: u64, max: u64) -> bool {
        let Some(at_most) = self.bytes_at_most else {
            return false;
        };
        let fits = at_most.saturating_add(bytes) <= max;
        if fits {
            self.bytes_at_most = Some(at_most + bytes);
            self.granted += bytes;
        }
        fits
    }
}

impl CodeStorage {
    // A std mutex: nothing awaits inside.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
impl CodeStorage {
    /// Bytes of grants that are in use.
    pub(super) fn granted(&self) -> u64 {
        self.lock().granted
    }
}

impl Control {
    /// The limit on the account's code storage.
    pub fn code_bytes_max(&self) -> u64 {
        self.0.config.code_bytes_max
    }

    /// Grants so many bytes of code storage, in place of `replaced` bytes that are in use now.
    ///
    /// # Errors
    /// Where the account has no more, or the store fails.
    pub(super) async fn grant_code_bytes(
        &self,
        added: u64,
        replaced: u64,
    ) -> Result<Granted, Error> {
        let (storage, max) = (&self.0.code_storage, self.code_bytes_max());
        let granted = || Granted {
            control: self.clone(),
            bytes: added,
        };
        let before = {
            let mut state = storage.lock();
            if state.grant(added, max) {
                return Ok(granted());
            }
            state.granted
        };
        let used = self.usage().await?.code_bytes;
        let mut state = storage.lock();
        // A grant of before or during the count may be in it or not: it is counted, so that the limit
        // holds. Near the limit, requests at the same time may be refused too many.
        let at_most = used.saturating_add(before).saturating_add(state.granted);
        state.bytes_at_most = Some(at_most.saturating_sub(replaced));
        let fits = state.grant(added, max);
        // Replaced bytes count until the record is written.
        state.bytes_at_most = state.bytes_at_most.map(|bytes| bytes + replaced);
        if fits {
            return Ok(granted());
        }
        Err(CodeStorageError { max, used }.into())
    }
}

impl Drop for Granted {
    fn drop(&mut self) {
        self.control.0.code_storage.lock().granted -= self.bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_granted_up_to_the_limit() {
        let mut state = State::default();
        assert!(!state.grant(0, 10), "nothing was counted yet");
        state.bytes_at_most = Some(4);
        assert!(state.grant(5, 10));
        assert!(state.grant(1, 10));
        assert!(!state.grant(1, 10));
        assert_eq!((state.bytes_at_most, state.granted), (Some(10), 6));
    }
}
