//! SQLite, 3.35 or newer (`RETURNING`).

mod faults;
mod version;

use std::borrow::Cow;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::result::Error;
use diesel::sql_types::BigInt;
use diesel::sqlite::{Sqlite, SqliteConnection};
use diesel::{OptionalExtension, QueryResult, RunQueryDsl, dsl};

use self::version::refusal;
use super::begin::Commit;
use super::change::{Change, Claims, NewFlow};
use super::checkpoint::LogLength;
use super::fault::{Failure, Fault};
use super::poll;
use super::poll::PollStates;
use super::rows::{
    ArtefactColumns, ArtefactRow, ClaimedRow, CountColumns, CountRow, FlowColumns, FlowRow,
    HistoryColumns, HistoryRow, InsertedColumns, InsertedRow, Stamp, StampColumns, StampRow,
};
use super::sql::statement::{Bind, Bound, Speech, Statement, Words, statements};
use super::write_queue::{QueueAccess, WriteQueue};
use super::{Dialect, Migration, begin, fallback, runs_statements};
use crate::text::time;

// SQLite has no type for times and a clock of milliseconds: text of one fixed width, which sorts
// as the times do <https://www.sqlite.org/lang_datefunc.html>.
impl Speech for Sqlite {
    const WORDS: Words = Words {
        now: "strftime('%Y-%m-%d %H:%M:%f000', 'now')",
        began: "strftime('%Y-%m-%d %H:%M:%f000', 'now')",
        key: "key",
        lock: "",
        current: "",
        skip: "",
        free: "",
        by_due: "",
        by_lease: "",
        by_deadline: "",
        after: ["strftime('%Y-%m-%d %H:%M:%f000', 'now', ", ")"],
        ago: ["strftime('%Y-%m-%d %H:%M:%f000', 'now', (-", " / 1000000.0) || ' seconds')"],
        json: ["", ""],
        among: ["(SELECT value FROM json_each(", "))"],
        ids: ["(SELECT value FROM json_each(", "))"],
        string: "TEXT",
        text: ["", ""],
        time: ["", ""],
    };
}

statements! {
    /// The usual change.
    AdvanceOnce =
        "UPDATE flowstate_flows SET state = ?, seq = ?, attempts = ?, due_at = @after, \
         completed_at = CASE WHEN ? THEN @now END, last_errored_at = CASE WHEN ? THEN @now END, \
         leased_until = NULL, leased_by = NULL, deadline_at = NULL, updated_at = @now \
         WHERE id = ? AND seq = ? AND flow = ? \
         AND substr(created_at, 3) = COALESCE(?, substr(created_at, 3)) \
         AND COALESCE(leased_by, '') = COALESCE(?, leased_by, '') RETURNING updated_at, due_at";
    Advance =
        "UPDATE flowstate_flows SET state = ?, seq = ?, attempts = ?, \
         due_at = @after, \
         completed_at = CASE WHEN ? THEN @now END, \
         last_errored_at = CASE WHEN ? THEN @now END, \
         leased_until = @after, leased_by = ?, deadline_at = @after, updated_at = @now, \
         props = COALESCE(@json, props) \
         WHERE id = ? AND seq = ? AND flow = ? \
         AND substr(created_at, 3) = COALESCE(?, substr(created_at, 3)) \
         AND COALESCE(leased_by, '') = COALESCE(?, leased_by, '') RETURNING updated_at, due_at";
    InsertFlow =
        "INSERT INTO flowstate_flows \
         (flow, state, seq, props, key, attempts, due_at, deadline_at, completed_at, \
         created_at, updated_at) \
         VALUES (?, ?, 0, @json, ?, 0, CASE WHEN ? > @now THEN ? ELSE @after END, @after, \
         CASE WHEN ? THEN @now END, @now, @now) \
         ON CONFLICT (flow, key) WHERE key IS NOT NULL DO NOTHING \
         RETURNING id, created_at, due_at";
    /// Of a batch of claims, all at the same time.
    TakeClaims =
        "UPDATE flowstate_flows SET state = ?, seq = seq + 1, due_at = NULL, completed_at = NULL, \
         last_errored_at = NULL, leased_until = @after, leased_by = ?, deadline_at = @after, \
         updated_at = @now WHERE id IN @ids RETURNING updated_at, due_at";
    NoteClaims =
        "INSERT INTO flowstate_transitions \
         (flow_id, seq, transition, from_state, to_state, attempt, actor, token, created_at) \
         SELECT id, seq, ?, ?, state, attempts + 1, ?, ?, updated_at \
         FROM flowstate_flows WHERE id IN @ids";
    /// When one of several transitions was last taken, of each of several records: backwards through
    /// the history, as far as the first of them.
    LastTaken =
        "SELECT CAST(id AS TEXT), seq FROM (SELECT ids.value AS id, \
           (SELECT seq FROM flowstate_transitions WHERE flow_id = ids.value \
            AND transition IN @among ORDER BY seq DESC LIMIT 1) AS seq \
         FROM json_each(?) AS ids) WHERE seq IS NOT NULL";
    // materialized, for else each search is made twice: to filter, and to show
    Poll =
        "WITH seen (source, since) AS MATERIALIZED ( \
           SELECT json_extract(value, '$[0]'), \
             (SELECT due_at FROM flowstate_flows \
              WHERE flow = json_extract(value, '$[1]') AND state = json_extract(value, '$[2]') \
              AND due_at >= strftime('%Y-%m-%d %H:%M:%f000', 'now', \
                (-json_extract(value, '$[3]') / 1000000.0) || ' seconds') \
              ORDER BY due_at LIMIT 1) FROM json_each(?) \
           UNION ALL SELECT json_extract(value, '$[0]'), \
             (SELECT leased_until FROM flowstate_flows \
              WHERE flow = json_extract(value, '$[1]') AND state = json_extract(value, '$[2]') \
              AND leased_until <= @began ORDER BY leased_until LIMIT 1) FROM json_each(?) \
           UNION ALL SELECT json_extract(value, '$[0]'), \
             (SELECT deadline_at FROM flowstate_flows \
              WHERE flow = json_extract(value, '$[1]') AND state = json_extract(value, '$[2]') \
              AND deadline_at <= @began ORDER BY deadline_at LIMIT 1) FROM json_each(?)) \
         SELECT source, CAST((julianday(@now) - julianday(since)) * 86400000 AS BIGINT) \
         FROM seen WHERE since <= @now";
    ExtendLeases =
        "UPDATE flowstate_flows SET leased_until = strftime('%Y-%m-%d %H:%M:%f000', 'now', \
         (leases.micros / 1000000.0) || ' seconds') \
         FROM (SELECT json_extract(value, '$[0]') AS id, json_extract(value, '$[1]') AS seq, \
               json_extract(value, '$[2]') AS micros FROM json_each(?)) AS leases \
         WHERE flowstate_flows.id = leases.id AND flowstate_flows.seq = leases.seq \
         AND leased_by = ?";
    BeginImmediate = "BEGIN IMMEDIATE";
    BeginDeferred = "BEGIN";
    FileAndTimeout =
        "SELECT file, timeout FROM pragma_database_list, pragma_busy_timeout WHERE name = 'main'";
    LibraryVersion = "SELECT sqlite_version(), 0";
    ReadJson = "SELECT value, 1 FROM json_each('[\"x\"]')";
    FindVersions =
        "SELECT name, 1 FROM sqlite_master WHERE type = 'table' AND name = 'flowstate_migrations'";
    MakeVersions =
        "CREATE TABLE IF NOT EXISTS flowstate_migrations \
         (version TEXT NOT NULL PRIMARY KEY, applied_at TEXT NOT NULL)";
}

crate::dialect::connection::as_store!(SqliteConnection);

const TRANSACTION_GONE: &str = "the database has ended the transaction after an earlier failure";

impl Dialect for SqliteConnection {
    const DATABASE: &'static str = "SQLite";
    const MIGRATIONS: &'static [Migration] = &[Migration {
        version: "2026-11-23-000000",
        up: include_str!("../../../migrations/sqlite/2026-11-23-000000_create_flowstate/up.sql"),
    }];

    runs_statements!();

    // A plain BEGIN that reads before it writes fails with SQLITE_BUSY_SNAPSHOT as soon as somebody
    // else has written, whatever the busy time-out <https://www.sqlite.org/isolation.html>.
    fn begin(&mut self) -> QueryResult<()> {
        begin::begin::<_, BeginImmediate>(self)
    }

    fn begin_reading(&mut self) -> QueryResult<()> {
        begin::begin::<_, BeginDeferred>(self)
    }

    fn commit(&mut self) -> QueryResult<()> {
        begin::commit::<_, Commit>(self)
    }

    // A writer that finds the file locked asks again after ever longer pauses, up to its time-out.
    fn write_queue(&mut self) -> QueryResult<Option<QueueAccess>> {
        let files = self.counts::<FileAndTimeout>(&[])?;
        let file = files.into_iter().find(|file| !file.label.is_empty());
        Ok(file.map(|file| QueueAccess {
            queue: WriteQueue::of(&file.label),
            patience: Duration::from_millis(u64::try_from(file.number).unwrap_or_default()),
        }))
    }

    // A passive checkpoint waits for nobody, and nobody for it. Who has switched automatic ones off
    // has another program make them <https://www.sqlite.org/pragma.html#pragma_wal_checkpoint>.
    fn checkpoint(&mut self) -> QueryResult<Option<LogLength>> {
        let most = dsl::sql::<BigInt>("PRAGMA wal_autocheckpoint").get_result::<i64>(self)?;
        if most <= 0 {
            return Ok(None);
        }
        let checkpoint = dsl::sql::<(BigInt, BigInt, BigInt)>("PRAGMA wal_checkpoint(PASSIVE)");
        let (_, pages, _) = checkpoint.get_result::<(i64, i64, i64)>(self)?;
        // -1 without a write-ahead log
        Ok((pages >= 0).then_some(LogLength { pages, most }))
    }

    // Some failures end the transaction, and what follows commits by itself
    // <https://www.sqlite.org/lang_transaction.html#response_to_errors_within_a_transaction>.
    // Diesel looks whether one is open after a text that failed, as this one does.
    fn join(&mut self) -> Result<(), Failure> {
        let depth = self.depth()?;
        self.batch_execute("RELEASE flowstate_nowhere").unwrap_or_default();
        if depth > 0 && self.depth()? == depth {
            return Ok(());
        }
        self.set_depth(depth);
        Err(Failure::Noticed(Fault::Aborted, TRANSACTION_GONE))
    }

    // A failed statement leaves the transaction usable; COMMIT commits what is there.
    fn before_commit(&mut self) -> QueryResult<()> {
        Ok(())
    }

    fn advance(&mut self, change: &Change<'_>) -> QueryResult<Option<Stamp>> {
        let (after, timing) = (change.after(), change.timing);
        let [due, lease, deadline] =
            [timing.due_in, timing.lease.map(|(micros, _)| micros), timing.deadline_in]
                .map(seconds);
        let [state, seq, attempts] =
            [Bind::Text(after.state), Bind::Int(after.seq), Bind::Int(after.attempts.into())];
        let [completes, fails] = [change.completes.into(), after.is_error.into()];
        let [id, before] = [Bind::Int(change.id), Bind::Int(change.before.seq)];
        let born = change.born.map(time::write);
        // without the century
        let born = born.as_deref().and_then(|born| born.get(2..));
        let (flow, born) = (Bind::Text(change.record.flow), Bind::Maybe(born));
        let holder = Bind::Maybe(change.held_by);
        let due = Bind::Maybe(due.as_deref());
        let stamp = if lease.is_none() && deadline.is_none() && change.props.is_none() {
            let binds =
                [state, seq, attempts, due, completes, fails, id, before, flow, born, holder];
            Bound::<AdvanceOnce, StampColumns>::new(&binds).get_result(self)
        } else {
            let worker = Bind::Maybe(timing.lease.map(|(_, worker)| worker));
            let [lease, deadline] = [&lease, &deadline].map(|time| Bind::Maybe(time.as_deref()));
            let props = Bind::Maybe(change.props);
            let binds = [
                state, seq, attempts, due, completes, fails, lease, worker, deadline, props, id,
                before, flow, born, holder,
            ];
            Bound::<Advance, StampColumns>::new(&binds).get_result(self)
        };
        Ok(stamp.optional()?.map(Stamp::Read))
    }

    fn insert_flow(&mut self, flow: &NewFlow<'_>) -> QueryResult<Option<InsertedRow>> {
        let [due, deadline] = [flow.timing.due_in, flow.timing.deadline_in].map(seconds);
        let due_at = flow.due_at.map(time::write);
        let binds = [
            Bind::Text(flow.flow),
            Bind::Text(flow.state),
            Bind::Text(flow.props),
            Bind::Maybe(flow.key),
            Bind::Maybe(due_at.as_deref()),
            Bind::Maybe(due_at.as_deref()),
            Bind::Maybe(due.as_deref()),
            Bind::Maybe(deadline.as_deref()),
            flow.completes.into(),
        ];
        Bound::<InsertFlow, InsertedColumns>::new(&binds).get_result(self).optional()
    }

    fn claim(&mut self, claims: &Claims<'_>) -> QueryResult<Vec<ClaimedRow>> {
        let [lease, deadline] = [Some(claims.lease.0), claims.deadline_in].map(seconds);
        fallback::claim::<_, LastTaken>(self, claims, |conn, ids| {
            let taken: Vec<StampRow> = Bound::<TakeClaims, StampColumns>::new(&[
                Bind::Text(claims.link.to),
                Bind::Maybe(lease.as_deref()),
                Bind::Text(claims.lease.1),
                Bind::Maybe(deadline.as_deref()),
                Bind::Text(ids),
            ])
            .load(conn)?;
            conn.run::<NoteClaims>(&fallback::note_binds(claims, ids))?;
            Ok(taken.into_iter().next().map(|row| row.updated_at))
        })
    }

    fn poll(&mut self, states: PollStates<'_>) -> QueryResult<Vec<CountRow>> {
        let PollStates { sources, running, timed } = states;
        let [sources, running, timed] = [sources, running, timed].map(poll::json);
        self.counts::<Poll>(&[Bind::Text(&sources), Bind::Text(&running), Bind::Text(&timed)])
    }

    fn extend_leases(&mut self, worker: &str, leases: &str) -> QueryResult<usize> {
        self.run::<ExtendLeases>(&[Bind::Text(leases), Bind::Text(worker)])
    }

    // It opens no file: the second question fails only where there is no such function.
    fn refusal(&mut self) -> QueryResult<Option<String>> {
        let versions = self.counts::<LibraryVersion>(&[])?;
        let has_json = || self.counts::<ReadJson>(&[]).is_ok();
        Ok(versions.first().and_then(|version| refusal(&version.label, has_json)))
    }

    fn has_versions(&mut self) -> QueryResult<bool> {
        Ok(!self.counts::<FindVersions>(&[])?.is_empty())
    }

    // BEGIN IMMEDIATE keeps everybody else out already.
    fn lock_migrations(&mut self) -> Result<(), Failure> {
        if !self.has_versions()? {
            self.run::<MakeVersions>(&[])?;
        }
        Ok(())
    }

    fn classify(error: &Error) -> Fault {
        faults::classify(error)
    }
}

/// Microseconds as a modifier of SQLite's time functions. The usual one, none, takes no allocation.
fn seconds(micros: Option<i64>) -> Option<Cow<'static, str>> {
    match micros? {
        0 => Some("0 seconds".into()),
        micros => {
            let (whole, part) = (micros / 1_000_000, micros % 1_000_000);
            Some(format!("{whole}.{part:06} seconds").into())
        }
    }
}
