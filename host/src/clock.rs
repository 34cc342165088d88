//! Time and randomness. Only this module reads the wall clock (`server` and `api/body` read tokio's instants), so that tests
//! control time and replay a run from its seed.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Wall-clock time, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the Unix epoch.
    pub const fn secs(self) -> u64 {
        self.0 / 1_000
    }

    pub fn after(self, duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }

    /// Lambda's usual date format: `2026-11-25T02:38:45+0000`.
    pub fn iso8601(self) -> String {
        self.utc().strftime("%Y-%m-%dT%H:%M:%S+0000").to_string()
    }

    /// Calendar date and time in UTC.
    pub fn utc(self) -> jiff::Timestamp {
        i64::try_from(self.0)
            .ok()
            .and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok())
            .unwrap_or(jiff::Timestamp::MAX)
    }

    /// Calendar date in UTC.
    pub fn utc_date(self) -> jiff::civil::Date {
        jiff::tz::Offset::UTC.to_datetime(self.utc()).date()
    }
}

/// Time since the machine started, the time of its sleep included.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Uptime {
    /// Start of the machine: its id in the operating system.
    pub boot_id: String,
    pub uptime: Duration,
}

/// Source of time and randomness.
pub trait TimeSource: Send + Sync + 'static {
    /// Wall-clock time.
    fn now(&self) -> Timestamp;
    /// Monotonic time.
    fn instant(&self) -> Instant;
    /// Fills `bytes` from a cryptographic random source.
    fn fill(&self, bytes: &mut [u8]);
    /// Time since the machine started. `None` where the operating system does not tell it.
    fn uptime(&self) -> Option<Uptime> {
        None
    }
}

/// Handle of a [`TimeSource`].
#[derive(Clone)]
pub struct Clock(Arc<dyn TimeSource>);

impl Clock {
    /// The operating system's clock and random source.
    pub fn system() -> Self {
        Self(Arc::new(System))
    }

    /// Clock of a test.
    #[cfg(test)]
    pub fn new(source: impl TimeSource) -> Self {
        Self(Arc::new(source))
    }

    /// Wall-clock time.
    pub fn now(&self) -> Timestamp {
        self.0.now()
    }

    /// Monotonic time.
    pub fn instant(&self) -> Instant {
        self.0.instant()
    }

    /// Time since the machine started, if it is known.
    pub fn uptime(&self) -> Option<Uptime> {
        self.0.uptime()
    }

    /// Sleeps. Under tokio's paused time, which tests use, it takes no real time.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    /// Runs `work` with a timeout. `None` once `limit` has passed; `work` is then dropped.
    pub async fn timeout<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout(limit, work).await.ok()
    }

    /// `N` bytes from the cryptographic random source.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill(&mut bytes);
        bytes
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

#[cfg(test)]
thread_local! {
    static RUNS_INLINE: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Makes blocking work of this thread run inline: a simulation repeats from its seed only if nothing waits for
/// another thread.
#[cfg(test)]
pub fn run_inline() {
    RUNS_INLINE.set(true);
}

/// True if blocking work of this thread runs inline.
#[cfg(test)]
pub fn runs_inline() -> bool {
    RUNS_INLINE.get()
}

/// Paused tokio time, and random bytes from a seed: equal seeds give equal runs.
#[cfg(test)]
#[derive(Debug)]
pub struct Simulated {
    started: tokio::time::Instant,
    random: std::sync::Mutex<u64>,
}

#[cfg(test)]
impl Simulated {
    /// Clock that starts at 2026-01-01 and draws from `seed`.
    pub fn clock(seed: u64) -> Clock {
        Clock::new(Self {
            started: tokio::time::Instant::now(),
            random: std::sync::Mutex::new(seed),
        })
    }
}

#[cfg(test)]
impl TimeSource for Simulated {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_767_225_600_000).after(self.started.elapsed())
    }

    fn instant(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn fill(&self, bytes: &mut [u8]) {
        let mut state = self.random.lock().expect("no test panics while it draws");
        for byte in bytes {
            // xorshift64*: enough to spread a seed over a history.
            *state ^= *state >> 12;
            *state ^= *state << 25;
            *state ^= *state >> 27;
            *byte = state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_be_bytes()[0];
        }
    }
}

struct System;

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the machine's clock"
)]
impl TimeSource for System {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_millis(0).after(since)
    }

    fn instant(&self) -> Instant {
        Instant::now()
    }

    fn uptime(&self) -> Option<Uptime> {
        let boot_id = std::fs::read_to_string(BOOT_ID).ok()?.trim().to_owned();
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let uptime = Duration::try_from(time).ok()?;
        Some(Uptime { boot_id, uptime })
    }

    fn fill(&self, bytes: &mut [u8]) {
        if bytes.len() > POOLED_BYTES_MAX {
            return draw(bytes);
        }
        POOL.with_borrow_mut(|pool| {
            if pool.left < bytes.len() {
                draw(&mut pool.bytes);
                pool.left = pool.bytes.len();
            }
            let (given, left) = (pool.left, pool.left - bytes.len());
            bytes.copy_from_slice(&pool.bytes[left..given]);
            // Erased after use, so that no secret stays in memory and no byte is handed out twice.
            pool.bytes[left..given].fill(0);
            pool.left = left;
        });
    }
}

/// File in which Linux names the start of the machine.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The operating system's source rather than aws-lc-rs, whose entropy source takes 25 ms to start.
fn draw(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system's random source is available");
}

/// Ids come from a pool, because each draw is a system call; keys are longer and drawn directly.
const POOLED_BYTES_MAX: usize = 16;

struct Pool {
    bytes: [u8; 512],
    /// Bytes not handed out yet, counted from the front.
    left: usize,
}

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { bytes: [0; 512], left: 0 }) };
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn simulated_time_follows_tokio_and_seed_repeats_run() {
        let clock = Simulated::clock(7);
        let (began, at) = (clock.now(), clock.instant());
        clock.sleep(Duration::from_secs(3_600)).await;
        assert_eq!(clock.now(), began.after(Duration::from_secs(3_600)));
        assert_eq!(clock.instant() - at, Duration::from_secs(3_600));
        let never = clock.timeout(Duration::from_secs(60), std::future::pending::<()>());
        assert_eq!(never.await, None);
        let drawn: [u8; 32] = clock.random();
        assert_eq!(drawn, Simulated::clock(7).random::<32>());
        assert_ne!(drawn, Simulated::clock(8).random::<32>());
    }

    #[test]
    fn random_bytes_are_never_repeated() {
        let clock = Clock::system();
        let ids: HashSet<[u8; 16]> = (0..10_000).map(|_| clock.random()).collect();
        assert_eq!(ids.len(), 10_000);
        let keys: HashSet<[u8; 32]> = (0..100).map(|_| clock.random()).collect();
        assert_eq!(keys.len(), 100);
        // Draws across the refill, in sizes that do not divide the pool.
        let odd: HashSet<[u8; 9]> = (0..10_000).map(|_| clock.random()).collect();
        assert_eq!(odd.len(), 10_000);
    }
}
