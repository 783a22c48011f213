//! The write queue: before a lock that the database gives to whoever asks at the right moment.
//!
//! SQLite lets one connection write and has the others ask again after ever longer pauses, so that
//! an unlucky one waits for a second where the lucky ones take microseconds. The writers of one
//! process queue here instead, and only the first of them asks.
//!
//! Who waits with a change that is mere data offers it, and whoever has the turn may write it in its
//! own transaction: many changes, one COMMIT. So do the writers of `LevelDB`
//! <https://github.com/google/leveldb/blob/main/db/db_impl.cc> (`BuildBatchGroup`).

mod turn;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

pub(crate) use self::turn::{Answer, End, Offer, Offered, Turn, Written};

/// So long those who come by may pass before those who wait, which spares a switch of threads for
/// each transaction. Then the first who waits is served.
const PATIENCE: Duration = Duration::from_millis(5);

/// So long who has made an offer looks for the answer before it sleeps, letting other threads run
/// meanwhile. A commit that waits for no disk takes some 30 µs, and to be woken takes as long: who
/// sleeps comes too late for the next group.
const AWAKE: Duration = Duration::from_millis(1);

/// The write queue of one database.
#[derive(Debug, Default)]
pub struct WriteQueue {
    order: Mutex<Order>,
}

#[derive(Debug, Default)]
struct Order {
    /// Who writes.
    holder: Option<ThreadId>,
    waiting: VecDeque<Arc<Waiter>>,
    /// What came of offers, until those who made them take it. Who neither waits nor finds its answer
    /// here is being written.
    answers: Vec<(Arc<Waiter>, Answer)>,
    /// When somebody who had waited was last served.
    served: Option<Instant>,
    /// How many offers the last turn has written and left.
    lately: usize,
}

#[derive(Debug)]
struct Waiter {
    since: Instant,
    called: Condvar,
    /// Somebody else passed when it was called: the next call comes with its turn, because waking
    /// it for nothing costs those who pass more than the wait.
    passed_over: AtomicBool,
    offer: Option<Offer>,
    /// It has been answered or called since it last looked.
    told: AtomicBool,
    /// It looks no more, but sleeps until it is woken.
    asleep: AtomicBool,
}

/// The write queue of a connection's database, and how the connection writes.
#[derive(Clone, Debug)]
pub struct QueueAccess {
    pub queue: Arc<WriteQueue>,
    /// How long the connection waits for its turn.
    pub patience: Duration,
    /// The settings that a write depends on: connections of one manner may write for each other.
    /// `None` for one that writes for nobody, and nobody for it.
    pub manner: Option<Arc<str>>,
    /// The last transaction on the connection was one of ours and was committed: it can write, and
    /// nothing is open on it.
    pub wrote: bool,
    /// Somebody may have changed the settings since.
    pub stale: bool,
}

/// The result of waiting for a turn.
#[derive(Debug)]
pub(crate) enum Waited {
    /// Ours, until this is dropped.
    Turn(Turn),
    /// This thread holds it already, on another connection: nobody would ever let it pass.
    HeldByThisThread,
    /// Another thread has written the offer, or has not.
    Answered(Answer),
    TimedOut,
}

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

    /// Waits for the turn of this thread, for `most` at the longest, or until another one has written
    /// the offer in its own.
    pub(crate) fn wait(self: &Arc<Self>, most: Duration, offer: Option<Offer>) -> Waited {
        let me = std::thread::current().id();
        let mut order = self.order();
        if order.holder == Some(me) {
            return Waited::HeldByThisThread;
        }
        if let Some(turn) = self.free_turn(&mut order) {
            return Waited::Turn(turn);
        }
        let waiter = Arc::new(Waiter::new(offer));
        order.waiting.push_back(Arc::clone(&waiter));
        loop {
            let slept = !waiter.is_awake();
            order = if slept { waiter.sleep(order, most) } else { self.look(order, &waiter) };
            if let Some(answer) = order.take_answer(&waiter) {
                return Waited::Answered(answer);
            }
            if !order.is_waiting(&waiter) {
                // it is being written: whoever does so says what came of it
                continue;
            }
            // whoever writes goes on best, with what its connection remembers of the file
            let called = waiter.told.swap(false, Ordering::Relaxed);
            let free = order.holder.is_none() && (slept || called);
            let late = waiter.since.elapsed() >= most;
            if !free && !late {
                if slept {
                    waiter.passed_over.store(true, Ordering::Relaxed);
                }
                continue;
            }
            order.waiting.retain(|other| !Arc::ptr_eq(other, &waiter));
            if free {
                order.holder = Some(me);
                order.served = Some(Instant::now());
                return Waited::Turn(Turn::new(self));
            }
            return Waited::TimedOut;
        }
    }

    /// The turn of this thread, if it does not have to wait for it.
    pub(crate) fn at_once(self: &Arc<Self>) -> Option<Turn> {
        self.free_turn(&mut self.order())
    }

    fn free_turn(self: &Arc<Self>, order: &mut Order) -> Option<Turn> {
        (order.holder.is_none() && !order.owes()).then(|| {
            order.holder = Some(std::thread::current().id());
            Turn::new(self)
        })
    }

    /// How many threads wait.
    pub(crate) fn waiting(&self) -> usize {
        self.order().waiting.len()
    }

    /// Lets others go on until the waiter is told something, or has looked for it long enough. It does
    /// so without the lock, which they need.
    fn look<'q>(&'q self, order: MutexGuard<'q, Order>, waiter: &Waiter) -> MutexGuard<'q, Order> {
        drop(order);
        while waiter.is_awake() && !waiter.told.load(Ordering::Relaxed) {
            (0..50).for_each(|_| std::hint::spin_loop());
            std::thread::yield_now();
        }
        self.order()
    }

    fn order(&self) -> MutexGuard<'_, Order> {
        // nothing under this lock can panic half-way
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Order {
    fn is_waiting(&self, waiter: &Arc<Waiter>) -> bool {
        self.waiting.iter().any(|other| Arc::ptr_eq(other, waiter))
    }

    fn take_answer(&mut self, waiter: &Arc<Waiter>) -> Option<Answer> {
        let at = self.answers.iter().position(|(of, _)| Arc::ptr_eq(of, waiter))?;
        Some(self.answers.swap_remove(at).1)
    }

    /// How many wait with an offer.
    fn offers(&self) -> usize {
        self.waiting.iter().filter(|waiter| waiter.offer.is_some()).count()
    }

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
    fn new(offer: Option<Offer>) -> Self {
        let [passed_over, told, asleep] = [(); 3].map(|()| AtomicBool::new(false));
        Self { since: Instant::now(), called: Condvar::new(), passed_over, offer, told, asleep }
    }

    /// Whether it goes on looking, and does not sleep yet.
    fn is_awake(&self) -> bool {
        self.offer.is_some() && self.since.elapsed() < AWAKE
    }

    /// Sleeps until it is told something, or nobody may pass before it any more; `most`: how long it
    /// waits, unless it is being written.
    fn sleep<'q>(
        self: &Arc<Self>,
        order: MutexGuard<'q, Order>,
        most: Duration,
    ) -> MutexGuard<'q, Order> {
        let (left, turn) = (most.saturating_sub(self.since.elapsed()), order.until_turn());
        // whose turn has come is called
        let left = if self.is_passed_over() && !turn.is_zero() { left.min(turn) } else { left };
        let left = if order.is_waiting(self) { left } else { Duration::MAX };
        self.asleep.store(true, Ordering::Relaxed);
        let woken = self.called.wait_timeout(order, left);
        self.asleep.store(false, Ordering::Relaxed);
        woken.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Tells it that it has been answered or called. Returns whether it has to be woken for that: to wake
    /// one that is awake is a system call all the same.
    fn tell(&self) -> bool {
        self.told.store(true, Ordering::Relaxed);
        self.asleep.load(Ordering::Relaxed)
    }

    fn offers(&self, manner: &str) -> bool {
        self.offer.as_ref().is_some_and(|offer| &*offer.manner == manner)
    }

    fn is_passed_over(&self) -> bool {
        self.passed_over.load(Ordering::Relaxed)
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
                    let Waited::Turn(turn) = queue.wait(LONG, None) else { panic!("passed") };
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
        let Waited::Turn(turn) = queue.wait(LONG, None) else { panic!("passed") };
        assert!(matches!(queue.wait(LONG, None), Waited::HeldByThisThread));
        let other = || queue.wait(Duration::from_millis(5), None);
        let waited = std::thread::scope(|scope| scope.spawn(other).join().expect("waited"));
        assert!(matches!(waited, Waited::TimedOut));
        drop(turn);
        assert!(matches!(queue.wait(LONG, None), Waited::Turn(_)));
    }
}
