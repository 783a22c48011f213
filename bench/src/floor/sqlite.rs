//! SQLite through `rusqlite`, the same library underneath as Diesel's.

use rusqlite::{Connection, OptionalExtension as _, Statement, params};

use super::{Claim, Finish, Floor, Step, token};

macro_rules! now {
    () => {
        "strftime('%Y-%m-%d %H:%M:%f000', 'now')"
    };
}

pub(crate) struct Sqlite {
    begin: Statement<'static>,
    commit: Statement<'static>,
    insert: Statement<'static>,
    advance: Statement<'static>,
    note: Statement<'static>,
    keep: Statement<'static>,
    load: Statement<'static>,
    lock: Statement<'static>,
    ask: Statement<'static>,
    write: Statement<'static>,
    claim: Statement<'static>,
}

impl Sqlite {
    pub(crate) fn open(file: &str, synchronous: &str) -> Self {
        // statements borrow the connection: both live as long as the process
        let conn: &'static Connection = Box::leak(Box::new(Connection::open(file).expect(file)));
        let pragmas = format!(
            "PRAGMA busy_timeout = 60000; PRAGMA synchronous = {synchronous}; \
             PRAGMA foreign_keys = ON"
        );
        conn.execute_batch(&pragmas).expect("the pragmas");
        let prepare = |sql: &str| conn.prepare(sql).expect(sql);
        Self {
            begin: prepare("BEGIN IMMEDIATE"),
            commit: prepare("COMMIT"),
            insert: prepare(concat!(
                "INSERT INTO flowstate_flows \
                 (flow, state, seq, props, attempts, due_at, created_at, updated_at) \
                 VALUES (?, ?, 0, ?, 0, ",
                now!(),
                ", ",
                now!(),
                ", ",
                now!(),
                ") RETURNING id"
            )),
            advance: prepare(concat!(
                "UPDATE flowstate_flows SET state = ?, seq = seq + 1, attempts = 0, \
                 due_at = CASE WHEN ?2 THEN NULL ELSE ",
                now!(),
                " END, \
                 completed_at = CASE WHEN ?2 THEN ",
                now!(),
                " END, \
                 leased_until = NULL, leased_by = NULL, \
                 updated_at = ",
                now!(),
                " WHERE id = ? AND seq = ? RETURNING updated_at"
            )),
            note: prepare(concat!(
                "INSERT INTO flowstate_transitions \
                 (flow_id, seq, transition, from_state, to_state, attempt, token, created_at) \
                 VALUES (?, ?, ?, ?, ?, 1, ?, ",
                now!(),
                ")"
            )),
            keep: prepare(
                "INSERT INTO flowstate_artefacts (flow_id, name, seq, payload) VALUES (?, ?, ?, ?)",
            ),
            load: prepare(
                "SELECT payload FROM flowstate_artefacts WHERE flow_id = ? AND name = ? \
                 ORDER BY seq DESC LIMIT 1",
            ),
            lock: prepare("SELECT state, seq, props FROM flowstate_flows WHERE id = ?"),
            ask: prepare(
                "SELECT EXISTS (SELECT * FROM bench_ledger WHERE record = ? AND amount = ?)",
            ),
            write: prepare("INSERT INTO bench_ledger VALUES (?, ?)"),
            claim: prepare(concat!(
                "UPDATE flowstate_flows SET state = ?, seq = seq + 1, due_at = NULL, \
                 leased_until = strftime('%Y-%m-%d %H:%M:%f000', 'now', '60 seconds'), \
                 leased_by = 'floor', updated_at = ",
                now!(),
                " \
                 WHERE id IN (SELECT id FROM flowstate_flows WHERE flow = ? AND state = ? \
                 AND due_at <= ",
                now!(),
                " ORDER BY due_at LIMIT ?) RETURNING id, seq, props"
            )),
        }
    }

    fn begin(&mut self) {
        self.begin.execute([]).expect("begun");
    }

    fn commit(&mut self) {
        self.commit.execute([]).expect("committed");
    }

    fn insert(&mut self, flow: &str, state: &str, props: &str) -> i64 {
        let id = self.insert.query_row(params![flow, state, props], |row| row.get(0));
        let id = id.expect("inserted");
        self.note(id, 0, "flow.create", None, state);
        id
    }

    fn note(&mut self, id: i64, seq: i64, transition: &str, from: Option<&str>, to: &str) {
        let row = params![id, seq, transition, from, to, token()];
        self.note.execute(row).expect("noted");
    }

    fn write(&mut self, step: &Step<'_>) {
        let Step { id, seq, transition, from, to, completes, artefact, .. } = *step;
        let moved = params![to, completes, id, seq];
        let moved: Option<String> =
            self.advance.query_row(moved, |row| row.get(0)).optional().expect("moved");
        assert!(moved.is_some(), "it has moved on");
        self.note(id, seq + 1, transition, Some(from), to);
        if let Some((name, payload)) = artefact {
            self.keep.execute(params![id, name, seq + 1, payload]).expect("kept");
        }
    }
}

impl Floor for Sqlite {
    fn create(&mut self, flow: &str, state: &str, props: &str) -> i64 {
        self.begin();
        let id = self.insert(flow, state, props);
        self.commit();
        id
    }

    fn create_many(&mut self, flow: &str, state: &str, props: &[String]) {
        self.begin();
        for props in props {
            self.insert(flow, state, props);
        }
        self.commit();
    }

    fn step(&mut self, step: &Step<'_>) -> Option<String> {
        self.begin();
        let loaded = step.load.map(|name| {
            self.load.query_row(params![step.id, name], |row| row.get(0)).expect("loaded")
        });
        self.write(step);
        self.commit();
        loaded
    }

    fn guarded(&mut self, step: &Step<'_>) {
        self.begin();
        let row = self.lock.query_row([step.id], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?))
        });
        assert_eq!(row.expect("locked").1, step.seq);
        let open = self.ask.query_row(params!["open", 1], |row| row.get::<_, i64>(0));
        assert_eq!(open, Ok(1));
        self.write.execute(params!["paid", step.id]).expect("written");
        self.write(step);
        self.commit();
    }

    fn claim(&mut self, claim: &Claim<'_>) -> Vec<(i64, i64)> {
        let Claim { flow, from, transition, to, limit } = *claim;
        self.begin();
        let claimed: Vec<(i64, i64)> = self
            .claim
            .query_map(params![to, flow, from, limit], |row| {
                row.get::<_, String>(2)?;
                Ok((row.get(0)?, row.get(1)?))
            })
            .expect("claimed")
            .collect::<Result<_, _>>()
            .expect("claimed");
        for (id, seq) in &claimed {
            self.note(*id, *seq, transition, Some(from), to);
        }
        self.commit();
        claimed
    }

    fn finish(&mut self, finish: &Finish<'_>, claimed: &[(i64, i64)]) {
        let Finish { from, transition, to } = *finish;
        self.begin();
        for &(id, seq) in claimed {
            let (completes, artefact, load) = (true, None, None);
            self.write(&Step { id, seq, transition, from, to, completes, artefact, load });
        }
        self.commit();
    }
}
