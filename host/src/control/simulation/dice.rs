//! Random choices from a seed.

use crate::clock::{Clock, Simulated};

/// A die: the same seed rolls the same numbers.
pub(super) struct Dice(Clock);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        // Odd, since the generator stays at zero for ever. Spread, since small seeds are alike.
        Self(Simulated::clock(
            seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        ))
    }

    /// A number below `limit`.
    pub(super) fn below(&self, limit: usize) -> usize {
        usize::try_from(self.draw()).unwrap_or_default() % limit.max(1)
    }

    /// The same, of a count.
    pub(super) fn few(&self, limit: u32) -> u32 {
        self.draw() % limit.max(1)
    }

    fn draw(&self) -> u32 {
        u32::from_le_bytes(self.0.random())
    }

    /// True once in so many times.
    pub(super) fn one_in(&self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(super) fn pick<T: Copy>(&self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}
