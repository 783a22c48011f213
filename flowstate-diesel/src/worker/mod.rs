//! Steps run from plain threads.
//!
//! The state is the queue: a committed transition is the next step's job.

mod announcement;
pub(crate) mod announcer;
pub(crate) mod claim;
pub(crate) mod engine;
mod serve;
pub(crate) mod step;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use diesel::r2d2::{ManageConnection, Pool};
use flowstate::{Claim, EndsAlone, ExpiresAlone, Flow, Handles, IntoStep, Step, StepError};

use crate::dialect::Notices as _;
use crate::dialect::connection::Store;
use crate::error::{Error, Result};
use crate::metrics;
use crate::operator::presence::Presence;
use crate::store::migrate::refuse_unfit;
use crate::text::chain::chain;
use engine::Core;
use engine::handler::NoEnd;
use engine::listen::Connect;
use engine::run;
use engine::stats::Stats;
use serve::{Served, register};

/// Runs steps from plain threads, on connections of an r2d2 pool.
///
/// Any number of workers in any number of processes may serve the same steps. A step whose process
/// died is failed over when its lease runs out, by whichever worker serves it.
///
/// ```no_run
/// # use std::time::Duration;
/// # use flowstate_diesel::diesel::r2d2::{ConnectionManager, Pool};
/// # use flowstate_diesel::{Claim, StepError, Worker, prelude::*};
/// # #[derive(flowstate::Flow, serde::Serialize, serde::Deserialize)]
/// # #[state(Picked, Fetching, Fetched, FailedToFetch(error))]
/// # #[initial(Picked)]
/// # #[completed(Fetched)]
/// # #[step(fetch: Picked | FailedToFetch => Fetching => Fetched, fail(FailedToFetch))]
/// # struct Import { url: String }
/// # fn fetch(url: &str) -> Result<(), std::io::Error> { Ok(()) }
/// struct Handlers;
///
/// impl ImportSteps<SqliteConnection> for Handlers {
///     fn fetch(&self, import: &Claim<ImportFetch>) -> Result<(), StepError> {
///         Ok(fetch(&import.url)?)
///     }
/// }
///
/// # fn start(pool: Pool<ConnectionManager<SqliteConnection>>) -> flowstate_diesel::Result<()> {
/// let worker = Worker::new(pool).serve::<Import>(Handlers).threads(4).start()?;
/// // …
/// worker.shutdown(Duration::from_secs(30))?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a worker does nothing until it is started"]
pub struct Worker<M: ManageConnection<Connection: Store>> {
    pool: Pool<M>,
    served: Served<M::Connection>,
    /// The name and the version of the program, if it has said them.
    program: Option<(String, String)>,
    threads: usize,
    poll: Duration,
    listens: Option<Connect<M::Connection>>,
}

impl<M: ManageConnection<Connection: Store>> Worker<M> {
    /// A worker without steps. A pool of any size will do: a connection is held only while a
    /// statement or a transactional handler runs.
    ///
    /// Leases are extended over the same pool. If transactional handlers hold all of its
    /// connections for longer than a lease, nobody extends the claims of the other threads, and
    /// another worker may fail them over: give the pool a connection more than such handlers run at
    /// once, or the steps a longer lease.
    pub fn new(pool: Pool<M>) -> Self {
        let served = Served { runners: Vec::new(), timed: Vec::new(), known: Vec::new() };
        Self {
            pool,
            served,
            program: None,
            threads: 1,
            poll: Duration::from_secs(1),
            listens: None,
        }
    }

    /// Serves every step of a flow, and its timed transitions.
    ///
    /// `handlers` implements the trait `…Steps` that the derive writes beside the flow: a method for
    /// each step, so that none can be forgotten.
    ///
    /// While a plain handler runs, no lock, no transaction and no connection is held. It runs *at
    /// least* once for each unit of work: a process may die after the handler did its work and before
    /// the outcome is committed. Hand [`Claim::idempotency_key`] to what must not be done twice.
    ///
    /// A handler of a `transactional` step runs in the transaction that ends the step, under the
    /// row's lock, on its connection: what it writes commits with the outcome, exactly once. It sees
    /// its record in the running state. If another transaction is in the way, the whole is rolled
    /// back and it runs again. The lease is not extended while it runs: the lock keeps others out. On
    /// SQLite nobody else can write meanwhile, not even to extend a lease: let it take less time than
    /// the leases of the other steps, and than the busy time-out.
    ///
    /// What a step does `within` the transaction that ends it runs whichever way it ends. If it
    /// returns an error where the handler succeeded, the try has failed with that error; if it does
    /// where the try failed, the record is left to its lease, and tried to be failed over then.
    pub fn serve<F: Flow>(mut self, handlers: impl Handles<F, M::Connection>) -> Self {
        register::<F, _, _>(Arc::new(handlers), &mut self.served);
        self
    }

    /// Serves one step, by a closure: for programs that serve a part of a flow's steps.
    ///
    /// It is given the claim and what the step loads, and returns an outcome. See
    /// [`Worker::serve`] for what is promised of it. A step that says `within` is refused, since the
    /// method that runs then is among the handlers of `serve`. The timed transitions of the flow are
    /// taken, too, but for those that say `within`: they wait for a worker that serves the flow.
    pub fn step<S, H>(mut self, step: S, handler: H) -> Self
    where
        S: IntoStep<Step: EndsAlone>,
        H: Fn(
                &Claim<S::Step>,
                <S::Step as Step>::Loads,
            ) -> Result<<S::Step as Step>::Outcome, StepError>
            + Send
            + Sync
            + 'static,
    {
        self.served.plain::<S::Step>(step.into_policy(), handler, NoEnd);
        self.served.flow::<<S::Step as Step>::Flow>();
        self
    }

    /// Serves one step whose handler writes to this database, by a closure: its writes commit with
    /// the outcome, exactly once. See [`Worker::serve`] for what is promised of it.
    ///
    /// The record that it is given is in the running state: it moves on once the handler has returned.
    pub fn transactional_step<S, H>(mut self, step: S, handler: H) -> Self
    where
        S: IntoStep<Step: EndsAlone>,
        H: Fn(
                &Claim<S::Step>,
                <S::Step as Step>::Loads,
                &mut M::Connection,
            ) -> Result<<S::Step as Step>::Outcome, StepError>
            + Send
            + Sync
            + 'static,
    {
        self.served.transactional::<S::Step>(step.into_policy(), handler);
        self.served.flow::<<S::Step as Step>::Flow>();
        self
    }

    /// Takes the timed transitions of a flow of which this worker serves no step. Those of flows
    /// with a step are taken anyway. A flow with one that says `within` is refused: [`Worker::serve`]
    /// it, with the method that runs then.
    ///
    /// The time counts from when the record came to be in the state. A step that starts there takes
    /// it out, so a claim ends that time; a failed try or a release that leads back begins it anew.
    pub fn timed<F: ExpiresAlone>(mut self) -> Self {
        self.served.flow::<F>();
        self
    }

    /// What the program is called, and its version, for those who operate it: such as
    /// `.program(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))`. Without it, the name of the
    /// executable.
    pub fn program(mut self, name: impl Into<String>, version: impl Into<String>) -> Self {
        self.program = Some((name.into(), version.into()));
        self
    }

    /// How many handlers run at once: one by default.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// The longest time between two looks at the database when there is nothing to do: one second
    /// by default, a millisecond at the least and a year at the most. While there was work lately, no
    /// longer than an eighth of the time since. Transitions made in this process
    /// are seen at once, those of others if it [listens](Worker::listen), and while there is work it
    /// is taken without a pause.
    pub fn poll(mut self, poll: Duration) -> Self {
        self.poll = poll.clamp(Duration::from_millis(1), Duration::from_hours(24 * 365));
        self
    }

    /// Hears at once what other processes commit, on a connection of its own that `manager` opens:
    ///
    /// ```no_run
    /// # use flowstate_diesel::diesel::r2d2::{ConnectionManager, Pool};
    /// # use flowstate_diesel::{Worker, prelude::*};
    /// # fn worker(url: &str) -> Result<Worker<ConnectionManager<SqliteConnection>>, Box<dyn std::error::Error>> {
    /// let manager = || ConnectionManager::<SqliteConnection>::new(url);
    /// let worker = Worker::new(Pool::new(manager())?).listen(manager());
    /// # Ok(worker)
    /// # }
    /// ```
    ///
    /// - SQLite: it is looked every 4 milliseconds whether the file has changed, which takes some
    ///   microseconds and no lock that others wait for.
    /// - PostgreSQL: it listens (`LISTEN`) to what the [`Announcer`](crate::Announcer)s of other
    ///   processes announce. That needs a session of its own: behind a pooler in transaction mode
    ///   nothing is heard, which is found out within 20 seconds and told; let `manager` connect to
    ///   the server itself. Every 10 seconds it has the server tell it something over the pool.
    /// - MySQL and MariaDB tell nothing; `manager` is not used.
    ///
    /// Nothing depends on it. If the connection is lost, that is told once as the event `what other
    /// processes commit is not heard, and found by polls`, and another one is opened, after pauses of
    /// up to 30 seconds.
    pub fn listen<N: ManageConnection<Connection = M::Connection>>(mut self, manager: N) -> Self {
        if M::Connection::HEARS {
            let connect = move || manager.connect().map_err(|error| chain(&error).into());
            self.listens = Some(Box::new(connect));
        }
        self
    }

    /// Starts the threads.
    ///
    /// # Errors
    /// [`Error::ServedTwice`]; a server that is too old is refused. One that cannot be asked now is
    /// waited for.
    pub fn start(self) -> Result<Running<M>> {
        self.begin(true)
    }

    /// `stays`: it is told to those who operate it.
    fn begin(self, stays: bool) -> Result<Running<M>> {
        let Self { pool, served, program, threads, poll, listens } = self;
        served.refuse_doubles()?;
        // whatever else is wrong now may be right when there is work
        if let Some(mut conn) = pool.try_get()
            && let Err(refused @ Error::Unfit(_)) = refuse_unfit(&mut *conn)
        {
            return Err(refused);
        }
        let program = stays.then(|| program.unwrap_or_else(Presence::this_program));
        let Served { runners, timed, known } = served;
        metrics::describe();
        for step in runners.iter().map(|runner| runner.step()) {
            metrics::begin(step.flow, step.name);
        }
        let core = Core::new(pool, runners, timed, known, program, threads, poll)?;
        Ok(Running { threads: run::spawn(&core, listens)?, core })
    }

    /// Runs steps until nothing is due and no handler runs, and stops: for tests and one-off
    /// programs. What is due later, a retry after its backoff for instance, is left.
    ///
    /// # Errors
    /// As [`Worker::start`]; [`Error::Database`], [`Error::NoConnection`] and conflicts if the
    /// database cannot be looked at.
    pub fn run_until_idle(self) -> Result<Stats> {
        let running = self.begin(false)?;
        let waited = running.core.wait_until_idle();
        let stats = running.shutdown(Duration::from_hours(1))?;
        waited.map(|()| stats)
    }
}

/// A worker at work. Stopped by [`Running::shutdown`], or when dropped, with 5 seconds' grace.
#[must_use = "a worker stops when this is dropped"]
pub struct Running<M: ManageConnection<Connection: Store>> {
    core: Arc<Core<M>>,
    threads: Vec<JoinHandle<()>>,
}

impl<M: ManageConnection<Connection: Store>> Running<M> {
    /// Numbers of what the worker has done so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.core.stats()
    }

    /// Stops claiming at once, gives back what was claimed and not begun, waits for the running
    /// handlers, and gives back theirs too if they are not done in time: a record given back is in
    /// the state from which it was claimed, can be claimed at once, by whoever comes next, and the
    /// try does not count.
    ///
    /// Returns within `grace`. The last tenth of it, a second at the most, is kept for giving back;
    /// if the database does not answer, or somebody has locked a record, a shorter grace than a
    /// second lasts a second.
    ///
    /// A handler cannot be stopped from outside: one that outlives the grace runs on in its thread,
    /// and what it returns is refused. That of a transactional step has the row's lock, so nobody
    /// can give its record back: what it does commits, if the process lives so long; if not, it is
    /// rolled back, and the lease runs out.
    ///
    /// # Errors
    /// The database's, or a conflict, if a record could not be given back in time. That is tried
    /// further while the process lives, until its lease has run out.
    pub fn shutdown(mut self, grace: Duration) -> Result<Stats> {
        let released = self.core.stop(grace);
        self.join();
        released.map(|()| self.core.stats())
    }

    fn join(&mut self) {
        for thread in self.threads.drain(..) {
            // a handler that outlives the grace keeps its thread
            if self.core.has_ended(&thread) {
                let _ = thread.join();
            }
        }
    }
}

impl<M: ManageConnection<Connection: Store>> Drop for Running<M> {
    fn drop(&mut self) {
        if self.threads.is_empty() {
            return;
        }
        if let Err(error) = self.core.stop(Duration::from_secs(5)) {
            let error = chain(&error);
            tracing::warn!(error, "claims could not be given back; their leases will run out");
        }
        self.join();
    }
}
