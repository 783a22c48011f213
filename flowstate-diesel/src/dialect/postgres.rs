//! PostgreSQL, 13 or newer.

use diesel::connection::AnsiTransactionManager;
use diesel::pg::{Pg, PgConnection};
use diesel::result::DatabaseErrorKind;
use diesel::{OptionalExtension, QueryResult, RunQueryDsl};

use super::entries::CREATE;
use super::rows::{
    ArtefactColumns, ArtefactRow, CountColumns, CountRow, FlowColumns, FlowRow, HistoryColumns,
    HistoryRow, InsertedColumns, InsertedRow, Stamp, StampColumns, flow_columns,
};
use super::statement::{Bind, Bound, Speech, Statement, Words, statements};
use super::{Dialect, FailedCommit, Migration, conflict, postgres_entries, runs_statements};
use crate::change::{Change, Claims, NewFlow};
use crate::error::ConflictReason;

// `now()` stands still from BEGIN on; FOR UPDATE would stand in the way of the foreign keys of new
// child rows <https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-ROWS>. Times are
// put into words here, whatever the session's zone and date style.
impl Speech for Pg {
    const WORDS: Words = Words {
        now: "clock_timestamp()",
        began: "statement_timestamp()",
        key: "key",
        lock: "FOR NO KEY UPDATE",
        skip: "FOR NO KEY UPDATE SKIP LOCKED",
        current: "",
        after: ["clock_timestamp() + ", " * interval '1 microsecond'"],
        json: ["", "::json"],
        among: ["(SELECT json_array_elements_text(", "::json))"],
        text: ["", "::text"],
        time: ["to_char(", " AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"],
    };
}

statements! {
    /// The whole transition. Its parts see the same snapshot, so the child rows hang on the row
    /// that was moved: none if it was not where the caller thought.
    Advance =
        "WITH moved AS (\
         UPDATE flowstate_flows SET state = ?, seq = ?, attempts = ?, \
         due_at = CASE WHEN ? = 1 THEN clock.now + ? * interval '1 microsecond' END, \
         completed_at = CASE WHEN ? = 1 THEN clock.now END, \
         last_errored_at = CASE WHEN ? = 1 THEN clock.now END, \
         leased_until = CASE WHEN ? = 1 THEN clock.now + ? * interval '1 microsecond' END, \
         leased_by = ?, \
         deadline_at = CASE WHEN ? = 1 THEN clock.now + ? * interval '1 microsecond' END, \
         updated_at = clock.now, \
         props = COALESCE(@json, props) \
         FROM (SELECT @now) AS clock (now) WHERE id = ? AND seq = ? \
         RETURNING id, updated_at, due_at\
         ), history AS (\
         INSERT INTO flowstate_transitions \
         (flow_id, seq, transition, from_state, to_state, attempt, error, actor, metadata, token, \
         created_at) \
         SELECT id, (entry ->> 'seq')::bigint, entry ->> 'transition', entry ->> 'from', \
         entry ->> 'to', (entry ->> 'attempt')::integer, entry ->> 'error', entry ->> 'actor', \
         entry -> 'metadata', entry ->> 'token', updated_at \
         FROM moved, json_array_elements(@json) AS entries (entry)\
         ), artefacts AS (\
         INSERT INTO flowstate_artefacts (flow_id, name, seq, payload) \
         SELECT id, artefact ->> 'name', (artefact ->> 'seq')::bigint, artefact -> 'payload' \
         FROM moved, json_array_elements(@json) AS artefacts (artefact)\
         ) SELECT @time(updated_at), @time(due_at) FROM moved";
    /// The record with the first row of its history.
    Insert =
        "WITH made AS (\
         INSERT INTO flowstate_flows \
         (flow, state, seq, props, key, attempts, due_at, deadline_at, completed_at, \
         created_at, updated_at) \
         SELECT ?, ?, 0, @json, ?, 0, \
         CASE WHEN ? = 1 THEN clock.now + ? * interval '1 microsecond' END, \
         CASE WHEN ? = 1 THEN clock.now + ? * interval '1 microsecond' END, \
         CASE WHEN ? = 1 THEN clock.now END, clock.now, clock.now \
         FROM (SELECT @now) AS clock (now) \
         ON CONFLICT (flow, key) WHERE key IS NOT NULL DO NOTHING \
         RETURNING id, state, created_at, due_at\
         ), history AS (\
         INSERT INTO flowstate_transitions \
         (flow_id, seq, transition, to_state, attempt, metadata, token, created_at) \
         SELECT id, 0, ?, state, 1, @json, ?, created_at FROM made\
         ) SELECT id, @time(created_at), @time(due_at) FROM made";
    /// A batch of claims: the start transition of every record that is due, the oldest first, but
    /// for those that others have locked.
    Claim = concat!(
        "WITH due AS (\
         SELECT id FROM flowstate_flows WHERE flow = ? AND state = ? AND due_at <= @began \
         ORDER BY due_at LIMIT ? @skip\
         ), moved AS (\
         UPDATE flowstate_flows AS flow SET state = ?, seq = seq + 1, due_at = NULL, \
         completed_at = NULL, last_errored_at = NULL, \
         leased_until = clock.now + ? * interval '1 microsecond', leased_by = ?, \
         deadline_at = CASE WHEN ? = 1 THEN clock.now + ? * interval '1 microsecond' END, \
         updated_at = clock.now \
         FROM due, (SELECT @now) AS clock (now) WHERE flow.id = due.id \
         RETURNING flow.id, state, seq, props, key, attempts, due_at, completed_at, \
         last_errored_at, created_at, updated_at\
         ), history AS (\
         INSERT INTO flowstate_transitions \
         (flow_id, seq, transition, from_state, to_state, attempt, actor, token, created_at) \
         SELECT id, seq, ?, ?, state, attempts + 1, ?, ?, updated_at FROM moved\
         ) SELECT ",
        flow_columns!(),
        " FROM moved"
    );
    Scout =
        "SELECT source, (extract(epoch FROM @now - due) * 1000)::bigint FROM (\
         SELECT asked ->> 0 AS source, \
         (SELECT due_at FROM flowstate_flows \
         WHERE flow = asked ->> 1 AND state = asked ->> 2 AND due_at IS NOT NULL \
         ORDER BY due_at LIMIT 1) AS due \
         FROM json_array_elements(@json) AS sources (asked) \
         UNION ALL SELECT asked ->> 0, \
         (SELECT leased_until FROM flowstate_flows \
         WHERE flow = asked ->> 1 AND state = asked ->> 2 AND leased_until IS NOT NULL \
         ORDER BY leased_until LIMIT 1) \
         FROM json_array_elements(@json) AS running (asked) \
         UNION ALL SELECT asked ->> 0, \
         (SELECT deadline_at FROM flowstate_flows \
         WHERE flow = asked ->> 1 AND state = asked ->> 2 AND deadline_at IS NOT NULL \
         ORDER BY deadline_at LIMIT 1) \
         FROM json_array_elements(@json) AS timed (asked)\
         ) AS seen WHERE due <= @now";
    ExtendLeases =
        "WITH held AS (\
         SELECT id, (lease ->> 2)::bigint AS micros FROM flowstate_flows \
         JOIN json_array_elements(@json) AS leases (lease) \
         ON id = (lease ->> 0)::bigint AND seq = (lease ->> 1)::bigint \
         WHERE leased_by = ? FOR NO KEY UPDATE OF flowstate_flows SKIP LOCKED\
         ) UPDATE flowstate_flows SET leased_until = @now + micros * interval '1 microsecond' \
         FROM held WHERE flowstate_flows.id = held.id";
    CheckTransaction = "SELECT 1";
    // the isolation that sees what was committed while the lock was waited for
    ReadCommitted = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED";
    LockMigrations = "SELECT pg_advisory_xact_lock(6149418374617202701)";
    MakeVersions =
        "CREATE TABLE IF NOT EXISTS flowstate_migrations \
         (version TEXT NOT NULL PRIMARY KEY, applied_at TIMESTAMPTZ NOT NULL)";
    ServerVersion = "SELECT current_setting('server_version'), \
         current_setting('server_version_num')::bigint";
}

crate::store::as_store!(PgConnection);

impl Dialect for PgConnection {
    const DATABASE: &'static str = "PostgreSQL";
    const MIGRATIONS: &'static [Migration] = &[Migration {
        version: "2026-11-23-000000",
        up: include_str!("../../migrations/postgresql/2026-11-23-000000_create_flowstate/up.sql"),
    }];
    const ONE_STATEMENT: bool = true;

    runs_statements!();

    fn begin(&mut self) -> QueryResult<()> {
        AnsiTransactionManager::begin_transaction_sql(self, "BEGIN")
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
        let (history, artefacts) = postgres_entries::texts(change);
        let binds = [
            Bind::Text(after.state),
            Bind::Int(after.seq),
            Bind::Int(after.attempts.into()),
            timing.due_in.is_some().into(),
            Bind::Int(timing.due_in.unwrap_or_default()),
            change.completes.into(),
            after.is_error.into(),
            timing.lease.is_some().into(),
            Bind::Int(timing.lease.map_or(0, |(micros, _)| micros)),
            Bind::Maybe(timing.lease.map(|(_, worker)| worker)),
            timing.deadline_in.is_some().into(),
            Bind::Int(timing.deadline_in.unwrap_or_default()),
            Bind::Maybe(change.props),
            Bind::Int(change.id),
            Bind::Int(change.before.seq),
            Bind::Text(&history),
            Bind::Text(&artefacts),
        ];
        let stamp = Bound::<Advance, StampColumns>::new(&binds).get_result(self).optional()?;
        Ok(stamp.map(Stamp::Read))
    }

    // one statement: see `Insert`
    fn insert(&mut self, flow: &NewFlow<'_>) -> QueryResult<Option<InsertedRow>> {
        self.insert_flow(flow)
    }

    fn insert_flow(&mut self, flow: &NewFlow<'_>) -> QueryResult<Option<InsertedRow>> {
        let binds = [
            Bind::Text(flow.flow),
            Bind::Text(flow.state),
            Bind::Text(flow.props),
            Bind::Maybe(flow.key),
            flow.timing.due_in.is_some().into(),
            Bind::Int(flow.timing.due_in.unwrap_or_default()),
            flow.timing.deadline_in.is_some().into(),
            Bind::Int(flow.timing.deadline_in.unwrap_or_default()),
            flow.completes.into(),
            Bind::Text(CREATE),
            Bind::Maybe(flow.metadata),
            Bind::Text(flow.token),
        ];
        Bound::<Insert, InsertedColumns>::new(&binds).get_result(self).optional()
    }

    fn claim(&mut self, claims: &Claims<'_>) -> QueryResult<Option<Vec<FlowRow>>> {
        let (lease, worker) = claims.lease;
        self.flows::<Claim>(&[
            Bind::Text(claims.flow),
            Bind::Text(claims.from),
            Bind::Int(claims.limit),
            Bind::Text(claims.link.to),
            Bind::Int(lease),
            Bind::Text(worker),
            claims.deadline_in.is_some().into(),
            Bind::Int(claims.deadline_in.unwrap_or_default()),
            Bind::Text(claims.link.transition),
            Bind::Text(claims.from),
            Bind::Text(worker),
            Bind::Text(claims.token),
        ])
        .map(Some)
    }

    fn scout(&mut self, sources: &str, running: &str, timed: &str) -> QueryResult<Vec<CountRow>> {
        self.counts::<Scout>(&[Bind::Text(sources), Bind::Text(running), Bind::Text(timed)])
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

    fn lock_migrations(&mut self) -> QueryResult<()> {
        if self.depth()? == 1 {
            self.run::<ReadCommitted>(&[])?;
        }
        self.run::<LockMigrations>(&[])?;
        self.run::<MakeVersions>(&[]).map(drop)
    }

    fn conflict(error: &diesel::result::Error) -> Option<ConflictReason> {
        conflict::postgres(error)
    }

    fn is_aborted(error: &diesel::result::Error) -> bool {
        matches!(error, diesel::result::Error::DatabaseError(_, info)
            if info.message().starts_with("current transaction is aborted"))
    }

    fn is_missing_table(error: &diesel::result::Error) -> bool {
        matches!(error, diesel::result::Error::DatabaseError(_, info)
            if info.message().starts_with("relation \"flowstate_"))
    }

    // A server that answers has not committed; if the connection is lost, it may have.
    fn failed_commit(error: &diesel::result::Error) -> FailedCommit {
        use diesel::result::Error;
        match error {
            Error::DatabaseError(
                DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand,
                _,
            ) => FailedCommit::Unknown,
            Error::RollbackErrorOnCommit { commit_error, .. } => Self::failed_commit(commit_error),
            _ => FailedCommit::NotCommitted,
        }
    }
}
