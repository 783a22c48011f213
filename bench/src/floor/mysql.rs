//! MySQL and MariaDB through `mysql`: the shortest transaction.

use mysql::prelude::Queryable as _;
use mysql::{Conn, Opts, OptsBuilder, Statement, params};

use super::{Claim, Finish, Floor, Step, token};

pub(crate) struct Mysql {
    conn: Conn,
    insert: Statement,
    advance: Statement,
    note: Statement,
    keep: Statement,
    load: Statement,
    lock: Statement,
    ask: Statement,
    write: Statement,
    due: Statement,
    take: Statement,
    note_all: Statement,
    finish: Statement,
}

impl Mysql {
    pub(crate) fn open(url: &str) -> Self {
        let options = OptsBuilder::from_opts(Opts::from_url(url).expect(url));
        // loopback, as for the other side
        let mut conn = Conn::new(options.prefer_socket(false)).expect("a connection");
        let mut prepare = |sql: &str| conn.prep(sql).expect(sql);
        Self {
            insert: prepare(
                "INSERT INTO flowstate_flows \
                 (flow, state, seq, props, attempts, due_at, created_at, updated_at) \
                 VALUES (?, ?, 0, ?, 0, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6), UTC_TIMESTAMP(6))",
            ),
            advance: prepare(
                "UPDATE flowstate_flows SET state = ?, seq = seq + 1, attempts = 0, \
                 due_at = CASE WHEN ? THEN NULL ELSE UTC_TIMESTAMP(6) END, \
                 completed_at = CASE WHEN ? THEN UTC_TIMESTAMP(6) END, \
                 leased_until = NULL, leased_by = NULL, updated_at = UTC_TIMESTAMP(6) \
                 WHERE id = ? AND seq = ?",
            ),
            note: prepare(
                "INSERT INTO flowstate_transitions \
                 (flow_id, seq, transition, from_state, to_state, attempt, token, created_at) \
                 VALUES (?, ?, ?, ?, ?, 1, ?, UTC_TIMESTAMP(6))",
            ),
            keep: prepare(
                "INSERT INTO flowstate_artefacts (flow_id, name, seq, payload) VALUES (?, ?, ?, ?)",
            ),
            load: prepare(
                "SELECT payload FROM flowstate_artefacts WHERE flow_id = ? AND name = ? \
                 ORDER BY seq DESC LIMIT 1",
            ),
            lock: prepare("SELECT state, seq, props FROM flowstate_flows WHERE id = ? FOR UPDATE"),
            ask: prepare("SELECT amount FROM bench_ledger WHERE record = ? LIMIT 1"),
            write: prepare("INSERT INTO bench_ledger VALUES (?, ?)"),
            due: prepare(
                "SELECT id, seq, props FROM flowstate_flows WHERE flow = ? AND state = ? \
                 AND due_at <= UTC_TIMESTAMP(6) ORDER BY due_at LIMIT ? FOR UPDATE SKIP LOCKED",
            ),
            take: prepare(
                "UPDATE JSON_TABLE(?, '$[*]' COLUMNS (it BIGINT PATH '$')) AS due \
                 STRAIGHT_JOIN flowstate_flows FORCE INDEX (PRIMARY) ON id = it SET state = ?, seq = seq + 1, due_at = NULL, \
                 leased_until = UTC_TIMESTAMP(6) + INTERVAL 60 SECOND, leased_by = 'floor', \
                 updated_at = UTC_TIMESTAMP(6)",
            ),
            note_all: prepare(
                "INSERT INTO flowstate_transitions \
                 (flow_id, seq, transition, from_state, to_state, attempt, token, created_at) \
                 SELECT id, seq, :transition, :from, :to, 1, :token, UTC_TIMESTAMP(6) \
                 FROM JSON_TABLE(:due, '$[*]' COLUMNS (it BIGINT PATH '$')) AS due \
                 STRAIGHT_JOIN flowstate_flows FORCE INDEX (PRIMARY) ON id = it",
            ),
            finish: prepare(
                "UPDATE JSON_TABLE(?, '$[*]' COLUMNS (it BIGINT PATH '$[0]', was BIGINT PATH '$[1]')) \
                 AS claimed STRAIGHT_JOIN flowstate_flows FORCE INDEX (PRIMARY) ON id = it AND seq = was \
                 SET state = ?, seq = seq + 1, attempts = 0, due_at = NULL, \
                 completed_at = UTC_TIMESTAMP(6), leased_until = NULL, leased_by = NULL, \
                 updated_at = UTC_TIMESTAMP(6)",
            ),
            conn,
        }
    }

    fn say(&mut self, sql: &str) {
        self.conn.query_drop(sql).expect(sql);
    }

    fn insert(&mut self, flow: &str, state: &str, props: &str) -> i64 {
        self.conn.exec_drop(&self.insert, (flow, state, props)).expect("inserted");
        let id = i64::try_from(self.conn.last_insert_id()).expect("an id");
        self.note(id, 0, "flow.create", None, state);
        id
    }

    fn note(&mut self, id: i64, seq: i64, transition: &str, from: Option<&str>, to: &str) {
        let row = (id, seq, transition, from, to, token());
        self.conn.exec_drop(&self.note, row).expect("noted");
    }

    fn write(&mut self, step: &Step<'_>) {
        let Step { id, seq, transition, from, to, completes, artefact, .. } = *step;
        let moved = (to, completes, completes, id, seq);
        self.conn.exec_drop(&self.advance, moved).expect("moved");
        assert_eq!(self.conn.affected_rows(), 1, "it has moved on");
        self.note(id, seq + 1, transition, Some(from), to);
        if let Some((name, payload)) = artefact {
            self.conn.exec_drop(&self.keep, (id, name, seq + 1, payload)).expect("kept");
        }
    }
}

/// `ER_LOCK_DEADLOCK`: the whole transaction is gone.
const DEADLOCK: u16 = 1213;

impl Mysql {
    fn try_to_claim(&mut self, claim: &Claim<'_>) -> mysql::Result<Vec<(i64, i64)>> {
        let Claim { flow, from, transition, to, limit } = *claim;
        self.say("BEGIN");
        let rows: Vec<(i64, i64, String)> = self.conn.exec(&self.due, (flow, from, limit))?;
        let due = format!("{:?}", rows.iter().map(|row| row.0).collect::<Vec<_>>());
        self.conn.exec_drop(&self.take, (&due, to))?;
        let token = token();
        let note = params! { transition, from, to, token, due };
        self.conn.exec_drop(&self.note_all, note)?;
        self.say("COMMIT");
        Ok(rows.into_iter().map(|(id, seq, _)| (id, seq + 1)).collect())
    }
}

impl Mysql {
    fn try_to_finish(&mut self, finish: &Finish<'_>, claimed: &[(i64, i64)]) -> mysql::Result<()> {
        let Finish { from, transition, to } = *finish;
        self.say("BEGIN");
        let pairs: Vec<_> = claimed.iter().map(|(id, seq)| [*id, *seq]).collect();
        self.conn.exec_drop(&self.finish, (format!("{pairs:?}"), to))?;
        assert_eq!(self.conn.affected_rows(), claimed.len() as u64, "some have moved on");
        let due = format!("{:?}", claimed.iter().map(|row| row.0).collect::<Vec<_>>());
        let token = token();
        self.conn.exec_drop(&self.note_all, params! { transition, from, to, token, due })?;
        self.say("COMMIT");
        Ok(())
    }
}

impl Floor for Mysql {
    fn create(&mut self, flow: &str, state: &str, props: &str) -> i64 {
        self.say("BEGIN");
        let id = self.insert(flow, state, props);
        self.say("COMMIT");
        id
    }

    fn create_many(&mut self, flow: &str, state: &str, props: &[String]) {
        self.say("BEGIN");
        for props in props {
            self.insert(flow, state, props);
        }
        self.say("COMMIT");
    }

    fn step(&mut self, step: &Step<'_>) -> Option<String> {
        self.say("BEGIN");
        let loaded = step.load.map(|name| {
            let loaded = self.conn.exec_first(&self.load, (step.id, name)).expect("loaded");
            loaded.expect("an artefact")
        });
        self.write(step);
        self.say("COMMIT");
        loaded
    }

    fn guarded(&mut self, step: &Step<'_>) {
        self.say("BEGIN");
        let row: Option<(String, i64, String)> =
            self.conn.exec_first(&self.lock, (step.id,)).expect("locked");
        assert_eq!(row.expect("locked").1, step.seq);
        let open: Option<i64> = self.conn.exec_first(&self.ask, ("open",)).expect("asked");
        assert_eq!(open, Some(1));
        self.conn.exec_drop(&self.write, ("paid", step.id)).expect("written");
        self.write(step);
        self.say("COMMIT");
    }

    fn claim(&mut self, claim: &Claim<'_>) -> Vec<(i64, i64)> {
        despite_deadlocks(|| self.try_to_claim(claim))
    }

    fn finish(&mut self, finish: &Finish<'_>, claimed: &[(i64, i64)]) {
        despite_deadlocks(|| self.try_to_finish(finish, claimed));
    }
}

/// Batches of several threads may meet in a deadlock, in which one of them is rolled back.
fn despite_deadlocks<R>(mut run: impl FnMut() -> mysql::Result<R>) -> R {
    loop {
        match run() {
            Ok(done) => return done,
            Err(mysql::Error::MySqlError(error)) if error.code == DEADLOCK => {}
            Err(error) => panic!("a batch: {error}"),
        }
    }
}
