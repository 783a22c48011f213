//! PostgreSQL, 13 or newer.

mod entries;
mod faults;
mod statements;

use diesel::connection::AnsiTransactionManager;
use diesel::pg::PgConnection;
use diesel::sql_types::Text;
use diesel::{OptionalExtension, QueryResult, RunQueryDsl};

use self::entries::{announcement, entry_binds, new_binds};
use self::statements::{
    Advance, AdvanceOnce, AdvanceOnceKeeping, AwaitCreation, BoundWaits, CheckTransaction, Claim,
    ClaimId, ClaimOnce, ExtendLeases, FindCreated, FindVersions, Insert, InsertAtOnce, InsertMany,
    LockMigrations, LockNothing, MakeVersions, MarkTransaction, Poll, ReadCommitted, ReadMark,
    ServerVersion, UnclaimId,
};
use super::change::{Change, Claims, NewFlow, since_2000};
use super::fallback::CREATE;
use super::fault::{Failure, Fault};
use super::poll;
use super::poll::PollStates;
use super::rows::{
    ArtefactColumns, ArtefactRow, ClaimedColumns, ClaimedRow, CountColumns, CountRow, FlowColumns,
    FlowRow, HistoryColumns, HistoryRow, InsertedColumns, InsertedRow, Stamp,
};
use super::sql::statement::{Bind, Bound, Statement};
use super::{Dialect, Migration, runs_statements};

/// The label of the row by which [`Poll`] says that nothing of what it finds can be claimed.
const READ_ONLY: &str = "read only";

crate::dialect::connection::as_store!(PgConnection);

impl Dialect for PgConnection {
    const DATABASE: &'static str = "PostgreSQL";
    const MIGRATIONS: &'static [Migration] = &[Migration {
        version: "2026-11-23-000000",
        up: include_str!(
            "../../../migrations/postgresql/2026-11-23-000000_create_flowstate/up.sql"
        ),
    }];
    const ONE_STATEMENT: bool = true;

    runs_statements!();

    fn begin(&mut self) -> QueryResult<()> {
        AnsiTransactionManager::begin_transaction_sql(self, "BEGIN")
    }

    // A second BEGIN is only warned of <https://www.postgresql.org/docs/current/sql-begin.html>.
    fn is_in_transaction(&mut self) -> QueryResult<bool> {
        match self.counts::<MarkTransaction>(&[]) {
            Ok(_) => Ok(!self.counts::<ReadMark>(&[])?.is_empty()),
            Err(error) if Self::classify(&error) == Fault::Aborted => Ok(true),
            Err(error) => Err(error),
        }
    }

    // Without a `lock_timeout` it waits for ever.
    fn bound_waits(&mut self) -> QueryResult<()> {
        self.counts::<BoundWaits>(&[]).map(drop)
    }

    // After a statement that failed COMMIT is answered with "ROLLBACK", which is no error.
    fn before_commit(&mut self) -> QueryResult<()> {
        self.run::<CheckTransaction>(&[]).map(drop)
    }

    // one statement: see `Advance`
    fn write(&mut self, change: &Change<'_>) -> QueryResult<Option<Stamp>> {
        self.advance(change)
    }

    fn advance(&mut self, change: &Change<'_>) -> QueryResult<Option<Stamp>> {
        let (after, timing) = (change.after(), change.timing);
        let mut binds = vec![
            Bind::Text(after.state),
            Bind::Int(after.seq),
            Bind::Int(after.attempts.into()),
            Bind::MaybeInt(timing.due_in),
            change.completes.into(),
            after.is_error.into(),
            Bind::MaybeInt(timing.deadline_in),
        ];
        let born = change.born.map(since_2000);
        let place = [
            Bind::Int(change.id),
            Bind::Int(change.before.seq),
            Bind::Text(change.record.flow),
            Bind::MaybeInt(born),
            Bind::Maybe(change.held_by),
        ];
        let usual = timing.lease.is_none() && change.props.is_none();
        let stamp: QueryResult<String> = if let Some(entry) = change.only_entry().filter(|_| usual)
        {
            binds.extend(place);
            binds.extend(entry_binds(change, &entry));
            match &*entry.link.artefacts {
                [] => Bound::<AdvanceOnce, Text>::new(&binds).get_result(self),
                [(name, payload), ..] => {
                    binds.extend([Bind::Text(name), Bind::Text(payload)]);
                    Bound::<AdvanceOnceKeeping, Text>::new(&binds).get_result(self)
                }
            }
        } else {
            let (history, artefacts) = entries::texts(change);
            binds.extend([
                Bind::MaybeInt(timing.lease.map(|(micros, _)| micros)),
                Bind::Maybe(timing.lease.map(|(_, worker)| worker)),
                Bind::Maybe(change.props),
            ]);
            binds.extend(place);
            binds.extend([Bind::Text(&history), Bind::Text(&artefacts)]);
            Bound::<Advance, Text>::new(&binds).get_result(self)
        };
        Ok(stamp.optional()?.map(Stamp::Dated))
    }

    // one statement: see `Insert`
    fn insert(&mut self, flow: &NewFlow<'_>) -> QueryResult<Option<InsertedRow>> {
        self.insert_flow(flow)
    }

    fn insert_flow(&mut self, flow: &NewFlow<'_>) -> QueryResult<Option<InsertedRow>> {
        Bound::<Insert, InsertedColumns>::new(&new_binds(flow, None)).get_result(self).optional()
    }

    fn insert_at_once(&mut self, flow: &NewFlow<'_>) -> QueryResult<Option<InsertedRow>> {
        let binds = new_binds(flow, Some(announcement(flow.token)));
        Bound::<InsertAtOnce, InsertedColumns>::new(&binds).get_result(self).optional()
    }

    fn insert_many(&mut self, flow: &NewFlow<'_>, all: &[String]) -> QueryResult<Vec<InsertedRow>> {
        let props = format!("[{}]", all.join(","));
        let binds = [
            Bind::Text(&props),
            Bind::Text(flow.flow),
            Bind::Text(flow.state),
            Bind::MaybeInt(flow.timing.due_in),
            Bind::MaybeInt(flow.timing.deadline_in),
            flow.completes.into(),
            Bind::Text(CREATE),
            Bind::Text(flow.token),
        ];
        Bound::<InsertMany, InsertedColumns>::new(&binds).load(self)
    }

    fn was_created(&mut self, token: &str, age: i64) -> QueryResult<bool> {
        self.run::<AwaitCreation>(&[Bind::Int(announcement(token))])?;
        let found = self.counts::<FindCreated>(&[Bind::Text(token), Bind::Int(age)])?;
        Ok(!found.is_empty())
    }

    fn await_insert(&mut self, id: i64) -> QueryResult<()> {
        if self.run::<ClaimId>(&[Bind::Int(id)])? == 1 {
            self.run::<UnclaimId>(&[Bind::Int(id)])?;
        }
        Ok(())
    }

    fn claim(&mut self, claims: &Claims<'_>) -> QueryResult<Vec<ClaimedRow>> {
        let (lease, worker) = claims.lease;
        let binds = [
            Bind::Text(claims.flow),
            Bind::Text(claims.from),
            Bind::Int(claims.reach),
            Bind::Int(claims.limit),
            Bind::Text(claims.link.to),
            Bind::Int(lease),
            Bind::Text(worker),
            Bind::MaybeInt(claims.deadline_in),
            Bind::Text(claims.link.transition),
            Bind::Text(claims.from),
            Bind::Text(worker),
            Bind::Text(claims.token),
        ];
        let Some(finishes) = claims.finishes else {
            return Bound::<ClaimOnce, ClaimedColumns>::new(&binds).load(self);
        };
        let binds = [&binds[..], &[Bind::Text(finishes)]].concat();
        Bound::<Claim, ClaimedColumns>::new(&binds).load(self)
    }

    fn poll(&mut self, states: PollStates<'_>) -> QueryResult<Vec<CountRow>> {
        let PollStates { sources, running, timed } = states;
        let [sources, running, timed] = [sources, running, timed].map(poll::json);
        let binds = [Bind::Text(&sources), Bind::Text(&running), Bind::Text(&timed)];
        let mut rows = self.counts::<Poll>(&binds)?;
        if rows.iter().any(|row| row.label == READ_ONLY) {
            self.run::<LockNothing>(&[])?;
            // promoted in between
            rows.retain(|row| row.label != READ_ONLY);
        }
        Ok(rows)
    }

    fn extend_leases(&mut self, worker: &str, leases: &str) -> QueryResult<usize> {
        self.run::<ExtendLeases>(&[Bind::Text(leases), Bind::Text(worker)])
    }

    fn refusal(&mut self) -> QueryResult<Option<String>> {
        let versions = self.counts::<ServerVersion>(&[])?;
        let too_old = versions.into_iter().find(|version| version.number < 130_000);
        Ok(too_old.map(|version| {
            format!("this server is PostgreSQL {}; flowstate needs 13 or newer", version.label)
        }))
    }

    fn has_versions(&mut self) -> QueryResult<bool> {
        Ok(!self.counts::<FindVersions>(&[])?.is_empty())
    }

    fn lock_migrations(&mut self) -> Result<(), Failure> {
        if self.depth()? == 1 {
            self.run::<ReadCommitted>(&[])?;
        }
        self.run::<LockMigrations>(&[])?;
        if !self.has_versions()? {
            self.run::<MakeVersions>(&[])?;
        }
        Ok(())
    }

    fn classify(error: &diesel::result::Error) -> Fault {
        faults::classify(error)
    }
}
