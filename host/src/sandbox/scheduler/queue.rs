//! The fair queue: functions take turns by the processor time they have used for their weight, so that
//! how many calls a function has under way changes nothing for others. Start-time fair queueing: it
//! knows neither threads nor what a turn is.

use std::collections::{BTreeSet, HashMap, VecDeque};

/// Tells functions apart.
pub(super) type Id = u64;

/// Processor time of a function, in nanoseconds of one that has [`WEIGHT`].
pub(super) type VirtualNanos = u64;

/// The weight whose time passes as the clock's: the memory in MiB that AWS gives one processor for.
const WEIGHT: u64 = 1_769;

/// What is ready to run, by function.
#[derive(Debug)]
pub(super) struct Queue<T> {
    functions: HashMap<Id, Waiting<T>>,
    /// Functions that have something to run, the least served first.
    order: BTreeSet<(VirtualNanos, Id)>,
    /// When the turn that began last began. A function that comes back begins from here: what it did
    /// not use while it had nothing to run is lost.
    now: VirtualNanos,
    /// Turns that are under way.
    running: usize,
}

#[derive(Debug)]
struct Waiting<T> {
    tasks: VecDeque<T>,
    served: VirtualNanos,
    weight: u64,
    /// Turns that are under way. While there are any, what the function was served is remembered.
    running: usize,
}

/// What a function was charged for a turn that is under way.
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

    /// Adds something of a function; `weight` is its memory in MiB.
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

    /// Takes the next turn, which is charged as one of `nanos` until it has [`ended`](Self::ended):
    /// charged only afterwards, a function would be served by all threads at once.
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

    /// Charges a turn for what it took.
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

    /// Takes out all that waits.
    pub(super) fn clear(&mut self) -> Vec<T> {
        self.order.clear();
        let waiting = self.functions.drain();
        waiting.flat_map(|(_, it)| it.tasks).collect()
    }

    /// Forgets functions that have nothing to run and no more than their share behind them.
    fn forget_served(&mut self) {
        if self.running == 0 && self.order.is_empty() {
            // There is nobody to be fair to, and all begin anew.
            return self.functions.clear();
        }
        if self.functions.len() > 2 * self.order.len() + FORGOTTEN_MIN {
            let now = self.now;
            let keeps = |it: &Waiting<T>| !it.tasks.is_empty() || it.running > 0 || it.served > now;
            self.functions.retain(|_, it| keeps(it));
        }
    }
}

/// Functions that are remembered before the first look at which of them need not be.
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

    /// Runs turns of one tick each; a task goes back to the queue after its turn.
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
    fn quiet_function_is_served_next_however_many_calls_another_has() {
        let mut queue = Queue::new();
        for _ in 0..400 {
            queue.push(0, 128, 0);
        }
        run(&mut queue, &[128], 1_000);
        queue.push(1, 128, 1);
        assert_eq!(queue.next(TICK).unwrap().0, 1);
    }

    #[test]
    fn quiet_function_is_served_next_among_many_busy_ones() {
        let weights = [128; 401];
        let mut queue = Queue::new();
        (0..400).for_each(|function| queue.push(function, 128, function));
        run(&mut queue, &weights, 1_234);
        queue.push(400, 128, 400);
        let next = run(&mut queue, &weights, 400);
        let place = next.iter().position(|it| *it == 400).unwrap();
        // Not before those that have been served as little, and before all others.
        assert!(place <= 400 - 1_234 % 400, "{place}");
    }

    #[test]
    fn processor_time_is_shared_by_weight() {
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
    fn short_turns_are_charged_as_short() {
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
    fn idle_time_is_not_saved_up() {
        let mut queue = Queue::new();
        queue.push(0, 128, 0);
        run(&mut queue, &[128], 1_000);
        queue.push(1, 128, 1);
        let served = run(&mut queue, &[128, 128], 100);
        assert!(count(&served, 1) <= 51, "{}", count(&served, 1));
    }

    #[test]
    fn one_function_is_not_served_twice_at_once_while_another_waits() {
        let mut queue = Queue::new();
        queue.push(0, 128, 0);
        queue.push(0, 128, 0);
        queue.push(1, 128, 1);
        let (one, other) = (queue.next(TICK).unwrap(), queue.next(TICK).unwrap());
        assert_ne!(one.0, other.0);
    }

    #[test]
    fn functions_that_end_are_forgotten() {
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
