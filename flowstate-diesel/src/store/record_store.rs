//! Moving and reading a record.

use flowstate::{Artefact, Flow, Record, TransitionOf};

use super::history::{ArtefactEntry, HistoryEntry};
use super::outcome;
use crate::dialect::Statements as _;
use crate::dialect::connection::AsStore;
use crate::dialect::sql::shared::{AllArtefacts, History, LockFlow};
use crate::dialect::sql::statement::Bind;
use crate::error::unconfirmed::Mark;
use crate::error::{Error, Result, What};
use crate::text::json;
use crate::transaction;
use crate::transaction::explain::explain;
use crate::transaction::read::read;
use crate::transaction::scope;
use crate::transition::apply::newest_artefact_of;
use crate::transition::decode;
use crate::transition::destroy::destroy;
use crate::transition::request::Request;
use crate::transition::span::spanned;

/// What a record can do with a database. In the prelude; reached from the generated `…Record` too.
pub trait RecordStore<F: Flow> {
    /// Asks for a transition: see [`Request`]. Nothing happens before [`Request::run`].
    fn transition<'a, T, S>(
        &'a mut self,
        transition: T,
        conn: &'a mut S,
    ) -> Request<'a, S::Store, T>
    where
        T: TransitionOf<F>,
        S: AsStore;

    /// Reads the row again.
    ///
    /// # Errors
    /// As [`FlowStore::find`](crate::FlowStore::find).
    fn reload<S: AsStore>(&mut self, conn: &mut S) -> Result<()>;

    /// Every transition of the record in order, the creation first.
    ///
    /// # Errors
    /// [`Error::Database`].
    fn history<S: AsStore>(&self, conn: &mut S) -> Result<Vec<HistoryEntry>>;

    /// The newest artefact of this type, if one was persisted.
    ///
    /// # Errors
    /// [`Error::Decode`] if it does not fit the type.
    fn artefact<A: Artefact<F>>(&self, conn: &mut impl AsStore) -> Result<Option<A>>;

    /// What the record has ended with, as its row is now; `None` if it has not ended.
    ///
    /// # Errors
    /// [`Error::NotFound`], for a state that destroys the record too; [`Error::UnknownState`];
    /// [`Error::Decode`] if an artefact does not fit its type.
    fn outcome<S: AsStore>(&self, conn: &mut S) -> Result<Option<F::Outcome>>;

    /// Every artefact of the record, with those that were replaced since, in order.
    ///
    /// # Errors
    /// [`Error::Database`].
    fn artefacts<S: AsStore>(&self, conn: &mut S) -> Result<Vec<ArtefactEntry>>;

    /// Deletes the record with its history and artefacts, whatever its state.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it is gone already.
    fn destroy<S: AsStore>(&mut self, conn: &mut S) -> Result<()>;
}

impl<F: Flow> RecordStore<F> for Record<F> {
    fn transition<'a, T, S>(&'a mut self, _: T, conn: &'a mut S) -> Request<'a, S::Store, T>
    where
        T: TransitionOf<F>,
        S: AsStore,
    {
        Request::new(self, conn.as_store())
    }

    fn reload<S: AsStore>(&mut self, conn: &mut S) -> Result<()> {
        let conn = conn.as_store();
        let record = decode::present(self, conn)?;
        let fetched = decode::fetch(conn, record, self.id())?;
        decode::refuse_another(self, &fetched)?;
        self.replace(decode::decode(fetched, None)?, decode::outcome(conn, record)?);
        Ok(())
    }

    fn history<S: AsStore>(&self, conn: &mut S) -> Result<Vec<HistoryEntry>> {
        let conn = conn.as_store();
        let record = decode::present(self, conn)?;
        let rows = read(conn, record, |conn| {
            conn.history::<History>(&[Bind::Int(self.id()), Bind::Text(F::NAME)])
        })?;
        rows.into_iter().map(|row| HistoryEntry::read(row, record)).collect()
    }

    fn artefact<A: Artefact<F>>(&self, conn: &mut impl AsStore) -> Result<Option<A>> {
        let conn = conn.as_store();
        let record = decode::present(self, conn)?;
        let text = read(conn, record, |conn| {
            newest_artefact_of(conn, F::NAME, self.id(), A::NAME, A::ALIASES)
        })?;
        text.map(|text| json::decode(&text, record, || What::Artefact(A::NAME.to_owned())))
            .transpose()
    }

    fn outcome<S: AsStore>(&self, conn: &mut S) -> Result<Option<F::Outcome>> {
        let conn = conn.as_store();
        let record = decode::present(self, conn)?;
        let row = decode::fetch(conn, record, self.id())?;
        decode::refuse_another(self, &row)?;
        outcome::read::<F, _>(&row, conn)
    }

    fn artefacts<S: AsStore>(&self, conn: &mut S) -> Result<Vec<ArtefactEntry>> {
        let conn = conn.as_store();
        let record = decode::present(self, conn)?;
        let binds = [Bind::Int(self.id()), Bind::Text(F::NAME)];
        let rows = read(conn, record, |conn| conn.artefacts::<AllArtefacts>(&binds))?;
        rows.into_iter().map(|row| ArtefactEntry::read(row, record)).collect()
    }

    fn destroy<S: AsStore>(&mut self, conn: &mut S) -> Result<()> {
        let conn = conn.as_store();
        let (id, record) = (self.id(), decode::present(self, conn)?);
        let flow = &*self;
        let mut call = |conn: &mut S::Store| {
            let rows = conn
                .flows::<LockFlow>(&[Bind::Int(id), Bind::Text(F::NAME)])
                .map_err(|error| explain(conn, Some(record), error))?;
            let row = rows.first().ok_or(Error::NotFound { record })?;
            decode::refuse_another(flow, row)?;
            let has_labels = !F::DEFINITION.labels.is_empty();
            if !destroy(conn, id, row.seq, has_labels)
                .map_err(|error| explain(conn, Some(record), error))?
            {
                return Err(Error::skipped(record));
            }
            scope::set_mark(conn, Mark::destroyed(record), None);
            Ok(())
        };
        let call = || transaction::run(conn, &mut call);
        spanned::<F, _>("destroy", Some(id), call, |()| None)
            .map_err(|error: Error| error.about(record))
    }
}
