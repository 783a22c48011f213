//! Which statements a transition issues.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use diesel::connection::{Instrumentation, InstrumentationEvent};
use diesel::{QueryableByName, RunQueryDsl, sql_query};
use flowstate_diesel::prelude::*;
use flowstate_diesel::{Worker, transaction};
use flowstate_tests::flows::{Bill, Job, Note, Response};
use flowstate_tests::gate::Gate;
use flowstate_tests::require::worker::age::{go_round, grow_old};
use flowstate_tests::statement_probe::{Probe, sent};
use flowstate_tests::steps::picked_together;
use flowstate_tests::{Database, Sqlite, check, fetch_step};
use serde_json::json;

/// What a connection was asked to do.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Asked>>>);

#[derive(Debug, PartialEq)]
enum Asked {
    Ran(String),
    Prepared(String),
}

impl Instrumentation for Log {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        let asked = match event {
            InstrumentationEvent::StartQuery { query, .. } => Asked::Ran(query.to_string()),
            InstrumentationEvent::CacheQuery { sql, .. } => Asked::Prepared(sql.to_owned()),
            _ => return,
        };
        self.0.lock().expect("no panic").push(asked);
    }
}

impl Log {
    /// The statements run since the last call, shortened to the verb and the table.
    fn ran(&self) -> Vec<String> {
        let asked = std::mem::take(&mut *self.0.lock().expect("no panic"));
        let short = |asked| match asked {
            Asked::Ran(sql) => Some(short(&sql)),
            Asked::Prepared(_) => None,
        };
        asked.into_iter().filter_map(short).collect()
    }

    fn prepared(&self) -> Vec<String> {
        let asked = std::mem::take(&mut *self.0.lock().expect("no panic"));
        let prepared = |asked| match asked {
            Asked::Prepared(sql) => Some(sql),
            Asked::Ran(_) => None,
        };
        asked.into_iter().filter_map(prepared).collect()
    }
}

fn short(sql: &str) -> String {
    let sql = sql.split(" -- binds").next().unwrap_or_default();
    let mut words = sql.split_whitespace();
    let verb = words.next().unwrap_or_default();
    match words.find(|word| word.starts_with("flowstate_")) {
        Some(table) => format!("{verb} {}", table.trim_start_matches("flowstate_")),
        None => sql.to_owned(),
    }
}

/// A connection whose statements are logged.
fn logged(database: &Sqlite) -> (Log, SqliteConnection) {
    let log = Log::default();
    let mut conn = database.connect();
    flowstate_diesel::instrument(&mut conn, log.clone());
    (log, conn)
}

#[test]
fn the_fast_path_is_four_statements() {
    let database = Sqlite::migrated();
    let (log, conn) = &mut logged(&database);
    let mut job = Job::new("a").create(conn).expect("created");
    assert_eq!(
        log.ran(),
        ["BEGIN IMMEDIATE", "INSERT flows", "INSERT transitions", "COMMIT"],
        "a creation"
    );
    job.transition(Job::WORK, conn).actor("me").after_commit(|_| ()).run().expect("working");
    let plain = ["BEGIN IMMEDIATE", "UPDATE flows", "INSERT transitions", "COMMIT"];
    assert_eq!(log.ran(), plain);
    job.transition(Job::NOTE, conn).persist(Note(json!(1))).run().expect("noted");
    let note =
        ["BEGIN IMMEDIATE", "UPDATE flows", "INSERT transitions", "INSERT artefacts", "COMMIT"];
    assert_eq!(log.ran(), note, "and one for each artefact");
    let both = (Note(json!(1)), Bill { lines: vec![] });
    job.transition(Job::BILL, conn).persist(both).run().expect("billed");
    assert_eq!(log.ran().iter().filter(|sql| *sql == "INSERT artefacts").count(), 2);
    let mut found = Job::find(job.id(), conn).expect("found");
    assert_eq!(log.ran(), ["SELECT flows"], "no transaction for a read");
    found.transition(Job::READ, conn).run().expect("read");
    let read =
        ["BEGIN IMMEDIATE", "SELECT artefacts", "UPDATE flows", "INSERT transitions", "COMMIT"];
    assert_eq!(log.ran(), read, "and one for each that is loaded");
    found.transition(Job::NOTE, conn).persist(Note(json!(2))).run().expect("noted");
    log.ran();
    found.transition(Job::READ, conn).run().expect("read");
    assert_eq!(log.ran(), plain, "but none for one that the record wrote itself");
    found.transition(Job::FINISH, conn).run().expect("finished");
    assert_eq!(log.ran(), plain, "from a record that was found, too");
}

#[test]
fn the_slow_path_reads_the_row_once() {
    let database = Sqlite::migrated();
    let (log, conn) = &mut logged(&database);
    let mut job = Job::new("a").create(conn).expect("created");
    let mut stale = job.clone();
    log.ran();
    job.transition(Job::PARK, conn).guard("yes", |_, _| true).run().expect("parked");
    let slow = ["BEGIN IMMEDIATE", "SELECT flows", "UPDATE flows", "INSERT transitions", "COMMIT"];
    assert_eq!(log.ran(), slow);
    stale.transition(Job::WORK, conn).run().expect("working");
    let moved_on = [
        "BEGIN IMMEDIATE",
        "UPDATE flows",
        "SELECT flows",
        "UPDATE flows",
        "INSERT transitions",
        "COMMIT",
    ];
    assert_eq!(log.ran(), moved_on, "a record that has moved on");
    job.transition(Job::PARK, conn).run().expect_err("invalid");
    assert_eq!(log.ran(), ["BEGIN IMMEDIATE", "SELECT flows", "ROLLBACK"]);
}

#[test]
fn hot_statements_are_prepared_once() {
    let database = Sqlite::migrated();
    let (log, conn) = &mut logged(&database);
    let mut jobs: Vec<_> = (0..5).map(|_| Job::new("a").create(conn).expect("created")).collect();
    for job in &mut jobs {
        for _ in 0..5 {
            job.transition(Job::WORK, conn).run().expect("working");
            job.transition(Job::FAIL, conn).guard("yes", |_, _| true).run().expect("failed");
        }
        job.transition(Job::WORK, conn).run().expect("working");
        job.transition(Job::NOTE, conn).persist(Note(json!(1))).run().expect("noted");
        job.transition(Job::READ, conn).run().expect("read");
        Job::find(job.id(), conn).expect("found").history(conn).expect("the history");
    }
    let prepared = log.prepared();
    let mut distinct = prepared.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(prepared.len(), distinct.len(), "{prepared:#?}");
    assert!((5..12).contains(&prepared.len()), "{prepared:#?}");
}

/// The ends of many claims are written by few statements, however many they are.
#[test]
fn ends_of_one_kind_are_written_at_once() {
    const RECORDS: u32 = 24;
    let database = Sqlite::migrated();
    let conn = &mut database.connect();
    let records = usize::try_from(RECORDS).expect("few");
    picked_together::<Sqlite>(conn, records);
    let (probe, recorded) = Probe::recording();
    let (gate, ended) = (Gate::new(), Gate::new());
    let (stop, end) = (Arc::clone(&gate), Arc::clone(&ended));
    let pool = Sqlite::probed_pool(&database.url(), 4, probe);
    let worker = Worker::new(pool).threads(records);
    let worker = worker.step(fetch_step!().batch(records), move |_, ()| {
        stop.pass();
        end.note();
        Ok(Response(json!("its own")))
    });
    let running = worker.start().expect("started");
    gate.wait_for(records);
    drop(recorded.take());
    // while somebody else writes, they gather
    transaction(conn, |_| {
        gate.open();
        ended.wait_for(records);
        Ok(())
    })
    .expect("committed");
    while running.stats().finished < u64::from(RECORDS) {
        std::thread::yield_now();
    }
    running.shutdown(Duration::from_mins(1)).expect("stopped");
    let sent = recorded.take();
    let count = |words: &str| sent.iter().filter(|sql| sql.starts_with(words)).count();
    let moves = count("UPDATE flowstate_flows SET state = ");
    assert!(moves < records / 2, "{sent:#?}");
    assert_eq!(count("INSERT INTO flowstate_transitions"), moves);
    assert_eq!(count("INSERT INTO flowstate_artefacts"), records, "each its own");
    check::clean(conn);
}

#[derive(QueryableByName)]
struct Planned {
    #[diesel(sql_type = diesel::sql_types::Text)]
    detail: String,
}

/// SQLite tells nobody how many rows it reads, but how it finds them: a claim of a step that repeats
/// goes backwards through the key of the history, and stops at the first row that it looks for, or at
/// one that is too far back.
#[test]
fn a_claim_reads_no_history() {
    let database = Sqlite::migrated();
    let conn = &mut database.connect();
    grow_old::<Sqlite>(conn);
    let (statements, ()) = sent(conn, go_round::<Sqlite>);
    let is_compiled_anew = |sql: &String| sql.contains("LIMIT ?");
    assert!(!statements.iter().any(is_compiled_anew), "by a bound LIMIT alone: {statements:#?}");
    let lookup = |sql: &&String| sql.starts_with("SELECT") && sql.contains("flowstate_transitions");
    let lookup = statements.iter().find(lookup).expect("when it last finished");
    let plan = sql_query(format!("EXPLAIN QUERY PLAN {lookup}")).load::<Planned>(conn);
    let plan: Vec<_> = plan.expect("a plan").into_iter().map(|row| row.detail).collect();
    let search = "SEARCH flowstate_transitions USING PRIMARY KEY (flow_id=? AND seq>?)";
    // before 3.36 it says that it is a table
    let searches = |detail: &String| detail.replace("SEARCH TABLE", "SEARCH") == search;
    assert!(plan.iter().any(searches), "{plan:#?}");
    assert!(!plan.iter().any(|detail| detail.contains("B-TREE")), "nothing is sorted: {plan:#?}");
    assert!(lookup.contains("ORDER BY seq DESC LIMIT 1"), "{lookup}");
    check::clean(conn);
}
