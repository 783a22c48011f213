//! MySQL, 8.0 or newer, and MariaDB, 10.6 or newer.

mod faults;
mod poll;
mod statements;
mod time;
mod version;

use std::sync::atomic::{AtomicBool, Ordering};

use diesel::connection::{
    AnsiTransactionManager, CacheSize, SimpleConnection as _, TransactionManager as _,
    TransactionManagerStatus,
};
use diesel::mysql::MysqlConnection;
use diesel::sql_types::{BigInt, Text};
use diesel::{Connection as _, QueryResult, RunQueryDsl, dsl};

use self::poll::{NO_AUTOCOMMIT, Poll};
use self::statements::{
    Advance, AdvanceOnce, AutocommitOff, AutocommitOn, Begin, ExtendLeases, FindVersions,
    HeldLeases, InsertFlow, Inserted, LastTaken, LockMigrations, MakeVersions, NoteClaims,
    NoteCreations, SERVER, TakeClaims, UnlockMigrations,
};
use self::time::now;
use self::version::refusal;
use super::begin::Commit;
use super::change::{Change, Claims, NewFlow, since_2000};
use super::fault::{Failure, Fault, message};
use super::poll::PollStates;
use super::rows::{
    ArtefactColumns, ArtefactRow, ClaimedRow, CountColumns, CountRow, FlowColumns, FlowRow,
    HistoryColumns, HistoryRow, InsertedColumns, InsertedRow, Stamp,
};
use super::sql::statement::{Bind, Bound, Statement};
use super::{Dialect, Migration, begin, fallback, or_forget, runs_statements};
use crate::error::ConflictReason;

crate::dialect::connection::as_store!(MysqlConnection);

impl Dialect for MysqlConnection {
    const DATABASE: &'static str = "MySQL";
    const MIGRATIONS: &'static [Migration] = &[Migration {
        version: "2026-11-23-000000",
        up: include_str!("../../../migrations/mysql/2026-11-23-000000_create_flowstate/up.sql"),
    }];
    const CREATING_COMMITS: bool = true;

    runs_statements!();

    // One that failed after its first rows is left by the client library of MariaDB in a state in
    // which its next run waits for rows that never come (`mysql_stmt_execute` flushes what it takes
    // to be under way), and Diesel has no way to reset one, or to let go of one alone. This has it
    // cache on a connection that was told not to.
    fn forget_statements(&mut self) {
        self.set_prepared_statement_cache_size(CacheSize::Disabled);
        self.set_prepared_statement_cache_size(CacheSize::Unbounded);
    }

    fn begin(&mut self) -> QueryResult<()> {
        // MariaDB can prepare it; MySQL cannot, and says so in a language of its own
        static PREPARABLE: AtomicBool = AtomicBool::new(true);
        if PREPARABLE.load(Ordering::Relaxed) {
            match begin::begin::<_, Begin>(self) {
                Err(diesel::result::Error::DatabaseError(..)) => {}
                begun => return begun,
            }
        }
        let begun = AnsiTransactionManager::begin_transaction_sql(self, "BEGIN");
        if begun.is_ok() {
            PREPARABLE.store(false, Ordering::Relaxed);
        }
        begun
    }

    fn commit(&mut self) -> QueryResult<()> {
        begin::commit::<_, Commit>(self)
    }

    // After a deadlock there is no transaction, and what follows would commit statement by statement
    // <https://dev.mysql.com/doc/refman/8.4/en/innodb-error-handling.html>. Without autocommit it
    // belongs to a new transaction, which is rolled back in the end.
    fn begin_for_others(&mut self) -> QueryResult<()> {
        let begun = begin::begin::<_, AutocommitOff>(self);
        if begun.is_err() {
            self.close();
        }
        begun
    }

    // Switching it on again commits <https://dev.mysql.com/doc/refman/8.4/en/commit.html>: one round
    // trip for both.
    fn commit_for_others(&mut self) -> QueryResult<()> {
        let committed = begin::commit::<_, AutocommitOn>(self);
        if committed.is_err() {
            self.close();
        }
        committed
    }

    // Galera may abort a transaction while it is rolled back, and says so in answer to ROLLBACK: it
    // is gone all the same, but Diesel would use the connection no more.
    fn roll_back(&mut self) -> QueryResult<()> {
        let is_outermost = self.depth().is_ok_and(|depth| depth == 1);
        let rolled_back = AnsiTransactionManager::rollback_transaction(self);
        if is_outermost
            && rolled_back.as_ref().is_err_and(|error| Self::classify(error).ends_transaction())
            && self.batch_execute("ROLLBACK").is_ok()
        {
            *AnsiTransactionManager::transaction_manager_status_mut(self) =
                TransactionManagerStatus::default();
            return Ok(());
        }
        rolled_back
    }

    // A node of Galera may lag <https://mariadb.com/kb/en/galera-cluster-system-variables/>. Other
    // servers do not know the setting, and their refusal changes nothing.
    fn caught_up<R>(&mut self, ask: impl FnOnce(&mut Self) -> R) -> R {
        let is_galera = self.batch_execute(CATCH_UP).is_ok();
        let answer = ask(self);
        if is_galera {
            // if this fails, the connection is lost
            self.batch_execute(AS_BEFORE).unwrap_or_default();
        }
        answer
    }

    // After a rollback that failed this would commit.
    fn close(&mut self) {
        if self.depth().is_err() || self.run::<AutocommitOn>(&[]).is_err() {
            self.give_up();
        }
    }

    // A deadlock, or a statement that commits by itself, is followed by another transaction, which
    // knows no savepoint.
    fn mark_beginning(&mut self) -> QueryResult<()> {
        self.batch_execute("SAVEPOINT flowstate_beginning")
    }

    fn find_beginning(&mut self) -> Result<(), Failure> {
        self.batch_execute("RELEASE SAVEPOINT flowstate_beginning").map_err(|error| {
            missing_savepoint(error, Failure::Noticed(Fault::Aborted, TRANSACTION_ENDED))
        })
    }

    // A second BEGIN commits the first <https://dev.mysql.com/doc/refman/8.4/en/commit.html>.
    fn is_in_transaction(&mut self) -> QueryResult<bool> {
        // without it every statement is in one
        let autocommit = dsl::sql::<BigInt>("SELECT CAST(@@autocommit AS SIGNED)");
        Ok(autocommit.get_result::<i64>(self)? == 1 && self.join().is_ok())
    }

    // Outside a transaction a savepoint is gone as soon as it is made.
    fn join(&mut self) -> Result<(), Failure> {
        self.batch_execute("SAVEPOINT flowstate; RELEASE SAVEPOINT flowstate").map_err(|error| {
            let reason = ConflictReason::Deadlock;
            let fault = Fault::Conflict { reason, ends: true };
            missing_savepoint(error, Failure::Noticed(fault, TRANSACTION_GONE))
        })
    }

    // Diesel believes that the transaction is open, and would commit what follows. It goes into
    // one that refuses to write, and that Diesel refuses to commit.
    fn abandon(&mut self) {
        if self.join().is_err() {
            // if this fails, the connection is lost
            self.batch_execute("START TRANSACTION READ ONLY").unwrap_or_default();
            self.give_up();
        }
    }

    // A failed statement leaves the transaction usable; COMMIT commits what is there.
    fn before_commit(&mut self) -> QueryResult<()> {
        Ok(())
    }

    fn advance(&mut self, change: &Change<'_>) -> QueryResult<Option<Stamp>> {
        let (after, timing) = (change.after(), change.timing);
        let [state, seq, attempts] =
            [Bind::Text(after.state), Bind::Int(after.seq), Bind::Int(after.attempts.into())];
        let due = Bind::MaybeInt(timing.due_in);
        let [completes, fails] = [change.completes.into(), after.is_error.into()];
        let [id, before] = [Bind::Int(change.id), Bind::Int(change.before.seq)];
        let born = change.born.map(since_2000);
        let (flow, born) = (Bind::Text(change.record.flow), Bind::MaybeInt(born));
        let holder = Bind::Maybe(change.held_by);
        let (lease, deadline, props) = (timing.lease, timing.deadline_in, change.props);
        let updated = if lease.is_none() && deadline.is_none() && props.is_none() {
            let binds =
                [state, seq, attempts, due, completes, fails, id, before, flow, born, holder];
            self.run::<AdvanceOnce>(&binds)?
        } else {
            let worker = Bind::Maybe(lease.map(|(_, worker)| worker));
            let lease = Bind::MaybeInt(lease.map(|(micros, _)| micros));
            let (deadline, props) = (Bind::MaybeInt(deadline), Bind::Maybe(props));
            self.run::<Advance>(&[
                state, seq, attempts, due, completes, fails, lease, worker, deadline, props, id,
                before, flow, born, holder,
            ])?
        };
        Ok((updated == 1).then(|| Stamp::Estimated(now())))
    }

    fn insert_flow(&mut self, flow: &NewFlow<'_>) -> QueryResult<Option<InsertedRow>> {
        let binds = [
            Bind::Text(flow.flow),
            Bind::Text(flow.state),
            Bind::Text(flow.props),
            Bind::Maybe(flow.key),
            Bind::MaybeInt(flow.due_at.map(|due| due.timestamp_micros())),
            Bind::MaybeInt(flow.due_at.map(|due| due.timestamp_micros())),
            Bind::MaybeInt(flow.timing.due_in),
            Bind::MaybeInt(flow.timing.deadline_in),
            flow.completes.into(),
        ];
        // IGNORE would hide other errors too, and ON DUPLICATE KEY other keys
        match self.run::<InsertFlow>(&binds) {
            Ok(_) => {}
            Err(error) if Self::classify(&error) == Fault::KeyTaken => return Ok(None),
            Err(error) => return Err(error),
        }
        let inserted = Bound::<Inserted, InsertedColumns>::new(&[]).get_result(self);
        or_forget(self, inserted).map(Some)
    }

    fn insert_many(&mut self, flow: &NewFlow<'_>, all: &[String]) -> QueryResult<Vec<InsertedRow>> {
        fallback::insert_all(self, flow, all, Self::run::<NoteCreations>)
    }

    fn claim(&mut self, claims: &Claims<'_>) -> QueryResult<Vec<ClaimedRow>> {
        fallback::claim::<_, LastTaken>(self, claims, |conn, ids| {
            conn.run::<TakeClaims>(&[
                Bind::Text(ids),
                Bind::Text(claims.link.to),
                Bind::Int(claims.lease.0),
                Bind::Text(claims.lease.1),
                Bind::MaybeInt(claims.deadline_in),
            ])?;
            conn.run::<NoteClaims>(&fallback::note_binds(claims, ids))?;
            Ok(None)
        })
    }

    fn poll(&mut self, states: PollStates<'_>) -> QueryResult<Vec<CountRow>> {
        let Some(poll) = Poll::new(states) else { return Ok(Vec::new()) };
        let rows = poll.load(self);
        let mut rows: Vec<CountRow> = or_forget(self, rows)?;
        let all = rows.len();
        rows.retain(|row| row.label != NO_AUTOCOMMIT);
        if rows.len() == all || self.depth()? > 0 {
            return Ok(rows);
        }
        // nothing new would be seen until the transaction ends that this poll has begun
        self.run::<AutocommitOn>(&[])?;
        self.poll(states)
    }

    fn extend_leases(&mut self, worker: &str, leases: &str) -> QueryResult<usize> {
        // MariaDB overlooks SKIP LOCKED inside an UPDATE
        self.transaction(|conn| {
            let held = conn.counts::<HeldLeases>(&[Bind::Text(leases), Bind::Text(worker)])?;
            if held.is_empty() {
                return Ok(0);
            }
            let held: Vec<_> = held.iter().map(|row| &*row.label).collect();
            conn.run::<ExtendLeases>(&[Bind::Text(&format!("[{}]", held.join(",")))])
        })
    }

    fn refusal(&mut self) -> QueryResult<Option<String>> {
        let server = dsl::sql::<(Text, BigInt)>(SERVER);
        let (server, is_unlogged) = server.get_result::<(String, i64)>(self)?;
        Ok(refusal(&server, is_unlogged == 1))
    }

    fn has_versions(&mut self) -> QueryResult<bool> {
        Ok(!self.counts::<FindVersions>(&[])?.is_empty())
    }

    // Outside the transaction in effect: CREATE TABLE commits it.
    fn lock_migrations(&mut self) -> Result<(), Failure> {
        let locked = self.counts::<LockMigrations>(&[])?;
        if locked.first().is_none_or(|row| row.number != 1) {
            let fault = Fault::conflict_with(ConflictReason::LockTimeout);
            return Err(Failure::Noticed(fault, "another process migrates"));
        }
        if !self.has_versions()? {
            self.run::<MakeVersions>(&[])?;
        }
        Ok(())
    }

    fn unlock_migrations(&mut self) -> QueryResult<()> {
        self.run::<UnlockMigrations>(&[]).map(drop)
    }

    fn classify(error: &diesel::result::Error) -> Fault {
        faults::classify(error)
    }
}

const TRANSACTION_GONE: &str = "the database has ended the transaction";

const TRANSACTION_ENDED: &str = "the database has ended the transaction: a deadlock has undone it, \
     or a statement that commits by itself, such as CREATE TABLE, has committed it";

/// Has each statement outside a transaction, and the first one in it, wait until all is applied that
/// was committed on any node.
const CATCH_UP: &str =
    "SET @flowstate_sync_wait = @@SESSION.wsrep_sync_wait, SESSION wsrep_sync_wait = 15";
const AS_BEFORE: &str = "SET SESSION wsrep_sync_wait = @flowstate_sync_wait";

/// `noticed` if a savepoint of ours is missing: in whatever language the server says so, it repeats
/// the name.
fn missing_savepoint(error: diesel::result::Error, noticed: Failure) -> Failure {
    match message(&error) {
        Some(message) if message.contains("flowstate") => noticed,
        _ => error.into(),
    }
}
