//! Creating, finding and reading flows.

use std::time::Duration;

use chrono::{DateTime, Utc};
#[cfg(feature = "r2d2")]
use diesel::r2d2::{ManageConnection, Pool};
use flowstate::{Flow, State};

use super::create;
use super::create::Due;
use super::history::StateCount;
use super::keyed;
use super::once::Once;
#[cfg(feature = "r2d2")]
use super::outcome;
use super::query::Query;
#[cfg(doc)]
use crate::RecordStore;
use crate::dialect::connection::AsStore;
#[cfg(feature = "r2d2")]
use crate::dialect::connection::Store;
use crate::dialect::operate::Operate as _;
use crate::dialect::rows::FlowRow;
use crate::dialect::sql::shared::{FindKey, FindSingle, ListFlows};
use crate::dialect::sql::statement::{Bind, Statement};
use crate::dialect::{Dialect, Statements as _};
use crate::error::{RecordRef, Result, What};
use crate::text::json;
use crate::transaction::read::read;
use crate::transition::artefacts::names_json;
use crate::transition::decode;
use crate::transition::decode::stored_names;
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
        let call = || keyed::create_once(self, key, conn.as_store());
        spanned::<Self, _>("create_once", None, call, |once| match once {
            Once::Created(record) | Once::Existing(record) => Some(record.id()),
        })
    }

    /// Stores a new record under a key, or returns the one that has it and is not completed: at most
    /// one import of a file at a time, and another one when it has ended. Keys are as those of
    /// [`FlowStore::create_once`], and apart from them.
    ///
    /// A key is free again as soon as its record is completed or destroyed. While another transaction
    /// completes the record that has the key, this waits for its end.
    ///
    /// Props are not compared: the record that is there may have been created with others.
    ///
    /// ```
    /// # use flowstate_diesel::{Once, prelude::*};
    /// # #[derive(flowstate::Flow, serde::Serialize, serde::Deserialize)]
    /// # #[state(Waiting, Done)]
    /// # #[initial(Waiting)]
    /// # #[completed(Done)]
    /// # #[transition(end: Waiting => Done)]
    /// # struct Import { file: String }
    /// # fn main() -> flowstate_diesel::Result<()> {
    /// # let conn = &mut SqliteConnection::establish(":memory:").expect("memory");
    /// # flowstate_diesel::migrate(conn)?;
    /// # let import = || Import { file: "prices.csv".into() };
    /// let mut first = import().create_single("prices.csv", conn)?.into_record();
    /// let again = import().create_single("prices.csv", conn)?;
    /// assert!(matches!(again, Once::Existing(record) if record.id() == first.id()));
    ///
    /// first.transition(Import::END, conn).run()?;
    /// assert!(import().create_single("prices.csv", conn)?.is_created());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::UnknownState`](crate::Error::UnknownState) or
    /// [`Error::Decode`](crate::Error::Decode) if this code cannot read the record that is there;
    /// [`Error::Unstorable`](crate::Error::Unstorable).
    fn create_single<S: AsStore>(self, key: &str, conn: &mut S) -> Result<Once<Self::Record>> {
        let call = || keyed::create_single(self, key, conn.as_store());
        spanned::<Self, _>("create_single", None, call, |once| match once {
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
    /// [`Error::UnknownState`](crate::Error::UnknownState),
    /// [`Error::UnknownVersion`](crate::Error::UnknownVersion) or
    /// [`Error::Decode`](crate::Error::Decode) if this code cannot read the row.
    fn find<S: AsStore>(id: i64, conn: &mut S) -> Result<Self::Record> {
        let (conn, record) = (conn.as_store(), RecordRef::of::<Self>(id));
        let row = decode::fetch::<Self, _>(conn, id)?;
        decode::record::<Self>(row, decode::outcome(conn, record)?)
    }

    /// Reads the record that [`FlowStore::create_once`] made under this key, if there is one: none
    /// under a key that cannot be stored.
    ///
    /// # Errors
    /// [`Error::UnknownState`](crate::Error::UnknownState),
    /// [`Error::UnknownVersion`](crate::Error::UnknownVersion) or
    /// [`Error::Decode`](crate::Error::Decode) if this code cannot read the row.
    fn find_by_key<S: AsStore>(key: &str, conn: &mut S) -> Result<Option<Self::Record>> {
        having_key::<Self, S::Store, FindKey>(key, conn.as_store())
    }

    /// Reads the record that [`FlowStore::create_single`] made under this key and that is not
    /// completed, if there is one.
    ///
    /// # Errors
    /// As [`FlowStore::find_by_key`].
    fn find_single<S: AsStore>(key: &str, conn: &mut S) -> Result<Option<Self::Record>> {
        having_key::<Self, S::Store, FindSingle>(key, conn.as_store())
    }

    /// Asks for records by state, by how long they have been there, by label: see [`Query`].
    fn query() -> Query<Self> {
        Query::new()
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
    /// It walks along the ids, whatever their state, until the page is full:
    /// [`operator::list`](crate::operator::list) finds the few among many by an index.
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
        let [names, after, limit] =
            [Bind::Text(&names), Bind::Int(page.after), Bind::Int(page.limit)];
        let mut rows = decode::under_all_names::<Self, _>(|name| {
            let binds = [Bind::Text(name), names, after, limit];
            read(conn, record, |conn| conn.flows::<ListFlows>(&binds))
        })?;
        rows.sort_by_key(|row| row.id);
        rows.truncate(usize::try_from(page.limit).unwrap_or(usize::MAX));
        let outcome = decode::outcome(conn, record)?;
        let read = |row: FlowRow| (row.id, decode::record::<Self>(row, outcome.clone()));
        Ok(rows.into_iter().map(read).collect())
    }

    /// How many records are in which state, by stored name, none counted further than `most`: rows
    /// under an alias count for the state, and states that this code does not know are among them.
    ///
    /// It reads as many entries of the indexes as it counts, one state after the other, while others
    /// may move records on.
    ///
    /// # Errors
    /// [`Error::Database`](crate::Error::Database).
    fn count_by_state<S: AsStore>(most: u32, conn: &mut S) -> Result<Vec<StateCount>> {
        let (conn, record, most) = (conn.as_store(), RecordRef::new::<Self>(), i64::from(most));
        let rows = decode::under_all_names::<Self, _>(|name| {
            read(conn, record, |conn| conn.numbers(Some(name), most, 0))
        })?;
        let mut counts: Vec<StateCount> = Vec::new();
        for row in rows {
            let records = (row.due + row.claimed + row.rest).min(most);
            let known = row.state.parse::<Self::State>().ok();
            let state = known.map_or(row.state, |state| state.as_str().to_owned());
            match counts.iter_mut().find(|count| count.state == state) {
                Some(count) => count.records = (count.records + records).min(most),
                None => counts.push(StateCount { is_known: known.is_some(), state, records }),
            }
        }
        counts.sort_by(|one, other| one.state.cmp(&other.state));
        Ok(counts)
    }
}

impl<F: Flow> FlowStore for F {}

/// The record that a statement finds by a key.
fn having_key<F: Flow, C: Dialect, Find: Statement>(
    key: &str,
    conn: &mut C,
) -> Result<Option<F::Record>> {
    let record = RecordRef::new::<F>();
    if json::check_text(key, record, What::Key).is_err() {
        // PostgreSQL would fail, and with it the transaction that is open
        return Ok(None);
    }
    let row = decode::under_a_name::<F, _>(|name| {
        let binds = [Bind::Text(name), Bind::Text(key)];
        Ok(read(conn, record, |conn| conn.flows::<Find>(&binds))?.into_iter().next())
    })?;
    let outcome = decode::outcome(conn, record)?;
    row.map(|row| decode::record::<F>(row, outcome)).transpose()
}

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
