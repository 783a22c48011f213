//! The writers of one process make checkpoints beside each other, not one waiting for the other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use diesel::connection::SimpleConnection;
use flowstate_diesel::prelude::*;
use flowstate_tests::flows::Job;
use flowstate_tests::statement_probe::Probe;
use flowstate_tests::{Database, Sqlite, check};

/// Four threads write until one has made a checkpoint, or so often. Returns whether one has.
fn is_made(database: &Sqlite, settings: &'static str, at_most: u32) -> bool {
    let made: &'static AtomicBool = Box::leak(Box::default());
    let write = || {
        let conn = &mut database.connect();
        conn.batch_execute(settings).expect("set");
        let see = |seen: flowstate_tests::statement_probe::Seen<'_>| {
            if seen.ends(&["wal_checkpoint(PASSIVE)"]) {
                made.store(true, Ordering::SeqCst);
            }
        };
        Probe::new(see).over(conn);
        let mut job = Job::new("a").create(conn).expect("created");
        for _ in 0..at_most {
            job.transition(Job::WORK, conn).run().expect("working");
            job.transition(Job::FAIL, conn).run().expect("failed");
            if made.load(Ordering::SeqCst) {
                break;
            }
        }
    };
    thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(write))));
    check::clean(&mut database.connect());
    made.load(Ordering::SeqCst)
}

#[test]
fn those_who_let_others_write_make_checkpoints() {
    let database = Sqlite::migrated();
    assert!(is_made(&database, "PRAGMA wal_autocheckpoint = 100", 2_000));
}

/// Who has switched automatic checkpoints off has another program make them.
#[test]
fn none_is_made_where_they_are_switched_off() {
    let database = Sqlite::migrated();
    assert!(!is_made(&database, "PRAGMA wal_autocheckpoint = 0", 100));
}
