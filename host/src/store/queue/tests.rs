//! Contract tests of `Queue`, for every implementation, and a state machine against the model.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use proptest::prelude::*;

use super::memory::Memory;
use super::*;
use crate::store::sqlite::Sqlite;

const LARGE_BYTES: usize = 100_000;

fn lane(name: &str) -> Lane {
    name.into()
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn add(name: &str, due: u64, body: &str) -> Change {
    Change::Add(NewItem {
        lane: lane(name),
        due: at(due),
        head: Bytes::from_static(b"head"),
        body: Bytes::copy_from_slice(body.as_bytes()),
    })
}

async fn bodies(queue: &dyn Queue, items: &[Item]) -> Vec<String> {
    let mut found = Vec::new();
    for item in items {
        let body = queue.body(item).await.unwrap();
        found.push(String::from_utf8(body.into()).unwrap());
    }
    found
}

/// Deletes items that are there now.
async fn purge(queue: &dyn Queue, name: &str, limit: usize) -> Result<u64, Error> {
    let last = queue.last().await?;
    queue.purge(&lane(name), last, limit).await
}

/// Receiver that notes what it gets.
#[derive(Debug, Default)]
struct Woken(Mutex<Vec<(Lane, Timestamp)>>);

impl Wake for Woken {
    fn wake(&self, lanes: &[(Lane, Timestamp)]) {
        let mut woken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        woken.extend_from_slice(lanes);
    }
}

impl Woken {
    fn take(&self) -> Vec<(Lane, Timestamp)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn assert_contract(queue: &dyn Queue) {
    let woken = Arc::new(Woken::default());
    queue.on_change(Arc::clone(&woken) as Arc<dyn Wake>);
    let a = lane("a");
    for body in ["1", "2", "3"] {
        queue.change(vec![add("a", 10, body)]).await.unwrap();
    }
    queue
        .change(vec![add("a", 5, "0"), add("b", 30, "b")])
        .await
        .unwrap();
    let mut first = woken.take();
    first.sort();
    let due = |name: &str, millis| (lane(name), at(millis));
    let expected = [5, 10, 10, 10].map(|millis| due("a", millis));
    assert_eq!(first[..4], expected);
    assert_eq!(first[4], due("b", 30));

    // Nothing before its time; then the longest due, and no item twice.
    let early = queue.claim(&a, at(4), 9).await.unwrap();
    assert_eq!((early.items.len(), early.next_due), (0, Some(at(5))));
    let some = queue.claim(&a, at(20), 3).await.unwrap();
    assert_eq!(bodies(queue, &some.items).await, ["0", "1", "2"]);
    assert_eq!(some.next_due, Some(at(10)));
    let rest = queue.claim(&a, at(20), 9).await.unwrap();
    assert_eq!(bodies(queue, &rest.items).await, ["3"]);
    assert_eq!(rest.next_due, None);

    // A released item is claimed again, an ended one never, a delayed one when it is due.
    let [zero, one, two] = &some.items[..] else {
        panic!("three items were claimed");
    };
    queue.release(two);
    let delay = Change::Delay {
        id: one.id,
        due: at(60),
        head: Bytes::from_static(b"other"),
    };
    queue
        .change(vec![Change::End(zero.id), delay])
        .await
        .unwrap();
    assert_eq!(woken.take(), [due("a", 60)]);
    let again = queue.claim(&a, at(59), 9).await.unwrap();
    assert_eq!(bodies(queue, &again.items).await, ["2"]);
    assert_eq!(again.next_due, Some(at(60)));
    let delayed = queue.claim(&a, at(60), 9).await.unwrap();
    assert_eq!(bodies(queue, &delayed.items).await, ["1"]);
    assert_eq!(&delayed.items[0].head[..], b"other");

    // Lists and depths include claimed items.
    let mut depths = queue.depths();
    depths.sort();
    assert_eq!(depths, [(lane("a"), 3), (lane("b"), 1)]);
    let listed = queue.list(&a, None, 2).await.unwrap();
    assert_eq!(bodies(queue, &listed).await, ["2", "3"]);
    let after = Some((listed[1].due, listed[1].id));
    let listed = queue.list(&a, after, 2).await.unwrap();
    assert_eq!(bodies(queue, &listed).await, ["1"]);

    // Neither the purge of an empty lane nor the end of an item that is gone is an error.
    let last = queue.last().await.unwrap();
    assert_eq!(queue.purge(&lane("none"), last, 2).await.unwrap(), 0);
    // It comes after the purge has begun, and stays.
    queue.change(vec![add("a", 1, "late")]).await.unwrap();
    assert_eq!(queue.purge(&a, last, 2).await.unwrap(), 2);
    assert_eq!(queue.purge(&a, last, 2).await.unwrap(), 1);
    assert_eq!(queue.purge(&a, last, 2).await.unwrap(), 0);
    let late = queue.list(&a, None, 9).await.unwrap();
    assert_eq!(bodies(queue, &late).await, ["late"]);
    assert_eq!(queue.purge(&a, late[0].id, 2).await.unwrap(), 1);
    assert_eq!(queue.depths(), [(lane("b"), 1)]);
    let gone = delayed.items[0].id;
    queue.change(vec![Change::End(gone)]).await.unwrap();
}

#[tokio::test]
async fn memory_queue_satisfies_contract() {
    assert_contract(&Memory::default()).await;
}

#[tokio::test]
async fn sqlite_queue_satisfies_contract() {
    let dir = tempfile::tempdir().unwrap();
    assert_contract(&Sqlite::open(dir.path()).unwrap()).await;
}

#[tokio::test]
async fn claimed_items_are_claimed_again_after_restart() {
    let dir = tempfile::tempdir().unwrap();
    let sqlite = Sqlite::open(dir.path()).unwrap();
    let large = "x".repeat(LARGE_BYTES);
    for body in ["0", "1", &large] {
        sqlite.change(vec![add("a", 1, body)]).await.unwrap();
    }
    let claimed = sqlite.claim(&lane("a"), at(1), 9).await.unwrap();
    sqlite
        .change(vec![Change::End(claimed.items[0].id)])
        .await
        .unwrap();
    drop(sqlite);
    let sqlite = Sqlite::open(dir.path()).unwrap();
    assert_eq!(sqlite.depths(), [(lane("a"), 2)]);
    let claimed = sqlite.claim(&lane("a"), at(1), 9).await.unwrap();
    assert_eq!(bodies(&sqlite, &claimed.items).await, ["1", &large]);
}

#[tokio::test]
async fn file_of_large_body_goes_with_its_item() {
    let dir = tempfile::tempdir().unwrap();
    let files = || {
        std::fs::read_dir(dir.path().join("events"))
            .unwrap()
            .count()
    };
    let sqlite = Sqlite::open(dir.path()).unwrap();
    let large = "x".repeat(LARGE_BYTES);
    // Equal bodies are files of their own.
    for _ in 0..3 {
        sqlite.change(vec![add("a", 1, &large)]).await.unwrap();
    }
    assert_eq!(files(), 3);
    let claimed = sqlite.claim(&lane("a"), at(1), 1).await.unwrap();
    sqlite
        .change(vec![Change::End(claimed.items[0].id)])
        .await
        .unwrap();
    assert_eq!(files(), 2);
    let claimed = sqlite.claim(&lane("a"), at(1), 9).await.unwrap();
    assert_eq!(bodies(&sqlite, &claimed.items).await, [&*large, &*large]);
    assert_eq!(purge(&sqlite, "a", 1).await.unwrap(), 1);
    assert_eq!(files(), 1);
    drop(sqlite);
    // Left by a crash between its write and the commit of its item.
    std::fs::write(dir.path().join("events").join("0".repeat(64)), "x").unwrap();
    let sqlite = Sqlite::open(dir.path()).unwrap();
    assert_eq!(files(), 2);
    sqlite.sweep().await.unwrap();
    assert_eq!(files(), 1);
    let claimed = sqlite.claim(&lane("a"), at(1), 9).await.unwrap();
    assert_eq!(bodies(&sqlite, &claimed.items).await, [large]);
}

#[tokio::test]
async fn newest_id_is_not_given_again_while_its_claim_may_end() {
    let dir = tempfile::tempdir().unwrap();
    let sqlite = Sqlite::open(dir.path()).unwrap();
    sqlite.change(vec![add("a", 1, "old")]).await.unwrap();
    let old = sqlite.claim(&lane("a"), at(1), 1).await.unwrap().items;
    purge(&sqlite, "a", 1).await.unwrap();
    sqlite.change(vec![add("a", 1, "new")]).await.unwrap();
    // The claim of the purged item ends only now.
    sqlite.change(vec![Change::End(old[0].id)]).await.unwrap();
    let new = sqlite.claim(&lane("a"), at(1), 1).await.unwrap().items;
    assert_eq!(bodies(&sqlite, &new).await, ["new"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn item_is_claimed_once_while_others_end() {
    const ITEMS: usize = 400;
    let dir = tempfile::tempdir().unwrap();
    let sqlite = Arc::new(Sqlite::open(dir.path()).unwrap());
    let adds = (0..ITEMS).map(|number| add("a", 1, &number.to_string()));
    sqlite.change(adds.collect()).await.unwrap();
    let workers = (0..4).map(|_| {
        let sqlite = Arc::clone(&sqlite);
        tokio::spawn(async move {
            let mut own = Vec::new();
            loop {
                let claim = sqlite.claim(&lane("a"), at(1), 3).await.unwrap();
                if claim.items.is_empty() {
                    return own;
                }
                own.extend(bodies(&*sqlite, &claim.items).await);
                let ends = claim.items.iter().map(|item| Change::End(item.id));
                sqlite.change(ends.collect()).await.unwrap();
            }
        })
    });
    let mut all = Vec::new();
    for worker in workers.collect::<Vec<_>>() {
        all.extend(worker.await.unwrap());
    }
    all.sort();
    let mut expected: Vec<_> = (0..ITEMS).map(|number| number.to_string()).collect();
    expected.sort();
    assert_eq!(all, expected);
    assert_eq!(sqlite.depths(), []);
}

/// A step of a random history.
#[derive(Clone, Debug)]
enum Step {
    Add(&'static str, u64, bool),
    Claim(&'static str, u64, usize),
    /// Of the claimed items, by position.
    End(usize),
    Delay(usize, u64),
    Release(usize),
    /// An end and an addition in one commit, as of an event with a destination.
    Replace(usize, &'static str, u64),
    Purge(&'static str, usize),
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let name = || prop_oneof![Just("a"), Just("b"), Just("a:1")];
    let due = || 0u64..8;
    let step = prop_oneof![
        6 => (name(), due(), prop::bool::weighted(0.1)).prop_map(|(n, d, l)| Step::Add(n, d, l)),
        5 => (name(), due(), 1usize..4).prop_map(|(n, d, l)| Step::Claim(n, d, l)),
        3 => (0usize..4).prop_map(Step::End),
        2 => (0usize..4, due()).prop_map(|(i, d)| Step::Delay(i, d)),
        2 => (0usize..4).prop_map(Step::Release),
        1 => (0usize..4, name(), due()).prop_map(|(i, n, d)| Step::Replace(i, n, d)),
        1 => (name(), 1usize..3).prop_map(|(n, l)| Step::Purge(n, l)),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..40)
}

/// An item without its id, whose numbers differ after a restart.
type Seen = (Lane, Timestamp, Bytes, String);

async fn seen(queue: &dyn Queue, items: &[Item]) -> Vec<Seen> {
    let bodies = bodies(queue, items).await;
    let all = items.iter().zip(bodies);
    all.map(|(item, body)| (Arc::clone(&item.lane), item.due, item.head.clone(), body))
        .collect()
}

/// Runs a step on one implementation, whose claims are given; returns all that can be seen of it.
async fn run(
    queue: &dyn Queue,
    claims: &mut Vec<Item>,
    step: &Step,
    number: usize,
) -> (Vec<Seen>, Option<Timestamp>, u64) {
    let body = |is_large: bool| {
        format!(
            "{number:>width$}",
            width = if is_large { 20_000 } else { 1 }
        )
    };
    let mut claimed = |index: usize| {
        let count = claims.len();
        (count > 0).then(|| claims.remove(index % count))
    };
    let changes = match step {
        Step::Add(name, due, is_large) => vec![add(name, *due, &body(*is_large))],
        Step::End(index) => claimed(*index)
            .map(|item| Change::End(item.id))
            .into_iter()
            .collect(),
        Step::Delay(index, due) => claimed(*index)
            .map(|item| Change::Delay {
                id: item.id,
                due: at(*due),
                head: format!("delayed {number}").into(),
            })
            .into_iter()
            .collect(),
        Step::Replace(index, name, due) => match claimed(*index) {
            Some(item) => vec![Change::End(item.id), add(name, *due, &body(false))],
            None => Vec::new(),
        },
        Step::Claim(name, now, limit) => {
            let claim = queue.claim(&lane(name), at(*now), *limit).await.unwrap();
            let seen = seen(queue, &claim.items).await;
            claims.extend(claim.items);
            return (seen, claim.next_due, 0);
        }
        Step::Purge(name, limit) => {
            let deleted = purge(queue, name, *limit).await.unwrap();
            return (Vec::new(), None, deleted);
        }
        Step::Release(index) => {
            if let Some(item) = claimed(*index) {
                queue.release(&item);
            }
            Vec::new()
        }
        Step::Restart => {
            claims.clear();
            Vec::new()
        }
    };
    queue.change(changes).await.unwrap();
    (Vec::new(), None, 0)
}

fn depths(queue: &dyn Queue) -> BTreeMap<Lane, u64> {
    queue.depths().into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn sqlite_queue_behaves_like_model(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        runtime.block_on(async {
            let open = || Some(Sqlite::open(dir.path()).unwrap());
            let (mut own, mut model) = (open(), Memory::default());
            let (mut own_claims, mut model_claims) = (Vec::new(), Vec::new());
            for (number, step) in steps.iter().enumerate() {
                if matches!(step, Step::Restart) {
                    // The lock of the directory is free only once the first is closed.
                    drop(own.take());
                    own = open();
                    model = model.restart();
                }
                let sqlite = own.as_ref().unwrap();
                let one = run(sqlite, &mut own_claims, step, number).await;
                let two = run(&model, &mut model_claims, step, number).await;
                assert_eq!(one, two, "{step:?}");
                assert_eq!(depths(sqlite), depths(&model), "{step:?}");
            }
            let sqlite = own.unwrap();
            for name in ["a", "b", "a:1"] {
                let one = sqlite.list(&lane(name), None, 99).await.unwrap();
                let two = model.list(&lane(name), None, 99).await.unwrap();
                assert_eq!(seen(&sqlite, &one).await, seen(&model, &two).await);
            }
        });
    }
}
