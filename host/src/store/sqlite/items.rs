//! Rows of the queue: their changes within a group commit, and the claims of this process.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rusqlite::{Connection, OptionalExtension, Row as Found, Transaction, params};

use super::bodies::NewFile;
use crate::clock::Timestamp;
use crate::store::blob::Digest;
use crate::store::queue::{Claim, Item, ItemBody, ItemId, Lane, Wake};

/// A change of the table of items. Files of large bodies are complete before.
#[derive(Debug)]
pub(super) enum Row {
    Add {
        lane: Lane,
        due: Timestamp,
        head: bytes::Bytes,
        body: NewBody,
    },
    End(ItemId),
    Delay {
        id: ItemId,
        due: Timestamp,
        head: bytes::Bytes,
    },
    Purge {
        lane: Lane,
        last: ItemId,
        limit: usize,
    },
}

/// Body of a new item.
#[derive(Debug)]
pub(super) enum NewBody {
    Inline(bytes::Bytes),
    File(NewFile),
}

impl Row {
    /// Keeps the file of a new item.
    pub(super) fn keep_file(&self) {
        if let Self::Add {
            body: NewBody::File(file),
            ..
        } = self
        {
            file.keep();
        }
    }
}

/// Effect of committed changes.
#[derive(Debug, Default)]
pub(super) struct Effect {
    /// Files that no item has any more.
    pub(super) files: Vec<Digest>,
    /// Number of items deleted.
    pub(super) deleted: u64,
}

/// The writer's view of the table.
#[derive(Debug)]
pub(super) struct Items {
    /// Not SQLite's own numbering, which gives a number again once the newest row is deleted: a claim that ends
    /// later would end another item's.
    last_id: i64,
}

/// Effects of a group on lanes.
#[derive(Debug, Default)]
pub(super) struct Moves {
    depths: HashMap<Lane, i64>,
    due: HashMap<Lane, Timestamp>,
    ended: Vec<ItemId>,
}

/// State of the queue that the writer shares with readers.
#[derive(Debug, Default)]
pub(super) struct Shared {
    // std mutexes: no await inside. `claims` is locked during queries, on threads that may block, and `ended`
    // for a push only.
    depths: Mutex<HashMap<Lane, u64>>,
    claims: Mutex<HashSet<i64>>,
    ended: Mutex<Vec<ItemId>>,
    wake: OnceLock<Arc<dyn Wake>>,
}

impl Items {
    pub(super) fn open(connection: &Connection) -> rusqlite::Result<Self> {
        let last_id = last(connection)?.0.cast_signed();
        Ok(Self { last_id })
    }

    pub(super) fn apply(
        &mut self,
        transaction: &Transaction<'_>,
        rows: &[Row],
        moves: &mut Moves,
    ) -> rusqlite::Result<Effect> {
        let mut effect = Effect::default();
        for row in rows {
            match row {
                Row::Add {
                    lane,
                    due,
                    head,
                    body,
                } => {
                    self.add(transaction, lane, *due, head, body)?;
                    moves.add(lane, 1);
                    moves.wake(lane, *due);
                }
                Row::End(id) => {
                    end(transaction, *id, moves, &mut effect)?;
                    moves.ended.push(*id);
                }
                Row::Delay { id, due, head } => {
                    delay(transaction, *id, *due, head, moves)?;
                    moves.ended.push(*id);
                }
                Row::Purge { lane, last, limit } => {
                    purge(transaction, lane, (*last, *limit), moves, &mut effect)?;
                }
            }
        }
        Ok(effect)
    }

    fn add(
        &mut self,
        transaction: &Transaction<'_>,
        lane: &Lane,
        due: Timestamp,
        head: &[u8],
        body: &NewBody,
    ) -> rusqlite::Result<()> {
        let mut add = transaction.prepare_cached(
            "INSERT INTO items (id, lane, due, head, body, file, size) VALUES (?, ?, ?, ?, ?, ?, ?)",
        )?;
        self.last_id += 1;
        let (bytes, file, size) = match body {
            NewBody::Inline(bytes) => (&bytes[..], None, bytes.len() as u64),
            NewBody::File(file) => (&[][..], Some(file.digest.to_string()), file.size_bytes),
        };
        let (id, due, size) = (self.last_id, millis(due), size.cast_signed());
        add.execute(params![id, &**lane, due, head, bytes, file, size])?;
        Ok(())
    }
}

fn end(
    transaction: &Transaction<'_>,
    id: ItemId,
    moves: &mut Moves,
    effect: &mut Effect,
) -> rusqlite::Result<()> {
    let mut delete =
        transaction.prepare_cached("DELETE FROM items WHERE id = ? RETURNING lane, file")?;
    let deleted = delete.query_row([id.0.cast_signed()], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?))
    });
    if let Some((lane, file)) = deleted.optional()? {
        moves.add(&lane.into(), -1);
        effect.deleted += 1;
        effect.files.extend(digest(file));
    }
    Ok(())
}

fn delay(
    transaction: &Transaction<'_>,
    id: ItemId,
    due: Timestamp,
    head: &[u8],
    moves: &mut Moves,
) -> rusqlite::Result<()> {
    let mut update = transaction
        .prepare_cached("UPDATE items SET due = ?, head = ? WHERE id = ? RETURNING lane")?;
    let lane = update.query_row(params![millis(due), head, id.0.cast_signed()], |row| {
        row.get::<_, String>(0)
    });
    if let Some(lane) = lane.optional()? {
        moves.wake(&lane.into(), due);
    }
    Ok(())
}

fn purge(
    transaction: &Transaction<'_>,
    lane: &Lane,
    (last, limit): (ItemId, usize),
    moves: &mut Moves,
    effect: &mut Effect,
) -> rusqlite::Result<()> {
    let mut delete = transaction.prepare_cached(
        "DELETE FROM items WHERE id IN
             (SELECT id FROM items WHERE lane = ? AND id <= ? ORDER BY due, id LIMIT ?)
         RETURNING file",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let files = delete.query_map(params![&**lane, last.0.cast_signed(), limit], |row| {
        row.get::<_, Option<String>>(0)
    })?;
    let mut deleted: u64 = 0;
    for file in files {
        deleted += 1;
        effect.files.extend(digest(file?));
    }
    moves.add(lane, -deleted.cast_signed());
    effect.deleted += deleted;
    Ok(())
}

/// Growth of the table in bytes. Additions alone are never taken from the reserve of a full disk, however small.
pub(super) fn growth(rows: &[Row]) -> i64 {
    let ends = rows.iter().any(|row| matches!(row, Row::End(_)));
    let added = rows.iter().map(|row| match row {
        Row::Add { head, body, .. } => {
            let inline = match body {
                NewBody::Inline(bytes) => bytes.len(),
                NewBody::File(_) => 0,
            };
            i64::try_from(head.len() + inline).unwrap_or(i64::MAX)
        }
        Row::End(_) | Row::Delay { .. } | Row::Purge { .. } => 0,
    });
    let added: i64 = added.sum();
    if ends || added == 0 { added } else { i64::MAX }
}

impl Moves {
    fn add(&mut self, lane: &Lane, count: i64) {
        *self.depths.entry(Arc::clone(lane)).or_default() += count;
    }

    fn wake(&mut self, lane: &Lane, due: Timestamp) {
        let first = self.due.entry(Arc::clone(lane)).or_insert(due);
        *first = due.min(*first);
    }

    /// Writes the depths of lanes, so that a start with a long queue counts nothing.
    pub(super) fn save(&self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut add = transaction.prepare_cached(
            "INSERT INTO lanes (lane, depth) VALUES (?1, ?2)
             ON CONFLICT (lane) DO UPDATE SET depth = depth + ?2",
        )?;
        let mut clear =
            transaction.prepare_cached("DELETE FROM lanes WHERE lane = ? AND depth <= 0")?;
        for (lane, count) in self.depths.iter().filter(|(_, count)| **count != 0) {
            add.execute(params![&**lane, count])?;
            if *count < 0 {
                clear.execute([&**lane])?;
            }
        }
        Ok(())
    }
}

impl Shared {
    /// Reads the depths of all lanes.
    pub(super) fn open(connection: &Connection) -> rusqlite::Result<Self> {
        let mut query = connection.prepare("SELECT lane, depth FROM lanes")?;
        let lanes = query.query_map([], |row| {
            let (lane, depth): (String, i64) = (row.get(0)?, row.get(1)?);
            Ok((lane.into(), depth.unsigned_abs()))
        })?;
        let depths = lanes.collect::<rusqlite::Result<HashMap<Lane, u64>>>()?;
        Ok(Self {
            depths: Mutex::new(depths),
            ..Self::default()
        })
    }

    pub(super) fn moved(&self, moves: Moves) {
        let mut depths = lock(&self.depths);
        for (lane, count) in moves.depths {
            let depth = depths.get(&lane).copied().unwrap_or_default();
            match depth.saturating_add_signed(count) {
                0 => drop(depths.remove(&lane)),
                depth => drop(depths.insert(lane, depth)),
            }
        }
        drop(depths);
        self.release(moves.ended);
        if let (Some(wake), false) = (self.wake.get(), moves.due.is_empty()) {
            let due: Vec<_> = moves.due.into_iter().collect();
            wake.wake(&due);
        }
    }

    pub(super) fn depths(&self) -> Vec<(Lane, u64)> {
        let depths = lock(&self.depths);
        let all = depths.iter();
        all.map(|(lane, depth)| (Arc::clone(lane), *depth))
            .collect()
    }

    pub(super) fn on_change(&self, wake: Arc<dyn Wake>) {
        // Only the first receiver counts.
        let _ = self.wake.set(wake);
    }

    /// Ends claims. Where their items end or are delayed, that is committed before.
    pub(super) fn release(&self, ids: impl IntoIterator<Item = ItemId>) {
        lock(&self.ended).extend(ids);
    }

    /// Claims items of a lane. The claims that ended are taken off before the snapshot of this read begins: one that
    /// ends later is held until the next read, since this one may still see its item.
    pub(super) fn claim(
        &self,
        connection: &Connection,
        lane: &Lane,
        now: Timestamp,
        limit: usize,
    ) -> rusqlite::Result<Claim> {
        let mut claims = lock(&self.claims);
        let ended = std::mem::take(&mut *lock(&self.ended));
        for id in ended {
            claims.remove(&id.0.cast_signed());
        }
        let transaction = connection.unchecked_transaction()?;
        let (ids, next_due) = due_ids(&transaction, lane, now, limit, &claims)?;
        let items: Vec<Item> = ids
            .iter()
            .map(|id| item(&transaction, *id))
            .collect::<rusqlite::Result<_>>()?;
        claims.extend(ids);
        Ok(Claim { items, next_due })
    }
}

/// Ids of items that are due and not claimed, and the due time of the next one. The index has all that is read.
fn due_ids(
    connection: &Connection,
    lane: &Lane,
    now: Timestamp,
    limit: usize,
    claimed: &HashSet<i64>,
) -> rusqlite::Result<(Vec<i64>, Option<Timestamp>)> {
    let mut query =
        connection.prepare_cached("SELECT id, due FROM items WHERE lane = ? ORDER BY due, id")?;
    let mut rows = query.query([&**lane])?;
    let mut ids = Vec::new();
    while let Some(row) = rows.next()? {
        let (id, due): (i64, i64) = (row.get(0)?, row.get(1)?);
        if claimed.contains(&id) {
            continue;
        }
        let due = Timestamp::from_millis(due.unsigned_abs());
        if due > now || ids.len() == limit {
            return Ok((ids, Some(due)));
        }
        ids.push(id);
    }
    Ok((ids, None))
}

const COLUMNS: &str = "SELECT id, lane, due, head, body, file, size FROM items";

fn item(connection: &Connection, id: i64) -> rusqlite::Result<Item> {
    let mut query = connection.prepare_cached(&format!("{COLUMNS} WHERE id = ?"))?;
    query.query_row([id], read)
}

/// Items of a lane after a position.
pub(super) fn list(
    connection: &Connection,
    lane: &Lane,
    after: Option<(Timestamp, ItemId)>,
    limit: usize,
) -> rusqlite::Result<Vec<Item>> {
    let mut query = connection.prepare_cached(&format!(
        "{COLUMNS} WHERE lane = ? AND (due, id) > (?, ?) ORDER BY due, id LIMIT ?"
    ))?;
    let (due, id) = after.map_or((-1, -1), |(due, id)| (millis(due), id.0.cast_signed()));
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = query.query_map(params![&**lane, due, id, limit], read)?;
    rows.collect()
}

/// Id of the newest item.
pub(super) fn last(connection: &Connection) -> rusqlite::Result<ItemId> {
    let mut query = connection.prepare_cached("SELECT coalesce(max(id), 0) FROM items")?;
    let last: i64 = query.query_row([], |row| row.get(0))?;
    Ok(ItemId(last.unsigned_abs()))
}

/// True if an item has this file.
pub(super) fn has_file(connection: &Connection, digest: &Digest) -> rusqlite::Result<bool> {
    let mut query = connection.prepare_cached("SELECT 1 FROM items WHERE file = ?")?;
    query.exists([digest.to_string()])
}

fn read(row: &Found<'_>) -> rusqlite::Result<Item> {
    let lane: String = row.get(1)?;
    let (head, body): (Vec<u8>, Vec<u8>) = (row.get(3)?, row.get(4)?);
    let file: Option<String> = row.get(5)?;
    let body = match digest(file) {
        None => ItemBody::Inline(body.into()),
        Some(digest) => ItemBody::File {
            digest,
            size_bytes: row.get::<_, i64>(6)?.unsigned_abs(),
        },
    };
    Ok(Item {
        id: ItemId(row.get::<_, i64>(0)?.unsigned_abs()),
        lane: lane.into(),
        due: Timestamp::from_millis(row.get::<_, i64>(2)?.unsigned_abs()),
        head: head.into(),
        body,
    })
}

/// Digest in a row.
fn digest(file: Option<String>) -> Option<Digest> {
    file.and_then(|it| it.parse().ok())
}

fn millis(at: Timestamp) -> i64 {
    at.millis().cast_signed()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
