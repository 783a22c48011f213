//! The loop of a worker, and the state its threads share.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use diesel::r2d2::{ManageConnection, Pool};
use flowstate::Signals;

use super::handler::lease_lost;
use super::passed_over::PassedOver;
use super::poll::Questions;
use super::presence::presence;
use super::runner::{Runner, Settled};
use super::schedule::{Demand, Next};
use super::stats::{Counters, Stats, count};
use super::trouble::Trouble;
use super::unknown::Known;
use super::watermark::Horizon;
use crate::dialect::connection::Store;
use crate::dialect::rows::ClaimedRow;
use crate::error::{Error, RecordRef, Result};
use crate::operator::presence::Presence;
use crate::text::chain::chain;
use crate::transaction::notify;
use crate::transaction::token::worker_id;
use crate::worker::claim::settle::Fence;
use crate::worker::step::timed::Timed;

/// The first pause after a look that found nothing; each further one is twice as long.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// How long to wait for the pool in one go.
const POOL_PATIENCE: Duration = Duration::from_secs(5);
/// The longest pause while the database cannot be reached.
pub(super) const LONGEST_OUTAGE_PAUSE: Duration = Duration::from_secs(2);

/// What all threads of a worker share.
pub(crate) struct Core<M: ManageConnection<Connection: Store>> {
    pub(super) pool: Pool<M>,
    pub(crate) runners: Vec<Arc<dyn Runner<M::Connection>>>,
    pub(crate) timed: Vec<Timed<M::Connection>>,
    pub(super) known: Vec<Known>,
    pub(crate) questions: Questions,
    pub(super) horizon: Horizon,
    pub(crate) worker: Arc<str>,
    /// What is told to those who operate it, of a worker that stays.
    pub(super) presence: Option<Presence>,
    pub(crate) counters: Counters,
    /// Which step is first served at the next look.
    pub(crate) turn: AtomicUsize,
    pub(super) threads: usize,
    pub(super) poll: Duration,
    /// Set when a shutdown begins, for handlers that take long.
    pub(super) stopping: Arc<AtomicBool>,
    /// What begins the idempotency keys of the database, once it was asked.
    pub(super) identity: OnceLock<Arc<str>>,
    /// The most that a step claims at once, if one claims batches.
    pub(super) batch: Option<usize>,
    shared: Mutex<Shared>,
    /// Here threads wait for something to do, and nobody else.
    pub(super) work: Condvar,
    /// Here everybody else waits.
    pub(super) changed: Condvar,
}

/// A claim that waits for a thread.
pub(crate) struct Job {
    pub(crate) step: usize,
    pub(crate) claim: ClaimedRow,
    pub(crate) signals: Signals,
}

pub(super) struct Shared {
    pub(super) ready: VecDeque<Job>,
    /// The claims that are waiting or running, by id.
    pub(super) held: HashMap<i64, Held>,
    pub(super) busy: usize,
    pub(super) looking: bool,
    pub(super) demand: Demand,
    /// With fewer claims than this ready, the next batch is fetched.
    pub(super) lead: usize,
    /// How many threads wait for work.
    pub(super) waiting: usize,
    pub(super) next_look: Instant,
    pub(super) last_look: Instant,
    pub(super) pause: Duration,
    /// The last look found nothing, and nothing ran meanwhile; or why it failed.
    pub(super) idle: Option<Result<()>>,
    pub(super) phase: Phase,
    pub(super) ended: usize,
    pub(super) keeper_ended: bool,
    pub(super) trouble: Trouble,
    pub(super) passed_over: PassedOver,
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
    /// What its handler can ask.
    pub(super) signals: Signals,
    /// When its row was last looked at: before the database was asked.
    pub(super) checked: Instant,
    /// Until then its lease holds, by our clock.
    pub(super) until: Instant,
    /// A transactional handler runs: the row's lock holds the claim, and nobody can settle it but it.
    pub(super) locked: bool,
}

/// Starts the threads and the keeper: all of them, or none.
pub(crate) fn spawn<M: ManageConnection<Connection: Store>>(
    core: &Arc<Core<M>>,
    threads: usize,
) -> Result<Vec<JoinHandle<()>>> {
    notify::register(core);
    let named = |name: String, work: fn(&Core<M>)| {
        let core = Arc::clone(core);
        let thread = std::thread::Builder::new().name(name).spawn(move || {
            // until all are there, nothing is claimed that nobody could give back
            if core.is_started() {
                work(&core);
            }
        });
        thread.map_err(|error| Error::Setup { problem: format!("no thread: {error}") })
    };
    let start = || {
        let mut handles = vec![named("flowstate-keeper".to_owned(), Core::keep)?];
        for at in 0..threads {
            handles.push(named(format!("flowstate-{at}"), Core::work)?);
        }
        Ok(handles)
    };
    let started = start();
    core.shared().phase = if started.is_ok() { Phase::Working } else { Phase::NeverStarted };
    core.changed.notify_all();
    started
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
        let now = Instant::now();
        let shared = Shared {
            ready: VecDeque::new(),
            held: HashMap::new(),
            busy: 0,
            looking: false,
            demand: Demand::default(),
            lead: threads,
            waiting: 0,
            next_look: now,
            last_look: now,
            pause: FIRST_PAUSE,
            idle: None,
            phase: Phase::Starting,
            ended: 0,
            keeper_ended: false,
            trouble: Trouble::default(),
            passed_over: PassedOver::default(),
        };
        let sources = runners.iter().map(|runner| runner.step());
        let sources = sources.flat_map(|step| step.sources.iter().map(|&state| (step.flow, state)));
        let serves = Presence::serves(sources);
        let definitions = known.iter().map(|known| known.definition).collect();
        Ok(Arc::new(Self {
            presence: program
                .map(|program| presence(&worker, program, serves, threads, definitions)),
            questions: Questions::new(&runners, &timed),
            horizon: Horizon::default(),
            counters: Counters::new(runners.len()),
            batch: runners.iter().filter_map(|runner| runner.step().policy.batch_size()).max(),
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
            changed: Condvar::new(),
        }))
    }

    /// Waits until all threads are there. `false` if one could not be had.
    fn is_started(&self) -> bool {
        let mut shared = self.shared();
        while shared.phase == Phase::Starting {
            shared = self.wait(shared, self.poll);
        }
        shared.phase != Phase::NeverStarted
    }

    /// One thread: runs what is claimed, and looks for more when nothing is.
    fn work(&self) {
        while let Some(next) = self.next() {
            match next {
                Next::Run(job) => self.run_caught(*job),
                Next::Look(search) => self.look_and_tell(&search),
            }
        }
        if self.shared().phase == Phase::Abandoned {
            self.part();
        }
        let mut shared = self.shared();
        shared.ended += 1;
        drop(shared);
        self.changed.notify_all();
    }

    pub(super) fn run(&self, job: Job) {
        let (id, runner) = (job.claim.row.id, &self.runners[job.step]);
        let step = runner.step();
        let fence = Fence::of(&job.claim.row, &self.worker);
        let span = tracing::debug_span!(
            "flowstate.step",
            flow = step.flow,
            id,
            step = step.name,
            attempt = fence.attempts.saturating_add(1),
            outcome = tracing::field::Empty,
        );
        let entered = span.enter();
        let done = if runner.locks_first() || self.is_still_held(&job) {
            runner.run(job.claim, job.signals, self)
        } else {
            Err(lease_lost(step, RecordRef { flow: step.flow, id: Some(id) }))
        };
        let ran = done.and_then(|done| self.settle(&**runner, &fence, done));
        let (outcome, counter) = match &ran {
            Ok(Settled::Finished) => ("finished", Some(&self.counters.finished)),
            Ok(Settled::Failed { .. }) => ("failed", Some(&self.counters.failed)),
            Ok(Settled::PutOff | Settled::LeftAlone(_)) => {
                ("put off", Some(&self.counters.put_off))
            }
            Err(Error::LeaseLost { .. }) => ("lost", Some(&self.counters.lost)),
            Err(_) => ("abandoned", None),
        };
        span.record("outcome", outcome);
        if let Err(error) = &ran {
            let (flow, step, attempt) = (step.flow, step.name, fence.attempts.saturating_add(1));
            tracing::warn!(
                flow,
                id,
                step,
                attempt,
                error = chain(error),
                "a claim was not settled"
            );
        }
        drop(entered);
        // the last of the subscriber's code, which may panic: what follows is done once
        drop(span);
        self.put_away(&fence, counter.is_some());
        // by now it is no longer among those that run
        if let Some(counter) = counter {
            count(counter);
        }
    }

    pub(crate) fn has_ended(&self, thread: &JoinHandle<()>) -> bool {
        let shared = self.shared();
        // it may wait for a connection beyond the grace
        let all = shared.ended == self.threads && shared.keeper_ended;
        all || thread.is_finished()
    }

    pub(crate) fn stats(&self) -> Stats {
        let steps: Vec<_> = self.runners.iter().map(|runner| runner.step().name).collect();
        let running = self.shared().held.len();
        self.counters.read(running, &steps)
    }

    /// How many claims of a step this worker holds.
    pub(crate) fn held(&self, step: usize) -> usize {
        self.shared().held.values().filter(|held| held.step == step).count()
    }

    /// Remembers a claim until it is settled. Returns what its handler can ask.
    pub(crate) fn hold(&self, step: usize, claim: &ClaimedRow, asked: Instant) -> Signals {
        let signals = Signals { stopping: Arc::clone(&self.stopping), ..Signals::default() };
        let (fence, shared) = (Fence::of(&claim.row, &self.worker), signals.clone());
        let until = asked + self.runners[step].step().lease();
        let held = Held { step, fence, signals: shared, checked: asked, until, locked: false };
        self.shared().held.insert(claim.row.id, held);
        signals
    }

    /// The claims that no row's lock holds.
    pub(super) fn unlocked(&self) -> Vec<Held> {
        self.shared().held.values().filter(|held| !held.locked).cloned().collect()
    }

    /// Waits before the keeper's next round. `false` when the worker has stopped.
    pub(crate) fn pause_keeper(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        let mut shared = self.shared();
        loop {
            if shared.phase == Phase::Abandoned
                || (shared.phase == Phase::Stopping && shared.ended == self.threads)
            {
                return false;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            shared = self.wait(shared, left);
        }
    }

    /// Whether no thread has had time to look for a while.
    pub(crate) fn is_overdue_for_a_look(&self) -> bool {
        let shared = self.shared();
        let late = shared.last_look.elapsed() > self.poll * 2;
        late && !shared.looking && shared.phase == Phase::Working
    }

    pub(crate) fn looked(&self, now: Instant) {
        self.shared().last_look = now;
    }

    /// Runs `work` on a pooled connection.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut M::Connection) -> Result<R>) -> Result<R> {
        self.with_in(POOL_PATIENCE, work)
    }

    pub(super) fn shared(&self) -> MutexGuard<'_, Shared> {
        // no user code runs under this lock: a panic cannot leave it half changed
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for work.
    pub(super) fn wait_for_work<'g>(
        &self,
        shared: MutexGuard<'g, Shared>,
        pause: Duration,
    ) -> MutexGuard<'g, Shared> {
        let waited = self.work.wait_timeout(shared, pause);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Waits for a change of anything else.
    pub(super) fn wait<'g>(
        &self,
        shared: MutexGuard<'g, Shared>,
        pause: Duration,
    ) -> MutexGuard<'g, Shared> {
        let waited = self.changed.wait_timeout(shared, pause);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}
