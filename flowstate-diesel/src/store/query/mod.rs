//! Which records of a flow: by state, by how long they have been there, by label.

mod cursor;
mod search;

use std::borrow::Borrow;
use std::time::Duration;

use flowstate::{Flow, Label, LabelValue};

pub use self::cursor::QueryCursor;
use self::search::{Search, records};
use crate::dialect::connection::AsStore;
#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;

/// Which records of a flow are wanted: all that is said must hold. [`Query::load`] reads a page.
///
/// ```
/// # use std::time::Duration;
/// # use flowstate_diesel::prelude::*;
/// # #[derive(flowstate::Flow, serde::Serialize, serde::Deserialize)]
/// # #[state(Asked, Checking, Active)]
/// # #[initial(Asked)]
/// # #[completed(Active)]
/// # #[group(InKyc = Asked | Checking)]
/// # #[flow(label(merchant_id))]
/// # #[transition(check: Asked => Checking)]
/// # #[transition(activate: Checking => Active)]
/// # struct Onboarding { merchant_id: u64 }
/// # fn main() -> flowstate_diesel::Result<()> {
/// # let conn = &mut SqliteConnection::establish(":memory:").expect("memory");
/// # flowstate_diesel::migrate(conn)?;
/// Onboarding { merchant_id: 42 }.create(conn)?;
///
/// // who has been in KYC for longer than three days?
/// let three_days = Duration::from_hours(72);
/// let late = Onboarding::query().states(Onboarding::IN_KYC).in_state_for(three_days).load(conn)?;
/// assert!(late.records.is_empty() && late.next.is_none());
///
/// let of_42 = Onboarding::query().label(Onboarding::MERCHANT_ID, 42).load(conn)?;
/// assert_eq!(of_42.records[0].merchant_id, 42);
/// # Ok(())
/// # }
/// ```
#[must_use = "a query does nothing until `.load(conn)`"]
#[derive(Debug)]
pub struct Query<F: Flow> {
    states: Vec<F::State>,
    in_state_for: Option<Duration>,
    given_up: bool,
    label: Option<(Label<F>, Option<String>)>,
    limit: usize,
    after: Option<QueryCursor>,
}

/// A page of a query.
#[derive(Debug)]
#[non_exhaustive]
pub struct Found<R> {
    /// What was found, the oldest first: those that are due or will be, the longest due first; then
    /// those that are claimed; then the others by id. With a label all by id.
    pub records: Vec<R>,
    /// Where to go on; `None` at the end. A page may hold fewer records than were asked for, and yet
    /// not be the last.
    pub next: Option<QueryCursor>,
}

impl<F: Flow> Query<F> {
    pub(crate) fn new() -> Self {
        let (states, in_state_for, given_up, label) = (Vec::new(), None, false, None);
        Self { states, in_state_for, given_up, label, limit: 100, after: None }
    }

    /// Only records in these states, such as a group of the flow. Rows that were written under an
    /// alias are among them.
    pub fn states(mut self, states: impl IntoIterator<Item: Borrow<F::State>>) -> Self {
        self.states = states.into_iter().map(|state| *state.borrow()).collect();
        self
    }

    /// Only records that last moved so long ago, by the database's clock.
    pub fn in_state_for(mut self, least: Duration) -> Self {
        self.in_state_for = Some(least);
        self
    }

    /// Only records that have failed, and that nothing will move by itself.
    pub fn given_up(mut self) -> Self {
        self.given_up = true;
        self
    }

    /// Only records with this label: see `#[flow(label(…))]`.
    pub fn label(mut self, label: Label<F>, value: impl LabelValue) -> Self {
        self.label = Some((label, value.label()));
        self
    }

    /// At most so many records (100 by default), after where the page before ended.
    pub fn page(mut self, limit: usize, after: Option<QueryCursor>) -> Self {
        (self.limit, self.after) = (limit.max(1), after);
        self
    }

    /// Reads the page, along indexes: some 2,000 rows at the most, however many records there are.
    /// What has moved elsewhere while it is read is left out.
    ///
    /// # Errors
    /// [`Error::Decode`] if this code cannot read one of the rows: [`Query::load_each`] gives the
    /// others all the same. [`Error::Unstorable`] for a value that no label can have;
    /// [`Error::Database`].
    pub fn load<S: AsStore>(self, conn: &mut S) -> Result<Found<F::Record>> {
        let Found { records, next } = self.load_each(conn)?;
        let records = records.into_iter().map(|(_, record)| record).collect::<Result<_>>()?;
        Ok(Found { records, next })
    }

    /// As [`Query::load`], with the id of each record and a result of its own.
    ///
    /// # Errors
    /// [`Error::Unstorable`], [`Error::Database`].
    pub fn load_each<S: AsStore>(self, conn: &mut S) -> Result<Found<(i64, Result<F::Record>)>> {
        let conn = conn.as_store();
        let search = Search::<F>::new(self, conn)?;
        let (found, next) = search.run(conn)?;
        let records = records::<F, _>(conn, &found)?;
        Ok(Found { records, next })
    }
}
