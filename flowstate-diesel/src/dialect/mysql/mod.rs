//! MySQL, 8.0 or newer, and MariaDB, 10.6 or newer.

mod faults;
mod poll;
mod time;
mod version;

use std::sync::atomic::{AtomicBool, Ordering};

use diesel::connection::{
    AnsiTransactionManager, CacheSize, SimpleConnection as _, TransactionManager as _,
};
use diesel::mysql::{Mysql, MysqlConnection};
use diesel::sql_types::BigInt;
use diesel::{Connection as _, QueryResult, RunQueryDsl, dsl};

use self::poll::Scout;
use self::time::now;
use self::version::refusal;
use super::begin::Commit;
use super::change::{Change, Claims, NewFlow};
use super::due::Asking;
use super::fault::{Failure, Fault, message};
use super::rows::{
    ArtefactColumns, ArtefactRow, ClaimedRow, CountColumns, CountRow, FlowColumns, FlowRow,
    HistoryColumns, HistoryRow, InsertedColumns, InsertedRow, Stamp,
};
use super::sql::statement::{Bind, Bound, Speech, Statement, Words, statements};
use super::{Dialect, Migration, begin, fallback, or_forget, runs_statements};
use crate::error::ConflictReason;
use crate::text::time::since_2000;

// UTC_TIMESTAMP is the time at which the statement began, whatever the session's zone. In REPEATABLE
// READ a plain SELECT shows what was committed when the transaction first read
// <https://dev.mysql.com/doc/refman/8.4/en/innodb-consistent-read.html>; MariaDB knows no FOR SHARE.
impl Speech for Mysql {
    const WORDS: Words = Words {
        now: "UTC_TIMESTAMP(6)",
        began: "UTC_TIMESTAMP(6)",
        key: "`key`",
        lock: "FOR UPDATE",
        skip: "FOR UPDATE SKIP LOCKED",
        free: "FOR UPDATE SKIP LOCKED",
        by_due: "FORCE INDEX (flowstate_flows_due)",
        by_lease: "FORCE INDEX (flowstate_flows_lease)",
        by_deadline: "FORCE INDEX (flowstate_flows_deadline)",
        current: "LOCK IN SHARE MODE",
        after: ["UTC_TIMESTAMP(6) + INTERVAL ", " MICROSECOND"],
        ago: ["UTC_TIMESTAMP(6) - INTERVAL ", " MICROSECOND"],
        json: ["", ""],
        among: [
            "(SELECT name FROM JSON_TABLE(",
            ", '$[*]' COLUMNS (name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PATH '$')) \
             AS names)",
        ],
        ids: ["(SELECT it FROM JSON_TABLE(", ", '$[*]' COLUMNS (it BIGINT PATH '$')) AS ids)"],
        string: "CHAR",
        text: ["", ""],
        time: ["DATE_FORMAT(", ", '%Y-%m-%d %H:%i:%s.%f')"],
    };
}

statements! {
    /// There is no RETURNING, and to read the times back would take one more statement.
    Advance =
        "UPDATE flowstate_flows SET state = ?, seq = ?, attempts = ?, due_at = @after, \
         completed_at = CASE WHEN ? THEN @now END, last_errored_at = CASE WHEN ? THEN @now END, \
         leased_until = @after, leased_by = ?, deadline_at = @after, updated_at = @now, \
         props = COALESCE(@json, props) WHERE id = ? AND seq = ? AND flow = ? \
         AND created_at = COALESCE(TIMESTAMP'2000-01-01 00:00:00' + INTERVAL ? MICROSECOND, created_at)";
    /// The usual change.
    AdvanceOnce =
        "UPDATE flowstate_flows SET state = ?, seq = ?, attempts = ?, due_at = @after, \
         completed_at = CASE WHEN ? THEN @now END, last_errored_at = CASE WHEN ? THEN @now END, \
         leased_until = NULL, leased_by = NULL, deadline_at = NULL, updated_at = @now \
         WHERE id = ? AND seq = ? AND flow = ? \
         AND created_at = COALESCE(TIMESTAMP'2000-01-01 00:00:00' + INTERVAL ? MICROSECOND, created_at)";
    InsertFlow =
        "INSERT INTO flowstate_flows \
         (flow, state, seq, props, @key, attempts, due_at, deadline_at, completed_at, \
         created_at, updated_at) \
         VALUES (?, ?, 0, @json, ?, 0, \
         CASE WHEN TIMESTAMP'1970-01-01 00:00:00' + INTERVAL ? MICROSECOND > @now \
         THEN TIMESTAMP'1970-01-01 00:00:00' + INTERVAL ? MICROSECOND ELSE @after END, @after, \
         CASE WHEN ? THEN @now END, @now, @now)";
    Inserted =
        "SELECT id, @time(created_at), @time(due_at) FROM flowstate_flows \
         WHERE id = LAST_INSERT_ID()";
    // by the key, in this order: a scan of the table would lock, or wait for, every row
    TakeClaims =
        "UPDATE JSON_TABLE(?, '$[*]' COLUMNS (it BIGINT PATH '$')) AS ids \
         STRAIGHT_JOIN flowstate_flows FORCE INDEX (PRIMARY) ON id = it \
         SET state = ?, seq = seq + 1, due_at = NULL, completed_at = NULL, \
         last_errored_at = NULL, leased_until = @after, leased_by = ?, deadline_at = @after, \
         updated_at = @now";
    NoteClaims =
        "INSERT INTO flowstate_transitions \
         (flow_id, seq, transition, from_state, to_state, attempt, actor, token, created_at) \
         SELECT id, seq, ?, ?, state, attempts + 1, ?, ?, updated_at \
         FROM JSON_TABLE(?, '$[*]' COLUMNS (it BIGINT PATH '$')) AS ids \
         STRAIGHT_JOIN flowstate_flows FORCE INDEX (PRIMARY) ON id = it";
    NoteCreations =
        "INSERT INTO flowstate_transitions \
         (flow_id, seq, transition, to_state, attempt, token, created_at) \
         SELECT id, 0, ?, state, 1, ?, created_at \
         FROM JSON_TABLE(?, '$[*]' COLUMNS (it BIGINT PATH '$')) AS ids \
         STRAIGHT_JOIN flowstate_flows FORCE INDEX (PRIMARY) ON id = it";
    // read in this order, by the key: a scan of the table would lock, or wait for, every row; MySQL
    // refuses to lock what JSON_TABLE gives (3569), but in a derived table has nothing to lock
    HeldLeases =
        "SELECT lease, id FROM (SELECT held_id, held_seq, lease FROM \
         JSON_TABLE(?, '$[*]' COLUMNS (held_id BIGINT PATH '$[0]', held_seq BIGINT PATH '$[1]', \
         lease JSON PATH '$')) AS listed) AS leases \
         STRAIGHT_JOIN flowstate_flows FORCE INDEX (PRIMARY) ON id = held_id AND seq = held_seq \
         WHERE leased_by = ? FOR UPDATE SKIP LOCKED";
    ExtendLeases =
        "UPDATE JSON_TABLE(?, '$[*]' COLUMNS (held_id BIGINT PATH '$[0]', micros BIGINT PATH '$[2]')) \
         AS leases STRAIGHT_JOIN flowstate_flows FORCE INDEX (PRIMARY) ON id = held_id \
         SET leased_until = @now + INTERVAL micros MICROSECOND";
    Begin = "BEGIN";
    // the transaction begins with the next statement
    AutocommitOff = "SET autocommit = 0";
    AutocommitOn = "SET autocommit = 1";
    // a lock of that name is the whole server's, and the name has at most 64 characters, as that of a
    // database may have; MySQL 9 has no SHA1 or MD5 any more
    LockMigrations =
        "SELECT 'locked', GET_LOCK(CONCAT('flowstate-', LEFT(SHA2(DATABASE(), 256), 40)), 50)";
    UnlockMigrations =
        "DO RELEASE_LOCK(CONCAT('flowstate-', LEFT(SHA2(DATABASE(), 256), 40)))";
    FindVersions =
        "SELECT table_name, 1 FROM information_schema.tables \
         WHERE table_schema = DATABASE() AND table_name = 'flowstate_migrations'";
    MakeVersions =
        "CREATE TABLE IF NOT EXISTS flowstate_migrations \
         (version VARCHAR(64) NOT NULL PRIMARY KEY, applied_at DATETIME(6) NOT NULL) \
         ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin";
    ServerVersion = "SELECT VERSION(), 0";
}

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

    // After a rollback that failed this would commit.
    fn close(&mut self) {
        if self.depth().is_err() || self.run::<AutocommitOn>(&[]).is_err() {
            give_up(self);
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
            give_up(self);
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
        let (lease, deadline, props) = (timing.lease, timing.deadline_in, change.props);
        let updated = if lease.is_none() && deadline.is_none() && props.is_none() {
            let binds = [state, seq, attempts, due, completes, fails, id, before, flow, born];
            self.run::<AdvanceOnce>(&binds)?
        } else {
            let worker = Bind::Maybe(lease.map(|(_, worker)| worker));
            let lease = Bind::MaybeInt(lease.map(|(micros, _)| micros));
            let (deadline, props) = (Bind::MaybeInt(deadline), Bind::Maybe(props));
            self.run::<Advance>(&[
                state, seq, attempts, due, completes, fails, lease, worker, deadline, props, id,
                before, flow, born,
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
        fallback::claim(self, claims, |conn, ids| {
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

    fn scout(&mut self, asking: Asking<'_>) -> QueryResult<Vec<CountRow>> {
        match Scout::new(asking) {
            Some(scout) => {
                let rows = scout.load(self);
                or_forget(self, rows)
            }
            None => Ok(Vec::new()),
        }
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
        let versions = self.counts::<ServerVersion>(&[])?;
        Ok(versions.first().and_then(|version| refusal(&version.label)))
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

/// Makes Diesel refuse every transaction on this connection, and a pool discard it.
fn give_up(conn: &mut MysqlConnection) {
    AnsiTransactionManager::transaction_manager_status_mut(conn).set_in_error();
}

/// `noticed` if a savepoint of ours is missing: in whatever language the server says so, it repeats
/// the name.
fn missing_savepoint(error: diesel::result::Error, noticed: Failure) -> Failure {
    match message(&error) {
        Some(message) if message.contains("flowstate") => noticed,
        _ => error.into(),
    }
}
