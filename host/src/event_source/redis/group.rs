//! Consumer group of a mapping: its commands on one connection.

use std::collections::HashMap;
use std::time::Duration;

use super::entry::{Entry, bytes, items};
use crate::outbound::redis::{Connection, Error, Redis, Value};

/// Consumer of this host. A group belongs to one mapping, and a mapping to one host.
const CONSUMER: &[u8] = b"lamina";
/// Wait for new entries at a time; meanwhile nothing that failed is tried again.
const WAIT: Duration = Duration::from_secs(1);
/// Time of one command, the wait included.
const RESPONSE_TIME_MAX: Duration = Duration::from_secs(30);
/// Idle time from which on an entry is tried again. A batch in work is held more often.
const IDLE: Duration = Duration::from_secs(120);

/// Entries of one page of a listing.
const PAGE: usize = 1_000;

/// A consumer group.
#[derive(Debug)]
pub(super) struct Group {
    connection: Connection,
    key: Vec<u8>,
    name: Vec<u8>,
}

impl Group {
    pub(super) async fn connect(redis: &Redis, key: &str, mapping: &str) -> Result<Self, Error> {
        Ok(Self {
            connection: redis.connect(RESPONSE_TIME_MAX).await?,
            key: key.as_bytes().to_vec(),
            name: format!("lamina-{mapping}").into_bytes(),
        })
    }

    /// Creates the group, and the stream where there is none, unless the group exists.
    pub(super) async fn create(&mut self, start: &str) -> Result<(), Error> {
        let Self {
            connection,
            key,
            name,
        } = self;
        let words: [&[u8]; 6] = [
            b"XGROUP",
            b"CREATE",
            key,
            name,
            start.as_bytes(),
            b"MKSTREAM",
        ];
        match connection.send(&words).await {
            Err(error) if error.has_code("BUSYGROUP") => Ok(()),
            created => created.map(drop),
        }
    }

    pub(super) async fn delete(&mut self) -> Result<(), Error> {
        let words: [&[u8]; 4] = [b"XGROUP", b"DESTROY", &self.key, &self.name];
        match self.connection.send(&words).await {
            // The stream is no more.
            Err(error) if error.has_code("ERR") => Ok(()),
            deleted => deleted.map(drop),
        }
    }

    /// New entries; none after a wait.
    pub(super) async fn read(&mut self, most: usize) -> Result<Vec<Entry>, Error> {
        let (count, wait) = (most.to_string(), WAIT.as_millis().to_string());
        let words: [&[u8]; 11] = [
            b"XREADGROUP",
            b"GROUP",
            &self.name,
            CONSUMER,
            b"COUNT",
            count.as_bytes(),
            b"BLOCK",
            wait.as_bytes(),
            b"STREAMS",
            &self.key,
            b">",
        ];
        let found = self.connection.send(&words).await?;
        // A list of streams, of which there is one.
        let entries = items(&found)
            .first()
            .and_then(|stream| items(stream).get(1));
        Ok(entries.map_or_else(Vec::new, |it| Entry::read_all(it, |_| 1)))
    }

    /// Makes all entries without an acknowledgement due at once. None of them may be in work.
    pub(super) async fn recover(&mut self) -> Result<(), Error> {
        let mut after = "-".to_owned();
        loop {
            let pending = self.pending(Duration::ZERO, &after, PAGE).await?;
            let Some((last, _)) = pending.last() else {
                return Ok(());
            };
            after = format!("({last}");
            for (id, count) in &pending {
                self.put_off(id, IDLE, *count).await?;
            }
        }
    }

    /// Entries that were read and are due again.
    pub(super) async fn claim(&mut self, most: usize) -> Result<Vec<Entry>, Error> {
        let pending = self.pending(IDLE, "-", most).await?;
        if pending.is_empty() {
            return Ok(Vec::new());
        }
        let idle = IDLE.as_millis().to_string();
        let mut words: Vec<&[u8]> =
            vec![b"XCLAIM", &self.key, &self.name, CONSUMER, idle.as_bytes()];
        words.extend(pending.iter().map(|(id, _)| id.as_bytes()));
        let claimed = self.connection.send(&words).await?;
        let attempts: HashMap<&str, u32> = pending.iter().map(|(id, it)| (&**id, *it)).collect();
        let count = |id: &str| attempts.get(id).map_or(1, |it| it.saturating_add(1));
        Ok(Entry::read_all(&claimed, count))
    }

    /// Entries without an acknowledgement that are idle for so long, in their order, with their deliveries.
    async fn pending(
        &mut self,
        idle: Duration,
        after: &str,
        most: usize,
    ) -> Result<Vec<(String, u32)>, Error> {
        let (idle, count) = (idle.as_millis().to_string(), most.to_string());
        let words: [&[u8]; 8] = [
            b"XPENDING",
            &self.key,
            &self.name,
            b"IDLE",
            idle.as_bytes(),
            after.as_bytes(),
            b"+",
            count.as_bytes(),
        ];
        let pending = self.connection.send(&words).await?;
        Ok(items(&pending).iter().filter_map(attempts).collect())
    }

    pub(super) async fn acknowledge(
        &mut self,
        entries: impl Iterator<Item = &Entry>,
    ) -> Result<(), Error> {
        let mut words: Vec<&[u8]> = vec![b"XACK", &self.key, &self.name];
        words.extend(entries.map(|it| it.id.as_bytes()));
        match words.len() {
            3 => Ok(()),
            _ => self.connection.send(&words).await.map(drop),
        }
    }

    /// Keeps entries until a pause is over; zero keeps those in work for as long as possible. An attempt that does not
    /// count is taken back.
    pub(super) async fn hold(
        &mut self,
        entries: &[Entry],
        pause: Duration,
        is_uncounted: bool,
    ) -> Result<(), Error> {
        let idle = match pause.is_zero() {
            true => Duration::ZERO,
            false => IDLE.saturating_sub(pause),
        };
        for entry in entries {
            let count = entry.attempts - u32::from(is_uncounted);
            self.put_off(&entry.id, idle, count).await?;
        }
        Ok(())
    }

    /// Sets the idle time and the deliveries of an entry.
    async fn put_off(&mut self, id: &str, idle: Duration, count: u32) -> Result<(), Error> {
        let (idle, count) = (idle.as_millis().to_string(), count.to_string());
        let words: [&[u8]; 11] = [
            b"XCLAIM",
            &self.key,
            &self.name,
            CONSUMER,
            b"0",
            id.as_bytes(),
            b"IDLE",
            idle.as_bytes(),
            b"RETRYCOUNT",
            count.as_bytes(),
            b"JUSTID",
        ];
        self.connection.send(&words).await.map(drop)
    }
}

/// Identifier and deliveries of an entry without an acknowledgement.
fn attempts(pending: &Value) -> Option<(String, u32)> {
    let [id, _, _, Value::Int(count)] = items(pending) else {
        return None;
    };
    let id = String::from_utf8(bytes(id)?.to_vec()).ok()?;
    Some((id, u32::try_from(*count).unwrap_or(u32::MAX)))
}
