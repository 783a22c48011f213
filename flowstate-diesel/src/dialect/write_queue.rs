//! A queue before a lock that the database gives to whoever asks at the right moment.
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

/// The queue before one database.
#[derive(Debug, Default)]
pub struct Turnstile {
    queue: Mutex<Queue>,
    checkpoints: Checkpoints,
}

#[derive(Debug, Default)]
struct Queue {
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

/// The queue of a connection.
#[derive(Clone, Debug)]
pub struct Lane {
    pub turnstile: Arc<Turnstile>,
    /// How long the connection waits for the lock.
    pub patience: Duration,
}

/// What came of waiting.
#[derive(Debug)]
pub(crate) enum Passage {
    /// Ours, until this is dropped.
    Passed(Turn),
    /// This thread holds it already, on another connection: nobody would ever let it pass.
    HeldByThisThread,
    TimedOut,
}

/// The right to write, given back when dropped.
#[derive(Debug)]
pub(crate) struct Turn(Arc<Turnstile>);

impl Turnstile {
    /// The one of this database, the same for all connections of the process.
    pub(crate) fn of(database: &str) -> Arc<Self> {
        static ALL: OnceLock<Mutex<HashMap<String, Weak<Turnstile>>>> = OnceLock::new();
        let mut all =
            ALL.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turnstile) = all.get(database).and_then(Weak::upgrade) {
            return turnstile;
        }
        all.retain(|_, turnstile| turnstile.strong_count() > 0);
        let turnstile = Arc::new(Self::default());
        all.insert(database.to_owned(), Arc::downgrade(&turnstile));
        turnstile
    }

    /// Waits for the turn of this thread, for `most` at the longest.
    pub(crate) fn pass(self: &Arc<Self>, most: Duration) -> Passage {
        let me = std::thread::current().id();
        let mut queue = self.queue();
        if queue.holder == Some(me) {
            return Passage::HeldByThisThread;
        }
        if queue.holder.is_none() && !queue.owes() {
            queue.holder = Some(me);
            return Passage::Passed(Turn(Arc::clone(self)));
        }
        let waiter = Arc::new(Waiter::new());
        queue.waiting.push_back(Arc::clone(&waiter));
        loop {
            let left = most.saturating_sub(waiter.since.elapsed());
            let turn = queue.until_turn();
            // whose turn has come is called
            let left =
                if waiter.is_passed_over() && !turn.is_zero() { left.min(turn) } else { left };
            let woken = waiter.called.wait_timeout(queue, left);
            queue = woken.unwrap_or_else(PoisonError::into_inner).0;
            let free = queue.holder.is_none();
            let late = waiter.since.elapsed() >= most;
            if !free && !late {
                waiter.passed_over.store(true, Ordering::Relaxed);
                continue;
            }
            queue.waiting.retain(|other| !Arc::ptr_eq(other, &waiter));
            if free {
                queue.holder = Some(me);
                queue.served = Some(Instant::now());
                return Passage::Passed(Turn(Arc::clone(self)));
            }
            return Passage::TimedOut;
        }
    }

    /// After a turn: whether who had it is to make a checkpoint. It pays where others wait to write.
    pub(crate) fn due_checkpoint(&self) -> Option<Checkpoint<'_>> {
        self.checkpoints.due(|| self.waiting() > 0)
    }

    /// How many threads wait.
    pub(crate) fn waiting(&self) -> usize {
        self.queue().waiting.len()
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // nothing under this lock can panic half-way
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
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
        let mut queue = self.0.queue();
        queue.holder = None;
        let owes = queue.owes();
        let first = queue.waiting.front().filter(|first| owes || !first.is_passed_over());
        let first = first.map(Arc::clone);
        drop(queue);
        if let Some(first) = first {
            first.called.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    use super::{Passage, Turnstile};

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn one_at_a_time_and_nobody_starves() {
        let (turnstile, inside) = (Turnstile::of("crowd"), AtomicUsize::new(0));
        let worst = std::thread::scope(|scope| {
            let work = || {
                let mut worst = Duration::ZERO;
                for _ in 0..200 {
                    let start = Instant::now();
                    let Passage::Passed(turn) = turnstile.pass(LONG) else { panic!("passed") };
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
        let turnstile = Turnstile::of("held");
        let Passage::Passed(turn) = turnstile.pass(LONG) else { panic!("passed") };
        assert!(matches!(turnstile.pass(LONG), Passage::HeldByThisThread));
        let other = || turnstile.pass(Duration::from_millis(5));
        let waited = std::thread::scope(|scope| scope.spawn(other).join().expect("waited"));
        assert!(matches!(waited, Passage::TimedOut));
        drop(turn);
        assert!(matches!(turnstile.pass(LONG), Passage::Passed(_)));
    }
}
