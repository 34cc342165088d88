//! In-memory queue: the contract in its plainest form, for tests.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use super::{Change, Claim, Item, ItemBody, ItemId, Lane, Queue, Wake};
use crate::clock::Timestamp;
use crate::store::Error;
use crate::store::blob::Digest;

/// Bodies beyond this are files in the store on disk.
const INLINE_BYTES_MAX: usize = 16 << 10;

/// In-memory queue.
#[derive(Debug, Default)]
pub struct Memory {
    state: Mutex<State>,
    wake: OnceLock<Arc<dyn Wake>>,
}

#[derive(Debug, Default)]
struct State {
    items: BTreeMap<(Lane, Timestamp, ItemId), Item>,
    files: HashMap<Digest, Bytes>,
    claimed: HashSet<ItemId>,
    last: u64,
    /// True while every write fails as on a full disk.
    is_full: bool,
    /// Bodies with this text cannot be read.
    damaged: Option<&'static str>,
}

impl Memory {
    /// Makes bodies with this text unreadable, or all readable again.
    pub fn set_damaged(&self, text: Option<&'static str>) {
        self.lock().damaged = text;
    }

    /// Makes additions fail as on a full disk, or succeed again.
    pub fn set_full(&self, is_full: bool) {
        self.lock().is_full = is_full;
    }

    /// Ends all claims, as a restart of the process does.
    pub fn restart(&self) -> Self {
        let state = self.lock();
        let items = state.items.clone();
        let (files, last) = (state.files.clone(), state.last);
        Self {
            state: Mutex::new(State {
                items,
                files,
                last,
                ..State::default()
            }),
            wake: OnceLock::new(),
        }
    }

    // std mutex: no await inside the critical section.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remove(&mut self, id: ItemId) -> Option<Item> {
        let key = self.items.keys().find(|(_, _, it)| *it == id).cloned();
        key.and_then(|key| self.items.remove(&key))
    }

    fn insert(&mut self, item: Item, woken: &mut Vec<(Lane, Timestamp)>) {
        woken.push((Arc::clone(&item.lane), item.due));
        let key = (Arc::clone(&item.lane), item.due, item.id);
        self.items.insert(key, item);
    }

    fn body(&mut self, bytes: Bytes) -> ItemBody {
        if bytes.len() <= INLINE_BYTES_MAX {
            return ItemBody::Inline(bytes);
        }
        let digest = Digest::of(&bytes);
        let size_bytes = u64::try_from(bytes.len()).expect("a length fits in 64 bits");
        self.files.insert(digest, bytes);
        ItemBody::File { digest, size_bytes }
    }

    fn apply(&mut self, change: Change, woken: &mut Vec<(Lane, Timestamp)>) {
        match change {
            Change::Add(new) => {
                self.last += 1;
                let body = self.body(new.body);
                let item = Item {
                    id: ItemId(self.last),
                    lane: new.lane,
                    due: new.due,
                    head: new.head,
                    body,
                };
                self.insert(item, woken);
            }
            Change::End(id) => {
                self.remove(id);
                self.claimed.remove(&id);
            }
            Change::Delay { id, due, head } => {
                if let Some(item) = self.remove(id) {
                    self.insert(Item { due, head, ..item }, woken);
                }
                self.claimed.remove(&id);
            }
        }
    }
}

#[async_trait]
impl Queue for Memory {
    async fn change(&self, changes: Vec<Change>) -> Result<(), Error> {
        // As a commit does, it takes more than one poll.
        tokio::task::yield_now().await;
        let mut woken = Vec::new();
        {
            let mut state = self.lock();
            if state.is_full && changes.iter().any(|it| matches!(it, Change::Add(_))) {
                return Err(Error::Full);
            }
            for change in changes {
                state.apply(change, &mut woken);
            }
        }
        if let Some(wake) = self.wake.get() {
            wake.wake(&woken);
        }
        Ok(())
    }

    async fn claim(&self, lane: &Lane, now: Timestamp, limit: usize) -> Result<Claim, Error> {
        let mut state = self.lock();
        let State { items, claimed, .. } = &mut *state;
        let own = items
            .values()
            .filter(|item| item.lane == *lane && !claimed.contains(&item.id));
        let mut claim = Claim::default();
        let mut taken = Vec::new();
        for item in own {
            if item.due > now || claim.items.len() == limit {
                claim.next_due = Some(item.due);
                break;
            }
            taken.push(item.id);
            claim.items.push(item.clone());
        }
        claimed.extend(taken);
        Ok(claim)
    }

    fn release(&self, item: &Item) {
        self.lock().claimed.remove(&item.id);
    }

    async fn body(&self, item: &Item) -> Result<Bytes, Error> {
        let state = self.lock();
        let bytes = match &item.body {
            ItemBody::Inline(bytes) => Some(bytes.clone()),
            ItemBody::File { digest, .. } => state.files.get(digest).cloned(),
        };
        let is_damaged = |bytes: &Bytes| {
            let contains = |text| String::from_utf8_lossy(bytes).contains(text);
            state.damaged.is_some_and(contains)
        };
        let found = bytes.filter(|bytes| !is_damaged(bytes));
        found.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::NotFound).into())
    }

    async fn list(
        &self,
        lane: &Lane,
        after: Option<(Timestamp, ItemId)>,
        limit: usize,
    ) -> Result<Vec<Item>, Error> {
        let state = self.lock();
        let own = state.items.values().filter(|item| item.lane == *lane);
        let own = own.filter(|item| after.is_none_or(|after| (item.due, item.id) > after));
        Ok(own.take(limit).cloned().collect())
    }

    async fn last(&self) -> Result<ItemId, Error> {
        Ok(ItemId(self.lock().last))
    }

    async fn purge(&self, lane: &Lane, last: ItemId, limit: usize) -> Result<u64, Error> {
        let mut state = self.lock();
        let keys = state.items.keys();
        let own = keys.filter(|(own, _, id)| own == lane && *id <= last);
        let own: Vec<_> = own.take(limit).cloned().collect();
        for key in &own {
            state.items.remove(key);
        }
        Ok(u64::try_from(own.len()).expect("a length fits in 64 bits"))
    }

    async fn sweep(&self) -> Result<(), Error> {
        Ok(())
    }

    fn depths(&self) -> Vec<(Lane, u64)> {
        let mut depths: BTreeMap<Lane, u64> = BTreeMap::new();
        for (lane, ..) in self.lock().items.keys() {
            *depths.entry(Arc::clone(lane)).or_default() += 1;
        }
        depths.into_iter().collect()
    }

    fn on_change(&self, wake: Arc<dyn Wake>) {
        // Only the first receiver counts.
        let _ = self.wake.set(wake);
    }
}
