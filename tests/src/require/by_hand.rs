//! Transactions that the caller begins by hand, of which Diesel knows nothing.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use flowstate_diesel::prelude::*;
use flowstate_diesel::{Error, Purge, transaction};

use crate::flows::{Job, JobState};
use crate::{Database, check, refused};

/// Every call that writes refuses: nothing of the caller's is committed, no hook runs, and the
/// caller's ROLLBACK undoes all that the caller did.
pub fn a_transaction_begun_by_hand_is_refused<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    check::make_effects(conn);
    let mut job = Job::new("a").create(conn).expect("created");
    let id = job.id();
    for begin in ["BEGIN", "-- mine\nBEGIN; INSERT INTO effects (name) VALUES ('first')"] {
        conn.batch_execute(begin).expect("begun");
        conn.batch_execute("INSERT INTO effects (name) VALUES ('mine')").expect("written");
        let hook = Rc::new(Cell::new(false));
        let run = Rc::clone(&hook);
        let guarded = job
            .transition(Job::WORK, conn)
            .guard("always", |_, _| true)
            .after_commit(move |_| run.set(true))
            .run();
        let named = refused!(guarded, Error::TransactionByHand { record } => record);
        assert_eq!(named.and_then(|record| record.id), Some(id));
        for refused in [
            job.transition(Job::WORK, conn).run(),
            Job::new("b").create(conn).map(drop),
            Job::new("b").create_once("b", conn).map(drop),
            Job::create_many([Job::new("b")], conn).map(drop),
            job.destroy(conn),
            transaction(conn, |conn| Job::new("b").create(conn)).map(drop),
        ] {
            refused!(refused, Error::TransactionByHand { .. });
        }
        // nothing is there to be purged, which is only read
        assert_eq!(Purge::older_than(Duration::ZERO).run(conn).expect("nothing"), 0);
        conn.batch_execute("ROLLBACK").expect("rolled back");
        assert_eq!(check::rows::<D>(conn, "effects"), 0);
        assert!(!hook.get());
        assert_eq!(Job::find(id, conn).expect("found").state(), JobState::Open);
    }
    // and what follows is as ever
    job.transition(Job::WORK, conn).run().expect("working");
    assert_eq!(check::sizes::<D>(conn), [1, 2, 0]);
}

/// One that was begun before this crate saw the connection, and that the caller commits.
pub fn a_transaction_begun_before_is_refused<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    check::make_effects(conn);
    let conn = &mut database.connect();
    conn.batch_execute("BEGIN").expect("begun");
    conn.batch_execute("INSERT INTO effects (name) VALUES ('mine')").expect("written");
    refused!(Job::new("a").create(conn), Error::TransactionByHand { .. });
    conn.batch_execute("COMMIT").expect("committed");
    assert_eq!(check::rows::<D>(conn, "effects"), 1);
    Job::new("a").create(conn).expect("created");
    assert_eq!(check::sizes::<D>(conn), [1, 1, 0]);
}

/// A text that looks like an end, by a `;` in a string, a comment or a body, ends nothing: the server is
/// asked.
pub fn a_text_that_looks_like_an_end_ends_nothing<D: Database>() {
    let database = D::migrated();
    check::make_effects(&mut database.connect());
    let body = "DO $$ BEGIN PERFORM 1; END $$";
    let texts = [
        "INSERT INTO effects (name) VALUES ('wait; end of it')",
        "INSERT INTO effects (name) VALUES ('x') /* a; commit later */",
        "INSERT INTO effects (name) VALUES ('x') -- a; rollback\n",
        if D::FOLDER == "postgresql" { body } else { "SELECT 'a; end'" },
    ];
    for text in texts {
        for begin in ["BEGIN", "/* ; */ BEGIN", "-- mine; SELECT 1\nBEGIN"] {
            let conn = &mut database.connect();
            Job::new("first").create(conn).expect("created");
            conn.batch_execute(begin).expect(begin);
            conn.batch_execute("INSERT INTO effects (name) VALUES ('mine')").expect("written");
            conn.batch_execute(text).expect(text);
            for _ in 0..2 {
                let made = transaction(conn, |conn| Job::new("b").create(conn));
                refused!(made, Error::TransactionByHand { .. });
                refused!(Job::new("b").create(conn), Error::TransactionByHand { .. });
            }
            conn.batch_execute("ROLLBACK").expect("rolled back");
            assert_eq!(check::rows::<D>(conn, "effects"), 0, "{begin}, {text}");
            // and what follows is as ever
            Job::new("last").create(conn).expect("created");
        }
    }
}
