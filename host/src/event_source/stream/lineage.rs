//! Order of shards: one that came of a split or a merge is read after those that it came of. Pure.

use std::collections::HashSet;
use std::sync::Arc;

/// A shard, as the stream lists it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Shard {
    pub(super) id: Arc<str>,
    pub(super) parents: Vec<Arc<str>>,
    /// True if it gets no more records.
    pub(super) is_closed: bool,
}

/// Shards that can be read now: not finished, and all of their parents are. A parent that is not listed has expired.
pub(super) fn readable<'a>(
    shards: &'a [Shard],
    finished: &'a HashSet<Arc<str>>,
) -> impl Iterator<Item = &'a Shard> {
    let listed: HashSet<&Arc<str>> = shards.iter().map(|it| &it.id).collect();
    shards.iter().filter(move |shard| {
        let waits = |parent: &Arc<str>| listed.contains(parent) && !finished.contains(parent);
        !finished.contains(&shard.id) && !shard.parents.iter().any(waits)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(id: &str, parents: &[&str]) -> Shard {
        Shard {
            id: id.into(),
            parents: parents.iter().map(|it| Arc::from(*it)).collect(),
            is_closed: false,
        }
    }

    #[test]
    fn children_are_read_after_their_parents() {
        // `a` was split into `b` and `c`, which were merged into `d`; the parent of `e` has expired.
        let shards = [
            shard("a", &[]),
            shard("b", &["a"]),
            shard("c", &["a"]),
            shard("d", &["b", "c"]),
            shard("e", &["gone"]),
        ];
        for (finished, expected) in [
            (vec![], vec!["a", "e"]),
            (vec!["a"], vec!["b", "c", "e"]),
            (vec!["a", "b"], vec!["c", "e"]),
            (vec!["a", "b", "c", "e"], vec!["d"]),
        ] {
            let finished: HashSet<Arc<str>> = finished.into_iter().map(Arc::from).collect();
            let found: Vec<_> = readable(&shards, &finished).map(|it| &*it.id).collect();
            assert_eq!(found, expected);
        }
    }
}
