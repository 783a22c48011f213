//! A transition as it is asked for: `record.transition(T, conn).guard(…).persist(…).run()`.

use std::marker::PhantomData;
use std::time::Duration;

use flowstate::{
    ArtefactSet, Asks, Awaiting, Chain, Flow, Follows, LoadsNothing, Provided, Record, StartsStep,
    State as _, Supplied, Transition, TransitionOf,
};

use super::apply::{Applied, apply};
use super::callbacks::{Closures, HookResult, Verdict};
use super::decode;
use super::span::outcome;
use super::trace;
use super::typed::{Encoder, Typed};
use crate::dialect::Dialect;
use crate::dialect::change::{Landing, Link, Notes, Plan};
use crate::error::unconfirmed::Mark;
use crate::error::{BoxError, Error, RecordRef, Result, What};
use crate::metrics;
use crate::text::chain::chain;
use crate::text::json;
use crate::text::time::micros;
use crate::transaction::explain::Explain as _;
use crate::transaction::hooks::run_hook;
use crate::transaction::scope;
use crate::transaction::scope::Position;
use crate::transaction::swallowed;
use crate::transaction::token::{token, worker_id};

/// A transition that has been asked for and not run yet: [`Request::run`] runs it.
///
/// Closures run under the row's lock, in this order whatever the order of the calls: guards,
/// updates, `within`. If another transaction is in the way, the whole is rolled back and they
/// **run again**.
///
#[doc = include_str!("request.md")]
///
/// `P` follows the graph: see [`Chain`].
#[must_use = "a request does nothing until `.run()`"]
pub struct Request<'a, C, P: Asks> {
    asked: Asked<'a, P::Flow, C>,
    chain: PhantomData<P>,
}

/// The parts of a request that have been given so far.
struct Asked<'a, F: Flow, C> {
    record: &'a mut Record<F>,
    conn: &'a mut C,
    closures: Closures<'a, F, C>,
    links: Vec<Link>,
    notes: Notes,
    delay: Duration,
    lease: Option<Duration>,
    to: F::State,
    /// The first value that cannot be stored.
    refused: Option<Error>,
}

impl<'a, C: Dialect, T: Transition> Request<'a, C, Chain<T>> {
    pub(crate) fn new(record: &'a mut Record<T::Flow>, conn: &'a mut C) -> Self {
        let asked = Asked {
            record,
            conn,
            closures: Closures::none(),
            links: vec![Link::of::<T>()],
            notes: Notes::default(),
            delay: Duration::ZERO,
            lease: None,
            to: T::TO,
            refused: None,
        };
        Self { asked, chain: PhantomData }
    }
}

impl<'a, C, First, T, S> Request<'a, C, Chain<First, T, S>>
where
    C: Dialect,
    T: Transition,
    First: Transition,
{
    /// Hands over the artefacts that the transition persists: one, or a tuple in the order of its
    /// declaration.
    #[expect(clippy::needless_pass_by_value, reason = "handing over reads best by value")]
    pub fn persist(mut self, artefacts: T::Persists) -> Request<'a, C, Chain<First, T, Supplied>>
    where
        S: Awaiting,
    {
        let mut encoder = Encoder::new(self.asked.record_ref());
        match artefacts.write_to(&mut encoder) {
            Ok(()) => {
                if let Some(link) = self.asked.links.last_mut() {
                    link.artefacts = encoder.written;
                }
            }
            Err(error) => self.asked.refuse(error),
        }
        Request { asked: self.asked, chain: PhantomData }
    }

    /// Runs only if `check` says so. It is given the freshly locked row and the connection.
    ///
    /// `name` says what must hold; [`Error::GuardRejected`] repeats it. An error of `check` becomes
    /// [`Error::Guard`].
    pub fn guard<V: Verdict>(
        mut self,
        name: &'static str,
        mut check: impl FnMut(&Record<First::Flow>, &mut C) -> V + 'a,
    ) -> Self {
        let ask =
            Box::new(move |flow: &Record<First::Flow>, conn: &mut C| check(flow, conn).verdict());
        self.asked.closures.guards.push((name, ask));
        self
    }

    /// Changes the props, from the freshly locked row. They are stored with the transition. Fields
    /// that a newer program has written and this one does not know stay as they are.
    pub fn update(mut self, change: impl FnMut(&mut First::Flow) + 'a) -> Self {
        self.asked.closures.updates.push(Box::new(change));
        self
    }

    /// Writes of the caller that commit with the transition, or not at all.
    ///
    /// `work` is given the record, still in the state that it leaves, and the connection. Its error
    /// undoes everything and becomes [`Error::Within`]; one of this crate comes out as itself. A statement in it that fails must not be
    /// ignored ([`Error::FailureIgnored`]), unless it is wrapped in `conn.transaction(…)`; one that
    /// makes or changes a table commits on MySQL, whatever follows.
    pub fn within<R>(
        mut self,
        mut work: impl FnMut(&Record<First::Flow>, &mut C) -> Result<R, BoxError> + 'a,
    ) -> Self {
        let work = move |flow: &Record<First::Flow>, conn: &mut C| work(flow, conn).map(drop);
        self.asked.closures.within.push(Box::new(work));
        self
    }

    /// Runs after the outermost transaction has committed, never after a rollback.
    ///
    /// A hook is for what may be lost: a wake-up, a metric. If the process dies between the commit
    /// and the hook, it does not run; if it fails or panics, that is logged, and the transition
    /// stays committed. What must happen belongs into a state that somebody takes up.
    pub fn after_commit<H: HookResult>(
        mut self,
        hook: impl FnOnce(&Record<First::Flow>) -> H + 'static,
    ) -> Self {
        self.asked.closures.hooks.push(Box::new(move |flow| hook(flow).hook_result()));
        self
    }

    /// Takes a further transition at once, in the same transaction, with its own history row.
    ///
    /// The compiler checks that it starts from the state that has been reached, that it loads
    /// nothing, and that the artefacts of the transition before it have been handed over. `N` is `U`.
    pub fn then<U, N: Transition>(mut self, _: U) -> Request<'a, C, Chain<First, N>>
    where
        U: TransitionOf<First::Flow>,
        U::Own: Follows<T::To, First::Flow>,
        U::Loads: LoadsNothing,
        T::Persists: Provided<S, Next<U> = N>,
    {
        self.asked.links.push(Link::of::<U>());
        (self.asked.to, self.asked.lease) = (U::TO, None);
        Request { asked: self.asked, chain: PhantomData }
    }

    /// Who asked for it: kept in the history. At most 255 bytes.
    pub fn actor(mut self, actor: impl Into<String>) -> Self {
        let actor = actor.into();
        let checked = json::check_text(&actor, self.asked.record_ref(), What::Actor);
        checked.unwrap_or_else(|error| self.asked.refuse(error));
        self.asked.notes.actor = Some(actor);
        self
    }

    /// Anything worth keeping in the history, as JSON: with the first transition of the request.
    pub fn metadata(mut self, metadata: &impl serde::Serialize) -> Self {
        match json::encode(metadata, self.asked.record_ref(), || What::Metadata) {
            Ok(metadata) => self.asked.notes.metadata = Some(metadata),
            Err(error) => self.asked.refuse(error),
        }
        self
    }

    /// Why it failed, with the chain of causes: kept in the history, with the first transition of
    /// the request. Cut at 8 kB.
    pub fn error(mut self, error: impl Into<BoxError>) -> Self {
        let error = error.into();
        self.asked.notes.error = Some(json::clean_error(&chain(&*error)));
        self
    }

    /// When a worker may take the record: so long after the transition, by the database's clock.
    /// More than 1,000 years count as 1,000 years.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.asked.delay = delay;
        self
    }

    /// Takes the record as a worker does, for so long by the database's clock: for a job of one's own
    /// that takes the transitions of a step itself.
    ///
    /// If the job dies, the try is failed over when the lease has run out, as a worker's is, by any
    /// worker that serves the step or by [`reap`](crate::reap); no worker takes the record before.
    /// Nobody extends the lease: it has to last for the whole job, and ends with the next transition,
    /// whoever takes it. A job that may be late holds the record that it ends against the one that it
    /// took:
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use flowstate_diesel::prelude::*;
    /// # #[derive(flowstate::Flow, serde::Serialize, serde::Deserialize)]
    /// # #[state(Queued, Printing, Printed, Jammed(error))]
    /// # #[initial(Queued)]
    /// # #[completed(Printed)]
    /// # #[step(print: Queued | Jammed => Printing => Printed, fail(Jammed))]
    /// # struct Poster {}
    /// # fn print(poster: &PosterRecord) {}
    /// # fn main() -> flowstate_diesel::Result<()> {
    /// # let conn = &mut SqliteConnection::establish(":memory:").expect("memory");
    /// # flowstate_diesel::migrate(conn)?;
    /// # let mut poster = Poster {}.create(conn)?;
    /// poster.transition(Poster::START_PRINT, conn).lease(Duration::from_mins(10)).run()?;
    /// print(&poster);
    /// let mine = poster.seq();
    /// poster
    ///     .transition(Poster::FINISH_PRINT, conn)
    ///     .guard("still my claim", move |now, _| now.seq() == mine)
    ///     .run()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn lease(mut self, lease: Duration) -> Self
    where
        T: StartsStep,
    {
        self.asked.lease = Some(lease);
        self
    }

    /// Runs it, and returns the artefacts that the first transition loads.
    ///
    /// # Errors
    /// See [`Error`]. After any of them the record in memory is as it was, or as the row is.
    pub fn run(self) -> Result<First::Loads>
    where
        T::Persists: Provided<S>,
    {
        self.asked.run::<First>()
    }
}

impl<F: Flow, C: Dialect> Asked<'_, F, C> {
    fn record_ref(&self) -> RecordRef {
        RecordRef::of::<F>(self.record.id())
    }

    fn refuse(&mut self, error: Error) {
        self.refused.get_or_insert(error);
    }

    fn run<First: Transition<Flow = F>>(self) -> Result<First::Loads> {
        let span = tracing::debug_span!(
            "flowstate.transition",
            flow = F::NAME,
            id = self.record.id(),
            transition = First::NAME,
            from = tracing::field::Empty,
            to = self.to.as_str(),
            seq = tracing::field::Empty,
            outcome = tracing::field::Empty,
        );
        let _entered = span.enter();
        let result = self.run_in::<First>(&span);
        if let Err(error) = &result {
            metrics::refused(F::NAME, First::NAME, outcome(error));
        }
        span.record("outcome", if let Err(error) = &result { outcome(error) } else { "done" });
        result
    }

    fn run_in<First: Transition<Flow = F>>(self, span: &tracing::Span) -> Result<First::Loads> {
        let record = decode::present(self.record, self.conn)?;
        let Self { record: flow, conn, mut closures, links, mut notes, to, .. } = self;
        if let Some(refused) = self.refused {
            return Err(refused);
        }
        let position = scope::position(conn).explain_for(conn, record)?;
        if matches!(position, Position::Ended) {
            return Err(swallowed::ended(conn).about(record));
        }
        let hooks = std::mem::take(&mut closures.hooks);
        if !hooks.is_empty() && matches!(position, Position::Inside { rooted: false, .. }) {
            return Err(Error::HooksInForeignTransaction { record, transition: First::NAME });
        }
        notes.traceparent = trace::current();
        notes.token = token()?;
        let mut landing = Landing::at(F::DEFINITION, to.as_str(), self.delay);
        let lease = match self.lease {
            Some(lease) => {
                // what is at work is not due
                landing.timing.due_in = None;
                Some((micros(lease), worker_id()?.into()))
            }
            None => None,
        };
        let (aliases, id, held_by) = (F::ALIASES, flow.id(), None);
        let plan = Plan { record, aliases, id, links, notes, landing, lease, held_by };
        let outcome = position.outcome();
        let mut subject = Typed::<F, C, First>::new(flow, closures, outcome);
        let applied = apply(conn, &plan, &mut subject);
        // refreshed from the row by now, if that was needed
        span.record("from", subject.flow.state().as_str());
        let applied = applied?;
        let due_in = plan.landing.timing.due_in.map(chrono::TimeDelta::microseconds);
        let moved = subject.moved(&applied, to, due_in)?;
        let Typed { flow, outcome, loads, .. } = subject;
        flow.advance(moved, outcome, persisted(&plan, &applied));
        span.record("seq", applied.seq);
        hand_over_hooks(conn, &position, &applied.mark, flow, hooks);
        loads.ok_or(Error::MissingArtefact { record, what: What::Props })
    }
}

/// The artefacts that a request has written, each with the `seq` of its transition.
fn persisted<'p>(
    plan: &'p Plan,
    applied: &Applied,
) -> impl Iterator<Item = (&'static str, i64, &'p str)> {
    let first = applied.seq + 1 - i64::try_from(plan.links.len()).unwrap_or_default();
    plan.links.iter().zip(first..).flat_map(|(link, seq)| {
        link.artefacts.iter().map(move |payload| (payload.name, seq, &*payload.json))
    })
}

/// Gives the hooks to the transaction that is open, or runs them: the transition is committed.
fn hand_over_hooks<F: Flow, C: Dialect>(
    conn: &mut C,
    position: &Position,
    mark: &Mark,
    flow: &Record<F>,
    hooks: Vec<crate::transition::callbacks::Hook<F>>,
) {
    if hooks.is_empty() {
        return;
    }
    let hooks = hooks.into_iter().map(|hook| {
        let flow = flow.clone();
        let hook: Box<dyn FnOnce()> = Box::new(move || {
            if let Err(error) = hook(&flow) {
                let (name, id) = (F::NAME, flow.id());
                tracing::error!(
                    flow = name,
                    id,
                    error = chain(&*error),
                    "an after_commit hook failed; the transition is committed"
                );
            }
        });
        hook
    });
    if matches!(position, Position::Outside) {
        let record = mark.record.to_string();
        hooks.for_each(|hook| run_hook(&record, hook));
    } else {
        scope::defer(conn, hooks.map(|hook| (mark.clone(), hook)));
    }
}
