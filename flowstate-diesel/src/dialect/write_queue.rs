//! The write queue: before a lock that the database gives to whoever asks at the right moment.
//!
//! SQLite lets one connection write and has the others ask again after ever longer pauses, so that
//! an unlucky one waits for a second where the lucky ones take microseconds. The writers of one
//! process queue here instead, and only the first of them asks.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use super::checkpoint::{Checkpoint, Checkpoints};

/// So long those who come by may pass before those who wait, which spares a switch of threads for
/// each transaction. Then the first who waits is served.
const PATIENCE: Duration = Duration::from_millis(5);

/// The write queue of one database.
#[derive(Debug, Default)]
pub struct WriteQueue {
    order: Mutex<Order>,
    checkpoints: Checkpoints,
}

#[derive(Debug, Default)]
struct Order {
    /// Who writes.
    holder: Option<ThreadId>,
    waiting: VecDeque<Arc<Waiter>>,
    /// When somebody who had waited was last served.
    served: Option<Instant>,
}

#[derive(Debug)]
struct Waiter {
    since: Instant,
    called: Condvar,
    /// Somebody else passed when it was called: the next call comes with its turn, because waking
    /// it for nothing costs those who pass more than the wait.
    passed_over: AtomicBool,
}

/// The write queue of a connection's database, and how long the connection waits in it.
#[derive(Clone, Debug)]
pub struct QueueAccess {
    pub queue: Arc<WriteQueue>,
    /// How long the connection waits for its turn.
    pub patience: Duration,
}

/// What came of waiting.
#[derive(Debug)]
pub(crate) enum Waited {
    /// Ours, until this is dropped.
    Turn(Turn),
    /// This thread holds it already, on another connection: nobody would ever let it pass.
    HeldByThisThread,
    TimedOut,
}

/// The right to write, given back when dropped.
#[derive(Debug)]
pub(crate) struct Turn(Arc<WriteQueue>);

impl WriteQueue {
    /// The queue of this database, the same for all connections of the process.
    #[cfg_attr(not(feature = "sqlite"), allow(dead_code, reason = "for SQLite"))]
    pub(crate) fn of(database: &str) -> Arc<Self> {
        static ALL: OnceLock<Mutex<HashMap<String, Weak<WriteQueue>>>> = OnceLock::new();
        let mut all =
            ALL.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = all.get(database).and_then(Weak::upgrade) {
            return queue;
        }
        all.retain(|_, queue| queue.strong_count() > 0);
        let queue = Arc::new(Self::default());
        all.insert(database.to_owned(), Arc::downgrade(&queue));
        queue
    }

    /// Waits for the turn of this thread, for `most` at the longest.
    pub(crate) fn wait(self: &Arc<Self>, most: Duration) -> Waited {
        let me = std::thread::current().id();
        let mut order = self.order();
        if order.holder == Some(me) {
            return Waited::HeldByThisThread;
        }
        if order.holder.is_none() && !order.owes() {
            order.holder = Some(me);
            return Waited::Turn(Turn(Arc::clone(self)));
        }
        let waiter = Arc::new(Waiter::new());
        order.waiting.push_back(Arc::clone(&waiter));
        loop {
            let left = most.saturating_sub(waiter.since.elapsed());
            let turn = order.until_turn();
            // whose turn has come is called
            let left =
                if waiter.is_passed_over() && !turn.is_zero() { left.min(turn) } else { left };
            let woken = waiter.called.wait_timeout(order, left);
            order = woken.unwrap_or_else(PoisonError::into_inner).0;
            let free = order.holder.is_none();
            let late = waiter.since.elapsed() >= most;
            if !free && !late {
                waiter.passed_over.store(true, Ordering::Relaxed);
                continue;
            }
            order.waiting.retain(|other| !Arc::ptr_eq(other, &waiter));
            if free {
                order.holder = Some(me);
                order.served = Some(Instant::now());
                return Waited::Turn(Turn(Arc::clone(self)));
            }
            return Waited::TimedOut;
        }
    }

    /// After a turn: whether who had it is to make a checkpoint. It pays where others wait to write.
    pub(crate) fn due_checkpoint(&self) -> Option<Checkpoint<'_>> {
        self.checkpoints.due(|| self.waiting() > 0)
    }

    /// How many threads wait.
    pub(crate) fn waiting(&self) -> usize {
        self.order().waiting.len()
    }

    fn order(&self) -> MutexGuard<'_, Order> {
        // nothing under this lock can panic half-way
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Order {
    /// Whether nobody may pass before the first who waits.
    fn owes(&self) -> bool {
        !self.waiting.is_empty() && self.until_turn().is_zero()
    }

    /// How long others may still pass before the first who waits.
    fn until_turn(&self) -> Duration {
        let first = self.waiting.front().map(|first| first.since);
        let since = first.max(self.served);
        since.map_or(PATIENCE, |since| PATIENCE.saturating_sub(since.elapsed()))
    }
}

impl Waiter {
    fn new() -> Self {
        let passed_over = AtomicBool::new(false);
        Self { since: Instant::now(), called: Condvar::new(), passed_over }
    }

    fn is_passed_over(&self) -> bool {
        self.passed_over.load(Ordering::Relaxed)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut order = self.0.order();
        order.holder = None;
        let owes = order.owes();
        let first = order.waiting.front().filter(|first| owes || !first.is_passed_over());
        let first = first.map(Arc::clone);
        drop(order);
        if let Some(first) = first {
            first.called.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    use super::{Waited, WriteQueue};

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn one_at_a_time_and_nobody_starves() {
        let (queue, inside) = (WriteQueue::of("crowd"), AtomicUsize::new(0));
        let worst = std::thread::scope(|scope| {
            let work = || {
                let mut worst = Duration::ZERO;
                for _ in 0..200 {
                    let start = Instant::now();
                    let Waited::Turn(turn) = queue.wait(LONG) else { panic!("passed") };
                    worst = worst.max(start.elapsed());
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                    std::thread::sleep(Duration::from_micros(50));
                    inside.fetch_sub(1, Ordering::SeqCst);
                    drop(turn);
                }
                worst
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(work)).collect();
            threads.into_iter().map(|thread| thread.join().expect("worked")).max()
        });
        assert!(worst < Some(Duration::from_secs(5)), "{worst:?}");
    }

    #[test]
    fn a_turn_is_waited_for_only_so_long_and_never_by_its_holder() {
        let queue = WriteQueue::of("held");
        let Waited::Turn(turn) = queue.wait(LONG) else { panic!("passed") };
        assert!(matches!(queue.wait(LONG), Waited::HeldByThisThread));
        let other = || queue.wait(Duration::from_millis(5));
        let waited = std::thread::scope(|scope| scope.spawn(other).join().expect("waited"));
        assert!(matches!(waited, Waited::TimedOut));
        drop(turn);
        assert!(matches!(queue.wait(LONG), Waited::Turn(_)));
    }
}
