//! Creating, finding and reading flows.

use std::time::Duration;

use chrono::{DateTime, Utc};
#[cfg(feature = "r2d2")]
use diesel::r2d2::{ManageConnection, Pool};
use flowstate::{Flow, State};

use super::create;
use super::create::Due;
use super::history::StateCount;
use super::once::Once;
#[cfg(feature = "r2d2")]
use super::outcome;
#[cfg(doc)]
use crate::RecordStore;
use crate::dialect::Statements as _;
use crate::dialect::connection::AsStore;
#[cfg(feature = "r2d2")]
use crate::dialect::connection::Store;
use crate::dialect::rows::FlowRow;
use crate::dialect::sql::shared::{CountStates, FindKey, ListFlows};
use crate::dialect::sql::statement::Bind;
use crate::error::{RecordRef, Result, What};
use crate::text::json;
use crate::transaction::read::read;
use crate::transition::apply::names_json;
use crate::transition::decode;
use crate::transition::span::spanned;

/// What a flow can do with a database: create, find, list. In the prelude.
pub trait FlowStore: Flow {
    /// Stores a new record in the initial state, with its first history row.
    ///
    /// # Errors
    /// [`Error::Unstorable`](crate::Error::Unstorable) if the props cannot be kept as they are;
    /// nothing is written then.
    fn create<S: AsStore>(self, conn: &mut S) -> Result<Self::Record> {
        self.create_in(Duration::ZERO, conn)
    }

    /// Stores a new record that workers leave alone for so long, by the database's clock.
    ///
    /// # Errors
    /// As [`FlowStore::create`].
    fn create_in<S: AsStore>(self, delay: Duration, conn: &mut S) -> Result<Self::Record> {
        let call = || create::create(self, Due::In(delay), conn.as_store());
        spanned::<Self, _>("create", None, call, |record| Some(record.id()))
    }

    /// Stores a new record that workers leave alone until `time`: at once if it has passed.
    ///
    /// The time is that of the database's clock; one after the year 9000 counts as that.
    ///
    /// # Errors
    /// As [`FlowStore::create`].
    fn create_at<S: AsStore>(self, time: DateTime<Utc>, conn: &mut S) -> Result<Self::Record> {
        let call = || create::create(self, Due::At(time), conn.as_store());
        spanned::<Self, _>("create", None, call, |record| Some(record.id()))
    }

    /// Stores a new record under a key that is unique within the flow, or returns the one that has
    /// it: an idempotent start. Keys are compared byte by byte and have at most
    /// [`MAX_KEY_LENGTH`](crate::MAX_KEY_LENGTH) bytes.
    ///
    /// A key is free again when its record has been destroyed.
    ///
    /// What the record was created with is read as the present type and compared by what it writes:
    /// the order of a set's elements, and fields with a default that were added since, make no
    /// difference.
    ///
    /// ```
    /// # use flowstate_diesel::{Once, prelude::*};
    /// # #[derive(flowstate::Flow, serde::Serialize, serde::Deserialize)]
    /// # #[state(Open, Paid)]
    /// # #[initial(Open)]
    /// # #[completed(Paid)]
    /// # #[transition(pay: Open => Paid)]
    /// # struct Bill { cents: i64 }
    /// # fn main() -> flowstate_diesel::Result<()> {
    /// # let conn = &mut SqliteConnection::establish(":memory:").expect("memory");
    /// # flowstate_diesel::migrate(conn)?;
    /// // the same message, delivered twice
    /// let first = Bill { cents: 100 }.create_once("message 7", conn)?;
    /// let again = Bill { cents: 100 }.create_once("message 7", conn)?;
    /// assert!(matches!(first, Once::Created(_)) && matches!(again, Once::Existing(_)));
    /// assert_eq!(first.into_record().id(), again.into_record().id());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::KeyConflict`](crate::Error::KeyConflict) if the record was created with other
    /// props; [`Error::Decode`](crate::Error::Decode) if what it was created with cannot be read
    /// any more; [`Error::Unstorable`](crate::Error::Unstorable).
    fn create_once<S: AsStore>(self, key: &str, conn: &mut S) -> Result<Once<Self::Record>> {
        let call = || create::create_once(self, key, conn.as_store());
        spanned::<Self, _>("create_once", None, call, |once| match once {
            Once::Created(record) | Once::Existing(record) => Some(record.id()),
        })
    }

    /// Stores several new records, all or none, and returns them in the same order.
    ///
    /// # Errors
    /// As [`FlowStore::create`].
    fn create_many<S: AsStore>(
        flows: impl IntoIterator<Item = Self>,
        conn: &mut S,
    ) -> Result<Vec<Self::Record>> {
        let call = || create::create_many(flows.into_iter().collect(), conn.as_store());
        spanned::<Self, _>("create_many", None, call, |_| None)
    }

    /// Reads a record by its id.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound);
    /// [`Error::UnknownState`](crate::Error::UnknownState) or
    /// [`Error::Decode`](crate::Error::Decode) if this code cannot read the row.
    fn find<S: AsStore>(id: i64, conn: &mut S) -> Result<Self::Record> {
        let (conn, record) = (conn.as_store(), RecordRef::of::<Self>(id));
        decode::record::<Self>(decode::fetch(conn, record, id)?, decode::outcome(conn, record)?)
    }

    /// Reads the record that was created under this key, if there is one: none under a key that
    /// cannot be stored.
    ///
    /// # Errors
    /// [`Error::UnknownState`](crate::Error::UnknownState) or
    /// [`Error::Decode`](crate::Error::Decode) if this code cannot read the row.
    fn find_by_key<S: AsStore>(key: &str, conn: &mut S) -> Result<Option<Self::Record>> {
        let (conn, record) = (conn.as_store(), RecordRef::new::<Self>());
        if json::check_text(key, record, What::Key).is_err() {
            // PostgreSQL would fail, and with it the transaction that is open
            return Ok(None);
        }
        let binds = [Bind::Text(Self::NAME), Bind::Text(key)];
        let rows = read(conn, record, |conn| conn.flows::<FindKey>(&binds))?;
        let outcome = decode::outcome(conn, record)?;
        rows.into_iter().next().map(|row| decode::record::<Self>(row, outcome)).transpose()
    }

    /// Waits for what a record ends with. `None` if it has not ended within `timeout`, or
    /// [has given up](flowstate::Record::has_given_up), so that nothing will end it by itself any more.
    ///
    /// No connection is held while it waits. A transition of this process wakes it; one of another
    /// process it sees within a second. The time limit does not count how long the pool takes to give
    /// a connection.
    ///
    /// # Errors
    /// As [`RecordStore::outcome`]; [`Error::NoConnection`](crate::Error::NoConnection).
    #[cfg(feature = "r2d2")]
    fn await_outcome<M>(id: i64, timeout: Duration, pool: &Pool<M>) -> Result<Option<Self::Outcome>>
    where
        M: ManageConnection<Connection: Store>,
    {
        outcome::wait::<Self, M>(id, timeout, pool)
    }

    /// Reads a page of the records in any of these states, in order of their ids. Rows written under
    /// an alias of a state are among them.
    ///
    /// ```no_run
    /// # use flowstate_diesel::{Page, prelude::*};
    /// # fn each<F: flowstate::Flow>(states: &[F::State], conn: &mut SqliteConnection)
    /// # -> flowstate_diesel::Result<()> {
    /// let mut page = Page::first(100);
    /// loop {
    ///     let records = F::list(states.iter().copied(), page, conn)?;
    ///     let Some(last) = records.last() else { return Ok(()) };
    ///     page = Page::after(last.id(), 100);
    ///     // … use the records
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Decode`](crate::Error::Decode) if this code cannot read one of the rows:
    /// [`FlowStore::list_each`] gives the others all the same.
    fn list<S: AsStore>(
        states: impl IntoIterator<Item = Self::State>,
        page: Page,
        conn: &mut S,
    ) -> Result<Vec<Self::Record>> {
        Self::list_each(states, page, conn)?.into_iter().map(|(_, record)| record).collect()
    }

    /// As [`FlowStore::list`], with the id of each record and a result of its own: a row that this
    /// code cannot read ([`Error::Decode`](crate::Error::Decode)) does not keep the others away.
    ///
    /// # Errors
    /// [`Error::Database`](crate::Error::Database).
    fn list_each<S: AsStore>(
        states: impl IntoIterator<Item = Self::State>,
        page: Page,
        conn: &mut S,
    ) -> Result<Vec<(i64, Result<Self::Record>)>> {
        let (conn, record) = (conn.as_store(), RecordRef::new::<Self>());
        let names = states.into_iter().flat_map(stored_names);
        let names = names_json(names);
        let binds = [
            Bind::Text(Self::NAME),
            Bind::Text(&names),
            Bind::Int(page.after),
            Bind::Int(page.limit),
        ];
        let rows = read(conn, record, |conn| conn.flows::<ListFlows>(&binds))?;
        let outcome = decode::outcome(conn, record)?;
        let read = |row: FlowRow| (row.id, decode::record::<Self>(row, outcome.clone()));
        Ok(rows.into_iter().map(read).collect())
    }

    /// How many records are in which state, by stored name: rows under an alias count for the state,
    /// and states that this code does not know are among them. Reads every row of the flow.
    ///
    /// # Errors
    /// [`Error::Database`](crate::Error::Database).
    fn count_by_state<S: AsStore>(conn: &mut S) -> Result<Vec<StateCount>> {
        let conn = conn.as_store();
        let record = RecordRef::new::<Self>();
        let rows =
            read(conn, record, |conn| conn.counts::<CountStates>(&[Bind::Text(Self::NAME)]))?;
        let mut counts: Vec<StateCount> = Vec::new();
        for row in rows {
            let known = row.label.parse::<Self::State>().ok();
            let state = known.map_or(row.label, |state| state.as_str().to_owned());
            match counts.iter_mut().find(|count| count.state == state) {
                Some(count) => count.records += row.number,
                None => counts.push(StateCount {
                    is_known: known.is_some(),
                    state,
                    records: row.number,
                }),
            }
        }
        counts.sort_by(|one, other| one.state.cmp(&other.state));
        Ok(counts)
    }
}

impl<F: Flow> FlowStore for F {}

/// Which part of a list to read: so many records after an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    after: i64,
    limit: i64,
}

impl Page {
    /// The first `limit` records.
    #[must_use]
    pub fn first(limit: u32) -> Self {
        Self::after(0, limit)
    }

    /// The first `limit` records whose ids are greater than `id`: pass the last one of the page
    /// before.
    #[must_use]
    pub fn after(id: i64, limit: u32) -> Self {
        Self { after: id, limit: limit.into() }
    }
}

/// The name under which a state is stored, and those of before.
pub(crate) fn stored_names<S: State>(state: S) -> impl Iterator<Item = &'static str> {
    let definition = state.definition();
    std::iter::once(definition.name).chain(definition.aliases.iter().copied())
}
