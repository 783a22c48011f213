//! Moving and reading a record.

use flowstate::{Artefact, Chain, Flow, Record, TransitionOf};

use super::history::{ArtefactEntry, HistoryEntry};
use super::outcome;
use crate::dialect::Statements as _;
use crate::dialect::connection::AsStore;
use crate::dialect::rows::FlowRow;
use crate::dialect::sql::shared::{AllArtefacts, History, LockFlow};
use crate::dialect::sql::statement::Bind;
use crate::error::unconfirmed::Mark;
use crate::error::{Error, Result};
use crate::metrics::{DESTROY, Taken};
use crate::transaction;
use crate::transaction::explain::Explain as _;
use crate::transaction::read::read;
use crate::transaction::scope;
use crate::transition::artefacts::newest_artefact;
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
    ) -> Request<'a, S::Store, Chain<T>>
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
    fn transition<'a, T, S>(&'a mut self, _: T, conn: &'a mut S) -> Request<'a, S::Store, Chain<T>>
    where
        T: TransitionOf<F>,
        S: AsStore,
    {
        Request::new(self, conn.as_store())
    }

    fn reload<S: AsStore>(&mut self, conn: &mut S) -> Result<()> {
        let conn = conn.as_store();
        let record = decode::present(self, conn)?;
        let fetched = decode::fetch::<F, _>(conn, self.id())?;
        decode::refuse_another(self, &fetched)?;
        self.replace(decode::decode(fetched, None)?, decode::outcome(conn, record)?);
        Ok(())
    }

    fn history<S: AsStore>(&self, conn: &mut S) -> Result<Vec<HistoryEntry>> {
        let conn = conn.as_store();
        let record = decode::present(self, conn)?;
        let rows = decode::under_all_names::<F, _>(|name| {
            let binds = [Bind::Int(self.id()), Bind::Text(name)];
            read(conn, record, |conn| conn.history::<History>(&binds))
        })?;
        rows.into_iter().map(|row| HistoryEntry::read(row, record)).collect()
    }

    fn artefact<A: Artefact<F>>(&self, conn: &mut impl AsStore) -> Result<Option<A>> {
        let conn = conn.as_store();
        let record = decode::present(self, conn)?;
        let found = decode::under_a_name::<F, _>(|name| {
            read(conn, record, |conn| {
                newest_artefact(conn, self.id(), Some(name), (A::NAME, A::ALIASES))
            })
        })?;
        found.map(|stored| decode::artefact(&stored, record)).transpose()
    }

    fn outcome<S: AsStore>(&self, conn: &mut S) -> Result<Option<F::Outcome>> {
        let conn = conn.as_store();
        decode::present(self, conn)?;
        let check = |row: &FlowRow| decode::refuse_another(self, row);
        outcome::read::<F, _>(self.id(), conn, &check).map(|(outcome, _)| outcome)
    }

    fn artefacts<S: AsStore>(&self, conn: &mut S) -> Result<Vec<ArtefactEntry>> {
        let conn = conn.as_store();
        let record = decode::present(self, conn)?;
        let rows = decode::under_all_names::<F, _>(|name| {
            let binds = [Bind::Int(self.id()), Bind::Text(name)];
            read(conn, record, |conn| conn.artefacts::<AllArtefacts>(&binds))
        })?;
        rows.into_iter().map(|row| ArtefactEntry::read(row, record)).collect()
    }

    fn destroy<S: AsStore>(&mut self, conn: &mut S) -> Result<()> {
        let conn = conn.as_store();
        let (id, record) = (self.id(), decode::present(self, conn)?);
        let flow = &*self;
        let mut call = |conn: &mut S::Store| {
            let row = decode::under_a_name::<F, _>(|name| {
                let rows = conn.flows::<LockFlow>(&[Bind::Int(id), Bind::Text(name)]);
                Ok(rows.explain_for(conn, record)?.into_iter().next())
            })?;
            let row = row.ok_or(Error::NotFound { record })?;
            decode::refuse_another(flow, &row)?;
            let has_labels = !F::DEFINITION.labels.is_empty();
            if !destroy(conn, id, row.seq, has_labels).explain_for(conn, record)? {
                return Err(Error::skipped(record));
            }
            scope::set_mark(conn, Mark::destroyed(record), None);
            let mut taken = Taken::default();
            taken.add(F::NAME, DESTROY, 1);
            scope::note_taken(conn, taken);
            Ok(())
        };
        let call = || transaction::run(conn, &mut call);
        spanned::<F, _>("destroy", Some(id), call, |()| None)
            .map_err(|error: Error| error.about(record))
    }
}
