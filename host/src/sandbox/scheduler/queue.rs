//! Fair queue of functions by CPU time per weight (start-time fair queueing), so that a function's
//! number of calls does not affect others. Independent of threads and of the turn length.

use std::collections::{BTreeSet, HashMap, VecDeque};

/// Function id.
pub(super) type Id = u64;

/// CPU time of a function in nanoseconds, scaled to [`WEIGHT`].
pub(super) type VirtualNanos = u64;

/// Weight at which virtual time equals CPU time: the memory in MiB for which AWS gives one vCPU.
const WEIGHT: u64 = 1_769;

/// Runnable work by function.
#[derive(Debug)]
pub(super) struct Queue<T> {
    functions: HashMap<Id, Waiting<T>>,
    /// Functions with runnable work, least served first.
    order: BTreeSet<(VirtualNanos, Id)>,
    /// Virtual start time of the latest turn. A returning function starts from here, so that idle
    /// time is not saved up.
    now: VirtualNanos,
    /// Turns in progress.
    running: usize,
}

#[derive(Debug)]
struct Waiting<T> {
    tasks: VecDeque<T>,
    served: VirtualNanos,
    weight: u64,
    /// Turns in progress. While there are any, the function's served time is kept.
    running: usize,
}

/// Provisional charge of a turn in progress.
#[derive(Debug)]
#[must_use = "the turn is charged for what it took when it has ended"]
pub(super) struct Charge {
    function: Id,
    nanos: VirtualNanos,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        Self {
            functions: HashMap::new(),
            order: BTreeSet::new(),
            now: 0,
            running: 0,
        }
    }

    /// Enqueues work of a function; `weight` is its memory in MiB.
    pub(super) fn push(&mut self, function: Id, weight: u64, task: T) {
        let now = self.now;
        let waiting = self.functions.entry(function).or_insert_with(|| Waiting {
            tasks: VecDeque::new(),
            served: now,
            weight: 1,
            running: 0,
        });
        waiting.weight = weight.max(1);
        if waiting.tasks.is_empty() {
            waiting.served = waiting.served.max(now);
            self.order.insert((waiting.served, function));
        }
        waiting.tasks.push_back(task);
    }

    /// Dequeues the next turn and charges `nanos` in advance, until [`ended`](Self::ended): charged
    /// afterwards, one function could occupy all threads at once.
    pub(super) fn next(&mut self, nanos: u64) -> Option<(T, Charge)> {
        let (served, function) = self.order.pop_first()?;
        self.now = self.now.max(served);
        let waiting = self.functions.get_mut(&function)?;
        let task = waiting.tasks.pop_front()?;
        let charged = waiting.cost(nanos);
        waiting.served += charged;
        waiting.running += 1;
        self.running += 1;
        if !waiting.tasks.is_empty() {
            self.order.insert((waiting.served, function));
        }
        let charge = Charge {
            function,
            nanos: charged,
        };
        Some((task, charge))
    }

    /// Replaces the provisional charge by the actual time.
    pub(super) fn ended(&mut self, charge: Charge, nanos: u64) {
        let Charge {
            function,
            nanos: charged,
        } = charge;
        self.running -= 1;
        let Some(waiting) = self.functions.get_mut(&function) else {
            return;
        };
        let before = waiting.served;
        waiting.served = (before + waiting.cost(nanos)).saturating_sub(charged);
        waiting.running -= 1;
        if !waiting.tasks.is_empty() {
            self.order.remove(&(before, function));
            self.order.insert((waiting.served, function));
        }
        self.forget_served();
    }

    /// Drains all work.
    pub(super) fn clear(&mut self) -> Vec<T> {
        self.order.clear();
        let waiting = self.functions.drain();
        waiting.flat_map(|(_, it)| it.tasks).collect()
    }

    /// Drops functions without work that are not above their share.
    fn forget_served(&mut self) {
        if self.running == 0 && self.order.is_empty() {
            // Without competition all functions start anew.
            return self.functions.clear();
        }
        if self.functions.len() > 2 * self.order.len() + FORGOTTEN_MIN {
            let now = self.now;
            let keeps = |it: &Waiting<T>| !it.tasks.is_empty() || it.running > 0 || it.served > now;
            self.functions.retain(|_, it| keeps(it));
        }
    }
}

/// Functions kept before the first cleanup.
const FORGOTTEN_MIN: usize = 64;

impl<T> Waiting<T> {
    fn cost(&self, nanos: u64) -> VirtualNanos {
        nanos.saturating_mul(WEIGHT) / self.weight
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: u64 = 10_000_000;

    /// Runs turns of one tick each; work is requeued after its turn.
    fn run(queue: &mut Queue<Id>, weights: &[u64], turns: usize) -> Vec<Id> {
        let mut served = Vec::new();
        for _ in 0..turns {
            let (function, charge) = queue.next(TICK).unwrap();
            queue.ended(charge, TICK);
            queue.push(
                function,
                weights[usize::try_from(function).unwrap()],
                function,
            );
            served.push(function);
        }
        served
    }

    fn count(served: &[Id], function: Id) -> usize {
        served.iter().filter(|it| **it == function).count()
    }

    #[test]
    fn quiet_function_is_served_before_function_with_many_calls() {
        let mut queue = Queue::new();
        for _ in 0..400 {
            queue.push(0, 128, 0);
        }
        run(&mut queue, &[128], 1_000);
        queue.push(1, 128, 1);
        assert_eq!(queue.next(TICK).unwrap().0, 1);
    }

    #[test]
    fn quiet_function_is_served_before_many_busy_ones() {
        let weights = [128; 401];
        let mut queue = Queue::new();
        (0..400).for_each(|function| queue.push(function, 128, function));
        run(&mut queue, &weights, 1_234);
        queue.push(400, 128, 400);
        let next = run(&mut queue, &weights, 400);
        let place = next.iter().position(|it| *it == 400).unwrap();
        // After functions served equally little, and before all others.
        assert!(place <= 400 - 1_234 % 400, "{place}");
    }

    #[test]
    fn cpu_time_is_shared_by_weight() {
        let weights = [128, 512];
        let mut queue = Queue::new();
        (0..8).for_each(|_| queue.push(0, 128, 0));
        queue.push(1, 512, 1);
        let served = run(&mut queue, &weights, 1_000);
        assert!(
            count(&served, 1).abs_diff(800) <= 2,
            "{}",
            count(&served, 1)
        );
    }

    #[test]
    fn short_turn_is_charged_its_actual_time() {
        let mut queue = Queue::new();
        queue.push(0, 128, 0);
        queue.push(1, 128, 1);
        let mut served = Vec::new();
        for _ in 0..1_000 {
            let (function, charge) = queue.next(TICK).unwrap();
            queue.ended(charge, if function == 0 { TICK } else { TICK / 4 });
            queue.push(function, 128, function);
            served.push(function);
        }
        assert!(
            count(&served, 0).abs_diff(200) <= 2,
            "{}",
            count(&served, 0)
        );
    }

    #[test]
    fn idle_function_saves_up_no_time() {
        let mut queue = Queue::new();
        queue.push(0, 128, 0);
        run(&mut queue, &[128], 1_000);
        queue.push(1, 128, 1);
        let served = run(&mut queue, &[128, 128], 100);
        assert!(count(&served, 1) <= 51, "{}", count(&served, 1));
    }

    #[test]
    fn waiting_function_is_served_before_second_turn() {
        let mut queue = Queue::new();
        queue.push(0, 128, 0);
        queue.push(0, 128, 0);
        queue.push(1, 128, 1);
        let (one, other) = (queue.next(TICK).unwrap(), queue.next(TICK).unwrap());
        assert_ne!(one.0, other.0);
    }

    #[test]
    fn idle_functions_are_dropped() {
        let mut queue = Queue::new();
        for function in 0..10_000 {
            queue.push(function, 128, function);
            let (_, charge) = queue.next(TICK).unwrap();
            queue.ended(charge, 1_000);
        }
        assert!(
            queue.functions.len() <= 2 * FORGOTTEN_MIN,
            "{}",
            queue.functions.len()
        );
    }
}
