//! A query that fails after its first rows: the client library cannot run the same prepared statement
//! again, and would wait for an answer that nobody gives.

use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::{MysqlConnection, QueryDsl as _, QueryResult, RunQueryDsl as _};
use flowstate_diesel::prelude::*;
use flowstate_diesel::{Error, transaction};
use flowstate_tests::flows::{Job, Note};
use flowstate_tests::{check, refused};
use serde_json::json;

use super::Server;

diesel::table! {
    halting (id) {
        id -> BigInt,
        value -> BigInt,
    }
}

/// A view whose second row fails while there are two in `two`.
const HALTING: &str = "CREATE TABLE two (n BIGINT PRIMARY KEY); INSERT INTO two VALUES (1), (2); \
     CREATE TABLE base (id BIGINT PRIMARY KEY); INSERT INTO base VALUES (1), (2), (3); \
     CREATE VIEW halting AS SELECT id, (SELECT n FROM two WHERE n <= base.id) AS value FROM base";
const MEND: &str = "DELETE FROM two WHERE n = 2";
const BREAK: &str = "INSERT INTO two VALUES (2)";

fn values(conn: &mut MysqlConnection) -> QueryResult<Vec<i64>> {
    halting::table.select(halting::value).order(halting::id).load(conn)
}

/// Fails if it does not come back.
fn comes_back(work: impl FnOnce() + Send + 'static) {
    let (sender, done) = channel();
    let thread = thread::spawn(move || {
        work();
        sender.send(()).expect("somebody waits");
    });
    if done.recv_timeout(Duration::from_mins(1)).is_err() {
        assert!(thread.is_finished(), "it waits for an answer that nobody gives");
        thread.join().expect("it panicked");
    }
}

/// Queries of this crate.
pub(crate) fn a_query_that_failed_half_way_runs_again<D: Server>() {
    comes_back(|| {
        let database = D::migrated();
        let conn = &mut database.connect();
        let mut job = Job::new("a").create(conn).expect("created");
        job.transition(Job::WORK, conn).run().expect("working");
        for number in 0..3 {
            job.transition(Job::NOTE, conn).persist(Note(json!(number))).run().expect("noted");
        }
        conn.batch_execute(HALTING).expect("a view");
        // the same for the history, which is read as long as nothing fails
        conn.batch_execute(
            "RENAME TABLE flowstate_transitions TO transitions; \
             CREATE VIEW flowstate_transitions AS SELECT flow_id, seq, transition, from_state, to_state, \
             attempt, (SELECT CAST(n AS CHAR) FROM two WHERE n <= transitions.seq) AS error, actor, \
             metadata, traceparent, token, created_at FROM transitions",
        )
        .expect("a view");
        for _ in 0..2 {
            refused!(job.history(conn), Error::Database { .. });
            conn.batch_execute(MEND).expect("mended");
            assert_eq!(job.history(conn).expect("read").len(), 5);
            conn.batch_execute(BREAK).expect("broken again");
        }
    });
}

/// Queries of a closure, in a transaction that is tried again or run anew.
pub(crate) fn a_closure_whose_query_failed_half_way_runs_again<D: Server>() {
    comes_back(|| {
        let database = D::migrated();
        let conn = &mut database.connect();
        conn.batch_execute(HALTING).expect("a view");
        let mut job = Job::new("a").create(conn).expect("created");
        let failed = transaction(conn, |conn| Ok(values(conn)?));
        assert!(failed.is_err());
        let within = job.transition(Job::WORK, conn).within(|_, conn| Ok(values(conn)?)).run();
        refused!(within, Error::Within { .. });
        conn.batch_execute(MEND).expect("mended");
        job.transition(Job::WORK, conn).within(|_, conn| Ok(values(conn)?)).run().expect("working");
        check::clean(conn);
    });
}
