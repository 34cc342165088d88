//! Stack of a guest in the host's budget of memory. The engine reserves stacks as address space, and guests take
//! pages of them by recursion, which nothing intercepts. So the pages are counted whenever a guest is suspended, and
//! until the end of its call: of the guests that are not counted there are no more than threads that run guests.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Size of the stack that a guest and the host functions it calls run on; virtual until touched.
pub(super) const ASYNC_STACK_BYTES: usize = 10 << 20;
/// Entry of a page in `/proc/self/pagemap`.
const ENTRY_BYTES: usize = 8;
/// Entries per read. Most guests use fewer pages.
const ENTRIES: usize = 32;
/// The page is in memory, or swapped out.
const IS_TAKEN: u64 = 0b11 << 62;
/// Part of a stack that an environment counts for anyway.
const FREE_BYTES: usize = 64 << 10;

/// Pages that this process has taken.
#[derive(Debug)]
pub(super) struct PageMap {
    /// `None` where the system has no such file; then stacks do not count.
    file: Option<File>,
    page_bytes: usize,
}

/// Stack of one guest.
#[derive(Debug)]
pub(super) struct Stack {
    pages: Arc<PageMap>,
    /// An address of the stack in use, seen by a host function; 0 before the first one.
    seen: AtomicUsize,
    /// Taken pages as they were last found, from the lowest address to the end of the highest page; 0 before.
    low: AtomicUsize,
    end: AtomicUsize,
}

impl PageMap {
    pub(super) fn open() -> Self {
        let file = File::open("/proc/self/pagemap");
        if let Err(error) = &file {
            tracing::warn!(%error, "stacks of functions do not count in limits.guest_memory_bytes");
        }
        Self {
            file: file.ok(),
            page_bytes: rustix::param::page_size(),
        }
    }

    /// Map in which no page is taken, for stacks that are counted otherwise.
    pub(super) fn none() -> Self {
        Self {
            file: None,
            page_bytes: rustix::param::page_size(),
        }
    }

    /// Number of taken pages from this one on, upwards or downwards, at most those of a stack.
    fn run(&self, page: usize, is_upwards: bool) -> usize {
        let pages_max = ASYNC_STACK_BYTES / self.page_bytes;
        let mut count = 0;
        while count < pages_max {
            let Some(first) = (if is_upwards {
                page.checked_add(count)
            } else {
                page.checked_sub(count + ENTRIES - 1)
            }) else {
                break;
            };
            let taken = self.taken(first);
            let run = if is_upwards {
                taken.iter().take_while(|it| **it).count()
            } else {
                taken.iter().rev().take_while(|it| **it).count()
            };
            count += run;
            if run < ENTRIES {
                break;
            }
        }
        count.min(pages_max)
    }

    fn taken(&self, first: usize) -> [bool; ENTRIES] {
        let mut entries = [0; ENTRIES * ENTRY_BYTES];
        let offset = first.saturating_mul(ENTRY_BYTES) as u64;
        let read = self
            .file
            .as_ref()
            .map(|it| it.read_at(&mut entries, offset));
        let bytes = read.and_then(Result::ok).unwrap_or_default();
        let mut taken = [false; ENTRIES];
        for (entry, is_taken) in entries[..bytes].chunks_exact(ENTRY_BYTES).zip(&mut taken) {
            let entry = u64::from_ne_bytes(entry.try_into().expect("chunks are entries"));
            *is_taken = entry & IS_TAKEN != 0;
        }
        taken
    }
}

impl Stack {
    pub(super) fn new(pages: &Arc<PageMap>) -> Self {
        Self {
            pages: Arc::clone(pages),
            seen: AtomicUsize::new(0),
            low: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
        }
    }

    /// Notes the stack that the caller runs on, as host functions do that a guest calls.
    #[inline]
    pub(super) fn note(&self) {
        let here = 0_u8;
        let address = std::hint::black_box(&raw const here).addr();
        self.seen.store(address, Ordering::Relaxed);
    }

    /// Forgets the stack: the engine has taken it back.
    pub(super) fn forget(&self) {
        for address in [&self.seen, &self.low, &self.end] {
            address.store(0, Ordering::Relaxed);
        }
    }

    /// Bytes of the stack that are taken beyond the part that every environment counts for. A stack is taken from its
    /// upper end downwards, without gaps: compiled code touches each page of a large frame.
    pub(super) fn taken_bytes(&self) -> u64 {
        let seen = self.seen.load(Ordering::Relaxed);
        if seen == 0 {
            return 0;
        }
        let page_bytes = self.pages.page_bytes;
        let mut low = self.low.load(Ordering::Relaxed);
        if low == 0 {
            let page = seen / page_bytes;
            let end = page + self.pages.run(page, true);
            self.end.store(end, Ordering::Relaxed);
            low = page;
        }
        low -= low
            .checked_sub(1)
            .map_or(0, |below| self.pages.run(below, false));
        self.low.store(low, Ordering::Relaxed);
        let pages = self.end.load(Ordering::Relaxed).saturating_sub(low);
        let bytes = (pages * page_bytes).min(ASYNC_STACK_BYTES);
        bytes.saturating_sub(FREE_BYTES) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(never)]
    fn deep(frames: u32) -> u32 {
        let frame = std::hint::black_box([1_u8; 4 << 10]);
        match frames {
            0 => u32::from(frame[0]),
            _ => deep(frames - 1) + u32::from(frame[1]),
        }
    }

    #[test]
    fn pages_of_a_returned_recursion_are_counted() {
        let run = || {
            let stack = Stack::new(&Arc::new(PageMap::open()));
            assert_eq!(stack.taken_bytes(), 0, "no stack is known yet");
            stack.note();
            let before = stack.taken_bytes();
            deep(512);
            let deep_bytes = stack.taken_bytes();
            assert!(
                deep_bytes >= before + (2 << 20) - (64 << 10),
                "{before} {deep_bytes}"
            );
            deep(1_024);
            let deeper_bytes = stack.taken_bytes();
            assert!(
                deeper_bytes >= deep_bytes + (1 << 20),
                "{before} {deep_bytes} {deeper_bytes}"
            );
            stack.forget();
            assert_eq!(stack.taken_bytes(), 0);
        };
        let thread = std::thread::Builder::new().stack_size(ASYNC_STACK_BYTES);
        thread.spawn(run).unwrap().join().unwrap();
    }
}
