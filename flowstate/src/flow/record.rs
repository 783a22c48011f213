//! One persisted flow, as it was last seen.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use chrono::{DateTime, Utc};

use super::Flow;
use super::state::State;

/// One persisted flow: where it stands, and its props (reached by dereferencing).
///
/// A record is a copy of the row, taken when it was last read or moved. It is never trusted: a
/// transition holds it against the row. The derive generates a wrapper `…Record` round it for
/// users' methods.
///
/// After a transition on MySQL or MariaDB, whose statements do not tell them, the times in memory are
/// estimates by the program's clock until the record is read again.
///
/// A clone is cheap: the props are shared.
pub struct Record<F: Flow> {
    row: Row<F>,
    /// The transaction in which `row` was read or written; `None` if it is committed data.
    seen_in: Option<TransactionOutcome>,
    /// The transaction in which the record was created.
    born_in: Option<TransactionOutcome>,
    /// What it was created under, as long as nobody tells whether that was committed.
    birth_token: Option<Arc<str>>,
    /// Rows to fall back to, oldest first, should the transaction that replaced them roll back.
    undo: Vec<(Row<F>, TransactionOutcome)>,
    /// The artefacts that this record has written itself.
    kept: Vec<Kept>,
}

/// An artefact as it was written, by the transition `seq`.
#[derive(Clone, Debug)]
struct Kept {
    name: &'static str,
    seq: i64,
    payload: Arc<str>,
}

/// The columns of a record. What a storage backend fills in; users read it through [`Record`].
#[derive(Debug)]
pub struct Row<F: Flow> {
    /// The key of the row.
    pub id: i64,
    /// The state.
    pub state: F::State,
    /// How many transitions the record has taken.
    pub seq: i64,
    /// The props.
    pub props: Arc<F>,
    /// The key it was created under, by `create_once` or `create_single`.
    pub key: Option<Arc<str>>,
    /// Failed tries of the present step in a row.
    pub attempts: i32,
    /// When a worker may take it.
    pub due_at: Option<DateTime<Utc>>,
    /// When it reached a completed state.
    pub completed_at: Option<DateTime<Utc>>,
    /// When it entered the error state it is in.
    pub last_errored_at: Option<DateTime<Utc>>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// How a transaction ended: shared between a backend and the records that were moved in it.
#[derive(Clone, Debug, Default)]
pub struct TransactionOutcome(Arc<OutcomeState>);

#[derive(Debug, Default)]
struct OutcomeState {
    ended: AtomicU8,
    /// What is committed in a savepoint still hangs on the transaction round it.
    outer: Option<TransactionOutcome>,
}

impl TransactionOutcome {
    const COMMITTED: u8 = 1;
    const ROLLED_BACK: u8 = 2;
    const NEVER_TOLD: u8 = 3;

    /// The outcome of a savepoint in this transaction.
    #[must_use]
    pub fn nested(&self) -> Self {
        Self(Arc::new(OutcomeState { ended: AtomicU8::new(0), outer: Some(self.clone()) }))
    }

    /// The outcome of a transaction or savepoint that was not opened by the backend, in `outer` if
    /// that was: whether it commits is never told.
    #[must_use]
    pub fn elsewhere(outer: Option<&Self>) -> Self {
        let ended = AtomicU8::new(Self::NEVER_TOLD);
        Self(Arc::new(OutcomeState { ended, outer: outer.cloned() }))
    }

    /// The transaction has committed.
    pub fn set_committed(&self) {
        self.0.ended.store(Self::COMMITTED, Ordering::Release);
    }

    /// The transaction has rolled back: its records show their former rows again.
    pub fn set_rolled_back(&self) {
        self.0.ended.store(Self::ROLLED_BACK, Ordering::Release);
    }

    /// Whether it is ever told.
    fn is_told(&self) -> bool {
        self.0.ended.load(Ordering::Acquire) != Self::NEVER_TOLD
            && self.0.outer.as_ref().is_none_or(Self::is_told)
    }

    fn is_committed(&self) -> bool {
        self.0.ended.load(Ordering::Acquire) == Self::COMMITTED
            && self.0.outer.as_ref().is_none_or(Self::is_committed)
    }

    fn is_rolled_back(&self) -> bool {
        self.0.ended.load(Ordering::Acquire) == Self::ROLLED_BACK
            || self.0.outer.as_ref().is_some_and(Self::is_rolled_back)
    }

    /// Whether it will not be told any more that it rolled back.
    fn is_over(&self) -> bool {
        matches!(self.0.ended.load(Ordering::Acquire), Self::COMMITTED | Self::NEVER_TOLD)
            && self.0.outer.as_ref().is_none_or(Self::is_over)
    }
}

impl<F: Flow> Record<F> {
    /// A record with these columns, which are committed: for storage backends.
    #[must_use]
    pub fn new(row: Row<F>) -> Self {
        Self {
            row,
            seen_in: None,
            born_in: None,
            birth_token: None,
            undo: Vec::new(),
            kept: Vec::new(),
        }
    }

    /// A record with columns that were read in the transaction of this outcome, if one was open:
    /// for storage backends.
    #[must_use]
    pub fn read_in(outcome: Option<TransactionOutcome>, row: Row<F>) -> Self {
        Self { seen_in: outcome, ..Self::new(row) }
    }

    /// A record that was created under this token in the transaction of this outcome, if one was open:
    /// for storage backends.
    #[must_use]
    pub fn created_in(outcome: Option<TransactionOutcome>, row: Row<F>, token: &str) -> Self {
        let untold = outcome.as_ref().is_some_and(|outcome| !outcome.is_told());
        let birth_token = untold.then(|| token.into());
        Self { born_in: outcome.clone(), birth_token, ..Self::read_in(outcome, row) }
    }

    /// The token under which the record was created, if that was in a transaction whose end is never
    /// told: only the row itself shows whether it was committed. For storage backends.
    #[must_use]
    pub fn birth_token(&self) -> Option<&str> {
        self.birth_token.as_deref()
    }

    /// Whether the columns are known to have been committed: for storage backends.
    ///
    /// If not, the `seq` proves nothing: what was seen may have been rolled back, and the row may
    /// since have come to the same `seq` another way.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        self.seen_in.as_ref().is_none_or(TransactionOutcome::is_committed)
    }

    /// Whether the record was created in a transaction that rolled back: its id may by now belong
    /// to another one. For storage backends.
    #[must_use]
    pub fn is_unborn(&self) -> bool {
        self.born_in.as_ref().is_some_and(TransactionOutcome::is_rolled_back)
    }

    /// The columns.
    #[must_use]
    pub fn row(&self) -> &Row<F> {
        let undone = self.undo.iter().find(|(_, outcome)| outcome.is_rolled_back());
        undone.map_or(&self.row, |(row, _)| row)
    }

    /// Replaces the columns by what was just read or written: for storage backends.
    ///
    /// If that happened in a transaction that is still open, its `outcome` decides later whether
    /// they hold or the present columns come back.
    pub fn replace(&mut self, row: Row<F>, outcome: Option<TransactionOutcome>) {
        // somebody else may have written artefacts meanwhile
        self.kept.clear();
        self.put(row, outcome);
    }

    /// Replaces the columns by what a transition of this record has written, with the artefacts it has
    /// persisted, by name: for storage backends.
    ///
    /// Those of at most [`Record::KEPT_BYTES`] are remembered, so that a transition that loads one
    /// need not ask for it again while the record has not moved otherwise.
    pub fn advance<'p>(
        &mut self,
        row: Row<F>,
        outcome: Option<TransactionOutcome>,
        persisted: impl IntoIterator<Item = (&'static str, i64, &'p str)>,
    ) {
        let before = self.row().seq;
        // not those of a transition that was rolled back
        self.kept.retain(|kept| kept.seq <= before);
        for (name, seq, payload) in persisted {
            self.kept.retain(|kept| kept.name != name);
            if payload.len() <= Self::KEPT_BYTES {
                self.kept.push(Kept { name, seq, payload: payload.into() });
            }
        }
        self.put(row, outcome);
    }

    /// The longest text of an artefact that a record remembers.
    pub const KEPT_BYTES: usize = 64 * 1024;

    /// The newest artefact of this name as text, if this record wrote it itself and has not moved
    /// otherwise since: for storage backends, which must hold the record's `seq` against the row.
    #[must_use]
    pub fn kept(&self, name: &str) -> Option<&str> {
        let present = self.row().seq;
        let kept = self.kept.iter().find(|kept| kept.name == name && kept.seq <= present)?;
        Some(&kept.payload)
    }

    fn put(&mut self, row: Row<F>, outcome: Option<TransactionOutcome>) {
        if let Some(undone) = self.undo.iter().position(|(_, outcome)| outcome.is_rolled_back()) {
            self.row = self.undo.swap_remove(undone).0;
            self.undo.truncate(undone);
        }
        self.undo.retain(|(_, outcome)| !outcome.is_over());
        let before = std::mem::replace(&mut self.row, row);
        match &outcome {
            Some(outcome) if outcome.is_over() => {}
            Some(outcome) => self.undo.push((before, outcome.clone())),
            None => self.undo.clear(),
        }
        if outcome.is_none() {
            // it is there, and committed
            self.birth_token = None;
        }
        self.seen_in = outcome;
    }

    /// The key of the row.
    #[must_use]
    pub fn id(&self) -> i64 {
        self.row().id
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> F::State {
        self.row().state
    }

    /// How many transitions the record has taken: its version, and the key of its newest history
    /// row.
    #[must_use]
    pub fn seq(&self) -> i64 {
        self.row().seq
    }

    /// The props: the fields of the flow's struct.
    #[must_use]
    pub fn props(&self) -> &F {
        &self.row().props
    }

    /// The key it was created under, if any.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.row().key.as_deref()
    }

    /// The number of the present try, from 1: one more for each time in a row that the step failed.
    /// The tries begin anew when somebody else moves the record, or starts it by hand after the last
    /// one.
    #[must_use]
    pub fn attempt(&self) -> i32 {
        self.row().attempts.saturating_add(1)
    }

    /// When a worker may take it; `None` means that nobody does by itself.
    #[must_use]
    pub fn due_at(&self) -> Option<DateTime<Utc>> {
        self.row().due_at
    }

    /// When it reached a completed state, by the database's clock.
    #[must_use]
    pub fn completed_at(&self) -> Option<DateTime<Utc>> {
        self.row().completed_at
    }

    /// When it entered the error state it is in, by the database's clock; `None` in other states.
    #[must_use]
    pub fn last_errored_at(&self) -> Option<DateTime<Utc>> {
        self.row().last_errored_at
    }

    /// When it was created, by the database's clock.
    #[must_use]
    pub fn created_at(&self) -> DateTime<Utc> {
        self.row().created_at
    }

    /// When it last changed, by the database's clock.
    #[must_use]
    pub fn updated_at(&self) -> DateTime<Utc> {
        self.row().updated_at
    }

    /// Whether the process has ended: its state is completed, or was so in the version of the program
    /// that brought it there.
    #[must_use]
    pub fn is_completed(&self) -> bool {
        self.state().is_completed() || self.completed_at().is_some()
    }

    /// Whether the process stands in a failure state.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.state().is_error()
    }

    /// Whether the process stands in a failure state out of which nothing will move it by itself any
    /// more: the tries are used up or no step starts there, and the state has no timed transition.
    #[must_use]
    pub fn has_given_up(&self) -> bool {
        self.is_error()
            && !self.is_completed()
            && self.due_at().is_none()
            && F::DEFINITION.timed(self.state().as_str()).is_none()
    }
}

impl<F: Flow> Deref for Record<F> {
    type Target = F;

    fn deref(&self) -> &F {
        self.props()
    }
}

impl<F: Flow> Clone for Record<F> {
    fn clone(&self) -> Self {
        Self {
            row: self.row.clone(),
            seen_in: self.seen_in.clone(),
            born_in: self.born_in.clone(),
            birth_token: self.birth_token.clone(),
            undo: self.undo.clone(),
            kept: self.kept.clone(),
        }
    }
}

impl<F: Flow> Clone for Row<F> {
    fn clone(&self) -> Self {
        Self { props: Arc::clone(&self.props), key: self.key.clone(), ..*self }
    }
}

impl<F: Flow> fmt::Debug for Record<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("flow", &F::NAME)
            .field("id", &self.id())
            .field("state", &self.state())
            .field("seq", &self.seq())
            .finish_non_exhaustive()
    }
}
