//! What the stages of a worker share.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use diesel::r2d2::{ManageConnection, Pool};
use flowstate::Signals;

use super::ended::Ended;
use super::known::Known;
use super::left_alone::LeftAlone;
use super::outbox::Outbox;
use super::passed_over::PassedOver;
use super::questions::Questions;
use super::runner::Runner;
use super::schedule::{Room, Schedule};
pub(super) use super::stage::Stage;
use super::stats::{Counters, Stats};
use super::trouble::Trouble;
use super::visit::Visit;
use super::watch::Watch;
use super::watermark::Watermark;
use crate::dialect::connection::Store;
use crate::dialect::rows::ClaimedRow;
use crate::error::Result;
use crate::operator::presence::Presence;
use crate::transaction::token::worker_id;
use crate::worker::claim::settle::Fence;
use crate::worker::step::timed::Timed;

/// So many ends may be unsettled for each handler before handlers wait for them; a batch at least.
const UNSETTLED: usize = 4;

/// What all threads of a worker share.
pub(crate) struct Core<M: ManageConnection<Connection: Store>> {
    pub(super) pool: Pool<M>,
    pub(super) runners: Vec<Arc<dyn Runner<M::Connection>>>,
    pub(super) timed: Vec<Timed<M::Connection>>,
    pub(super) known: Vec<Known>,
    pub(super) questions: Questions,
    pub(super) watermark: Watermark,
    /// The calls to the database that are under way.
    pub(super) watch: Watch,
    pub(super) worker: Arc<str>,
    /// The row by which operators see the worker; `None` for one that ends by itself.
    pub(super) presence: Option<Presence>,
    pub(super) counters: Counters,
    /// Which step is first served by the next poll.
    pub(super) turn: AtomicUsize,
    /// How many handlers run at once.
    pub(super) threads: usize,
    pub(super) poll: Duration,
    /// Set when a shutdown begins, for handlers that take long.
    pub(super) stopping: Arc<AtomicBool>,
    /// What begins the idempotency keys of the database, once it was asked.
    pub(super) identity: OnceLock<Arc<str>>,
    shared: Mutex<Shared>,
    /// Here handlers wait for claims, and for room in the outbox.
    pub(super) work: Condvar,
    /// Here the poll stage waits.
    pub(super) demand: Condvar,
    /// Here the settle stage waits.
    pub(super) ends: Condvar,
    /// Here everybody else waits.
    pub(super) changed: Condvar,
}

/// A claim that waits for a handler.
pub(crate) struct Job {
    pub(crate) step: usize,
    pub(crate) claim: ClaimedRow,
    pub(crate) signals: Signals,
}

pub(super) struct Shared {
    pub(super) ready: VecDeque<Job>,
    /// The claims that are waiting, running or unsettled, by id.
    pub(super) held: HashMap<i64, Held>,
    /// The ends of handlers, until they are written.
    pub(super) outbox: Outbox<Ended>,
    /// How many handlers run.
    pub(super) busy: usize,
    /// How many handlers wait for work.
    pub(super) waiting: usize,
    pub(super) schedule: Schedule,
    /// The last poll found nothing, and nothing ran meanwhile; or why it failed.
    pub(super) idle: Option<Result<()>>,
    pub(super) phase: Phase,
    /// The threads that have ended.
    pub(super) ended: Vec<Stage>,
    pub(super) trouble: Trouble,
    pub(super) passed_over: PassedOver,
    pub(super) left_alone: LeftAlone,
}

/// How far a worker is with stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Not all threads are there.
    Starting,
    Working,
    /// Nothing is claimed any more; handlers have their grace.
    Stopping,
    /// The grace is over: claims that are not settled are given back.
    Abandoned,
    /// There is nobody to stop: one of the threads could not be had.
    NeverStarted,
}

#[derive(Clone)]
pub(super) struct Held {
    pub(super) step: usize,
    pub(super) fence: Fence,
    /// The signals that the claim's handler can ask for.
    pub(super) signals: Signals,
    /// When it was last known to be held: when the database had answered.
    pub(super) checked: Instant,
    /// Until then its lease holds, by our clock.
    pub(super) until: Instant,
    /// A transactional handler runs: the row's lock holds the claim, and nobody can settle it but it.
    pub(super) locked: bool,
}

impl Shared {
    /// Whether something runs, waits for a handler, or is unsettled.
    pub(super) fn works(&self) -> bool {
        self.busy > 0 || !self.ready.is_empty() || !self.outbox.is_empty()
    }

    /// How many more claims there is room for, with so many handlers.
    pub(super) fn room(&self, handlers: usize) -> Room {
        let ready = self.ready.len();
        Room { free: handlers.saturating_sub(self.busy + ready), ready }
    }

    /// Whether all that worked on claims has ended.
    pub(super) fn is_done(&self, handlers: usize) -> bool {
        self.handlers_ended() == handlers
            && [Stage::Poll, Stage::Settle].iter().all(|stage| self.ended.contains(stage))
    }

    /// Whether all that looked after claims has ended.
    pub(super) fn is_quiet(&self) -> bool {
        [Stage::Heartbeat, Stage::Tell, Stage::Watch].iter().all(|stage| self.ended.contains(stage))
    }

    pub(super) fn handlers_ended(&self) -> usize {
        self.ended.iter().filter(|stage| **stage == Stage::Handler).count()
    }
}

impl<M: ManageConnection<Connection: Store>> Core<M> {
    pub(crate) fn new(
        pool: Pool<M>,
        runners: Vec<Arc<dyn Runner<M::Connection>>>,
        timed: Vec<Timed<M::Connection>>,
        known: Vec<Known>,
        program: Option<(String, String)>,
        threads: usize,
        longest_pause: Duration,
    ) -> Result<Arc<Self>> {
        let worker: Arc<str> = worker_id()?.into();
        let batch = runners.iter().filter_map(|runner| runner.step().policy.batch_size()).max();
        let unsettled = threads.saturating_mul(UNSETTLED);
        let unsettled = unsettled.max(batch.unwrap_or_default().saturating_mul(2));
        let shared = Shared {
            ready: VecDeque::new(),
            held: HashMap::new(),
            outbox: Outbox::new(unsettled),
            busy: 0,
            waiting: 0,
            schedule: Schedule::new(Instant::now(), threads, longest_pause, batch),
            idle: None,
            phase: Phase::Starting,
            ended: Vec::new(),
            trouble: Trouble::default(),
            passed_over: PassedOver::default(),
            left_alone: LeftAlone::default(),
        };
        let sources = runners.iter().map(|runner| runner.step());
        let sources = sources.flat_map(|step| step.sources.iter().map(|&state| (step.flow, state)));
        let serves = Presence::serves(sources);
        let own = known.iter().filter(|known| known.flow == known.definition.name);
        let definitions = own.map(|known| known.definition).collect();
        let presence = program.map(|(program, version)| Presence {
            worker: worker.to_string(),
            program,
            version,
            serves,
            threads,
            definitions,
        });
        Ok(Arc::new(Self {
            presence,
            questions: Questions::new(&runners, &timed),
            watermark: Watermark::default(),
            watch: Watch::default(),
            counters: Counters::new(runners.len()),
            pool,
            runners,
            timed,
            known,
            worker,
            turn: AtomicUsize::new(0),
            threads,
            poll: longest_pause,
            stopping: Arc::default(),
            identity: OnceLock::new(),
            shared: Mutex::new(shared),
            work: Condvar::new(),
            demand: Condvar::new(),
            ends: Condvar::new(),
            changed: Condvar::new(),
        }))
    }

    pub(crate) fn stats(&self) -> Stats {
        let steps: Vec<_> = self.runners.iter().map(|runner| runner.step().name).collect();
        let running = self.shared().held.len();
        self.counters.read(running, &steps)
    }

    /// How many claims of a step this worker holds, under whatever name of its flow.
    pub(super) fn held(&self, step: usize) -> usize {
        let policy = |step: usize| &self.runners[step].step().policy;
        let is_of = |held: &&Held| Arc::ptr_eq(policy(held.step), policy(step));
        self.shared().held.values().filter(is_of).count()
    }

    /// Remembers a claim until it is settled. Returns what its handler can ask.
    pub(super) fn hold(&self, step: usize, claim: &ClaimedRow, asked: Instant) -> Signals {
        let signals = Signals { stopping: Arc::clone(&self.stopping), ..Signals::default() };
        let (fence, shared) = (Fence::of(&claim.row, &self.worker), signals.clone());
        let until = asked + self.runners[step].step().lease();
        let checked = Instant::now();
        let held = Held { step, fence, signals: shared, checked, until, locked: false };
        self.shared().held.insert(claim.row.id, held);
        signals
    }

    /// The claims that no row's lock holds.
    pub(super) fn unlocked(&self) -> Vec<Held> {
        self.shared().held.values().filter(|held| !held.locked).cloned().collect()
    }

    /// Waits until a poll has found nothing and nothing is left to be done.
    pub(crate) fn wait_until_idle(&self) -> Result<()> {
        let mut shared = self.shared();
        shared.schedule.awaited = true;
        loop {
            if let Some(idle) = shared.idle.take() {
                return idle;
            }
            shared = wait_at(&self.changed, shared, self.poll);
        }
    }

    /// Runs `work` on a pooled connection.
    pub(super) fn with<R>(&self, work: impl FnOnce(&mut M::Connection) -> Result<R>) -> Result<R> {
        self.visit().call(work)
    }

    /// Runs `work` on a pooled connection, if there is one in so long.
    pub(super) fn with_in<R>(
        &self,
        patience: Duration,
        work: impl FnOnce(&mut M::Connection) -> Result<R>,
    ) -> Result<R> {
        self.visit().patient(patience).call(work)
    }

    pub(super) fn visit(&self) -> Visit<'_, M> {
        Visit::new(&self.pool, &self.watch)
    }

    pub(super) fn shared(&self) -> MutexGuard<'_, Shared> {
        // no user code runs under this lock: a panic cannot leave it half changed
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a change, as those do who wait for neither claims, nor polls, nor ends.
    pub(super) fn wait<'g>(
        &self,
        shared: MutexGuard<'g, Shared>,
        pause: Duration,
    ) -> MutexGuard<'g, Shared> {
        wait_at(&self.changed, shared, pause)
    }

    /// Waits for something that the threads of this worker do, until `deadline` at the latest. Whether
    /// it has come about.
    pub(super) fn wait_until(
        &self,
        deadline: Option<Instant>,
        is_so: impl Fn(&Shared) -> bool,
    ) -> bool {
        let mut shared = self.shared();
        while !is_so(&shared) {
            let left = deadline.map_or(Duration::from_hours(1), |deadline| {
                deadline.saturating_duration_since(Instant::now())
            });
            if left.is_zero() {
                return false;
            }
            shared = self.wait(shared, left);
        }
        true
    }

    /// A thread has ended.
    pub(super) fn end(&self, stage: Stage) {
        self.shared().ended.push(stage);
        self.ends.notify_all();
        self.work.notify_all();
        self.changed.notify_all();
    }
}

/// Waits until somebody calls there, for `pause` at the longest.
pub(super) fn wait_at<'g>(
    at: &Condvar,
    shared: MutexGuard<'g, Shared>,
    pause: Duration,
) -> MutexGuard<'g, Shared> {
    at.wait_timeout(shared, pause).unwrap_or_else(PoisonError::into_inner).0
}
