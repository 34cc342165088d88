//! Ended queries of Logs Insights with their results.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Timestamp;

/// Ended queries whose results are kept.
const QUERIES_MAX: usize = 64;
/// Cells of all results that are kept.
const CELLS_MAX: usize = 1_000_000;

/// Ended queries, the oldest first; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(in crate::api) struct Queries(
    // A std lock: it is held to add or find a result.
    Arc<Mutex<VecDeque<Arc<Ended>>>>,
);

/// An ended query.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) id: String,
    pub(super) text: String,
    pub(super) group: String,
    pub(super) started: Timestamp,
    pub(super) results: Vec<Vec<(String, String)>>,
    pub(super) matched: usize,
    pub(super) scanned: usize,
    pub(super) bytes_scanned: usize,
}

impl Queries {
    pub(super) fn add(&self, ended: Ended) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push_back(Arc::new(ended));
        let cells = |all: &VecDeque<Arc<Ended>>| all.iter().map(|it| it.cells()).sum::<usize>();
        // The newest is kept, however large it is.
        while all.len() > QUERIES_MAX || all.len() > 1 && cells(&all) > CELLS_MAX {
            all.pop_front();
        }
    }

    pub(super) fn find(&self, id: &str) -> Option<Arc<Ended>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().find(|it| it.id == id).cloned()
    }

    pub(super) fn newest_first(&self) -> Vec<Arc<Ended>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().rev().cloned().collect()
    }
}

impl Ended {
    fn cells(&self) -> usize {
        self.results.iter().map(Vec::len).sum()
    }
}
