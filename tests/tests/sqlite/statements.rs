//! Which statements a transition issues.

use std::sync::{Arc, Mutex};

use diesel::connection::{Instrumentation, InstrumentationEvent};
use flowstate_diesel::prelude::*;
use flowstate_tests::flows::{Bill, Job, Note};
use flowstate_tests::{Database, Sqlite};
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
