//! PostgreSQL through `postgres`: one data-modifying statement for each transition.

use postgres::types::ToSql;
use postgres::{Client, NoTls, Statement};

use super::{Claim, Finish, Floor, Step, token};

pub(crate) struct Postgres {
    client: Client,
    begin: Statement,
    commit: Statement,
    create: Statement,
    create_many: Statement,
    step: Statement,
    keep: Statement,
    load: Statement,
    lock: Statement,
    ask: Statement,
    write: Statement,
    claim: Statement,
    finish: Statement,
}

/// Moves the row, and writes the history that hangs on it.
const STEP: &str = "WITH moved AS (\
    UPDATE flowstate_flows SET state = $1, seq = seq + 1, attempts = 0, \
    due_at = CASE WHEN $2 THEN NULL ELSE clock_timestamp() END, \
    completed_at = CASE WHEN $2 THEN clock_timestamp() END, \
    leased_until = NULL, leased_by = NULL, updated_at = clock_timestamp() \
    WHERE id = $3 AND seq = $4 RETURNING id, seq, updated_at\
    ), noted AS (\
    INSERT INTO flowstate_transitions \
    (flow_id, seq, transition, from_state, to_state, attempt, token, created_at) \
    SELECT id, seq, $5, $6, $1, 1, $7, updated_at FROM moved)";

impl Postgres {
    pub(crate) fn open(url: &str) -> Self {
        let mut client = Client::connect(url, NoTls).expect("a connection");
        let mut prepare = |sql: &str| client.prepare(sql).expect(sql);
        Self {
            begin: prepare("BEGIN"),
            commit: prepare("COMMIT"),
            create: prepare(
                "WITH made AS (INSERT INTO flowstate_flows \
                 (flow, state, seq, props, attempts, due_at, created_at, updated_at) \
                 SELECT $1, $2, 0, $3::text::json, 0, now, now, now \
                 FROM (SELECT clock_timestamp()) AS clock (now) RETURNING id, created_at\
                 ), noted AS (INSERT INTO flowstate_transitions \
                 (flow_id, seq, transition, to_state, attempt, token, created_at) \
                 SELECT id, 0, 'flow.create', $2, 1, $4, created_at FROM made) SELECT id FROM made",
            ),
            create_many: prepare(
                "WITH made AS (INSERT INTO flowstate_flows \
                 (flow, state, seq, props, attempts, due_at, created_at, updated_at) \
                 SELECT $1, $2, 0, props::json, 0, now, now, now \
                 FROM (SELECT clock_timestamp()) AS clock (now), \
                 unnest($3::text[]) AS given (props) RETURNING id, created_at\
                 ), noted AS (INSERT INTO flowstate_transitions \
                 (flow_id, seq, transition, to_state, attempt, token, created_at) \
                 SELECT id, 0, 'flow.create', $2, 1, $4, created_at FROM made) SELECT id FROM made",
            ),
            step: prepare(&format!("{STEP} SELECT updated_at::text FROM moved")),
            keep: prepare(&format!(
                "{STEP}, kept AS (INSERT INTO flowstate_artefacts (flow_id, name, seq, payload) \
                 SELECT id, $8, seq, $9::text::json FROM moved) SELECT updated_at::text FROM moved"
            )),
            load: prepare(&format!(
                "{STEP} SELECT updated_at::text, (SELECT payload::text FROM flowstate_artefacts \
                 WHERE flow_id = $3 AND name = $8 ORDER BY seq DESC LIMIT 1) FROM moved"
            )),
            lock: prepare(
                "SELECT state, seq, props::text FROM flowstate_flows WHERE id = $1 \
                 FOR NO KEY UPDATE",
            ),
            ask: prepare("SELECT amount FROM bench_ledger WHERE record = $1 LIMIT 1"),
            write: prepare("INSERT INTO bench_ledger VALUES ($1, $2)"),
            claim: prepare(
                "WITH due AS (SELECT id FROM flowstate_flows WHERE flow = $1 AND state = $2 \
                 AND due_at <= clock_timestamp() ORDER BY due_at LIMIT $3 \
                 FOR NO KEY UPDATE SKIP LOCKED\
                 ), moved AS (UPDATE flowstate_flows SET state = $4, seq = seq + 1, \
                 due_at = NULL, leased_until = clock_timestamp() + interval '60 seconds', \
                 leased_by = 'floor', updated_at = clock_timestamp() \
                 FROM due WHERE flowstate_flows.id = due.id \
                 RETURNING flowstate_flows.id, seq, props, updated_at\
                 ), noted AS (INSERT INTO flowstate_transitions \
                 (flow_id, seq, transition, from_state, to_state, attempt, token, created_at) \
                 SELECT id, seq, $5, $2, $4, 1, $6, updated_at FROM moved) \
                 SELECT id, seq, props::text FROM moved",
            ),
            finish: prepare(
                "WITH moved AS (UPDATE flowstate_flows SET state = $3, seq = flowstate_flows.seq + 1, \
                 attempts = 0, due_at = NULL, completed_at = clock_timestamp(), \
                 leased_until = NULL, leased_by = NULL, updated_at = clock_timestamp() \
                 FROM unnest($1::bigint[], $2::bigint[]) AS claimed (id, seq) \
                 WHERE flowstate_flows.id = claimed.id AND flowstate_flows.seq = claimed.seq \
                 RETURNING flowstate_flows.id, flowstate_flows.seq, updated_at\
                 ), noted AS (INSERT INTO flowstate_transitions \
                 (flow_id, seq, transition, from_state, to_state, attempt, token, created_at) \
                 SELECT id, seq, $4, $5, $3, 1, $6, updated_at FROM moved) SELECT id FROM moved",
            ),
            client,
        }
    }

    fn write(&mut self, step: &Step<'_>) -> Option<String> {
        let Step { id, seq, transition, from, to, completes, .. } = *step;
        let token = token();
        let mut params: Vec<&(dyn ToSql + Sync)> =
            vec![&to, &completes, &id, &seq, &transition, &from, &token];
        let statement = if let Some((name, payload)) = &step.artefact {
            params.extend::<[&(dyn ToSql + Sync); 2]>([name, payload]);
            &self.keep
        } else if let Some(name) = &step.load {
            params.push(name);
            &self.load
        } else {
            &self.step
        };
        let row = self.client.query_one(statement, &params).expect("moved");
        row.get::<_, String>(0);
        step.load.map(|_| row.get(1))
    }

    fn execute(&mut self, statement: &Statement) {
        self.client.execute(statement, &[]).expect("executed");
    }
}

impl Floor for Postgres {
    fn create(&mut self, flow: &str, state: &str, props: &str) -> i64 {
        let row = self.client.query_one(&self.create, &[&flow, &state, &props, &token()]);
        row.expect("created").get(0)
    }

    fn create_many(&mut self, flow: &str, state: &str, props: &[String]) {
        let rows = self.client.query(&self.create_many, &[&flow, &state, &props, &token()]);
        assert_eq!(rows.expect("created").len(), props.len());
    }

    fn step(&mut self, step: &Step<'_>) -> Option<String> {
        self.write(step)
    }

    fn guarded(&mut self, step: &Step<'_>) {
        self.execute(&self.begin.clone());
        let row = self.client.query_one(&self.lock, &[&step.id]).expect("locked");
        assert_eq!((row.get::<_, i64>(1), row.get::<_, String>(2).is_empty()), (step.seq, false));
        let row = self.client.query_one(&self.ask, &[&"open"]).expect("asked");
        assert_eq!(row.get::<_, i64>(0), 1);
        self.client.execute(&self.write, &[&"paid", &step.id]).expect("written");
        self.write(step);
        self.execute(&self.commit.clone());
    }

    fn claim(&mut self, claim: &Claim<'_>) -> Vec<(i64, i64)> {
        let Claim { flow, from, transition, to, limit } = *claim;
        let rows = self
            .client
            .query(&self.claim, &[&flow, &from, &limit, &to, &transition, &token()])
            .expect("claimed");
        let read = |row: &postgres::Row| {
            row.get::<_, String>(2);
            (row.get(0), row.get(1))
        };
        rows.iter().map(read).collect()
    }

    fn finish(&mut self, finish: &Finish<'_>, claimed: &[(i64, i64)]) {
        let Finish { from, transition, to } = *finish;
        let (ids, seqs): (Vec<i64>, Vec<i64>) = claimed.iter().copied().unzip();
        let rows =
            self.client.query(&self.finish, &[&ids, &seqs, &to, &transition, &from, &token()]);
        assert_eq!(rows.expect("finished").len(), claimed.len());
    }
}
