//! How many statements a call takes, and in which language they may be answered.

use diesel::Connection as _;
use diesel::connection::{InstrumentationEvent, SimpleConnection as _};
use flowstate_diesel::prelude::*;
use flowstate_diesel::{Error, transaction};
use flowstate_tests::flows::Job;
use flowstate_tests::statement_probe::sent;
use flowstate_tests::{check, refused};

use super::Server;
use super::deadlock::{deadlock, with_locks};

pub(crate) fn the_fast_path_is_four_statements<D: Server>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut job = Job::new("a").create(conn).expect("created");
    let (texts, moved) = sent(conn, |conn| job.transition(Job::WORK, conn).run());
    moved.expect("working");
    let words: Vec<_> = texts.iter().filter_map(|text| text.split(' ').next()).collect();
    assert_eq!(words, ["SET", "UPDATE", "INSERT", "SET"], "{texts:#?}");
    check::clean(conn);
}

/// A server that speaks another language serves; only conflicts are not told as such.
pub(crate) fn another_language_serves<D: Server>() {
    let database = with_locks::<D>();
    let conn = &mut database.connect();
    conn.batch_execute("SET lc_messages = 'de_DE'").expect("German");
    let german = conn.batch_execute("SELECT 1 FROM nowhere").expect_err("no table");
    assert!(german.to_string().contains("existiert nicht"), "{german}");
    let mut job = Job::new("a").create_once("key", conn).expect("created").into_record();
    job.transition(Job::WORK, conn).guard("it may", |_, _| true).run().expect("working");
    transaction(conn, |conn| job.transition(Job::FAIL, conn).run()).expect("failed");
    assert!(!Job::new("a").create_once("key", conn).expect("found").is_created());
    // a deadlock, which is not known by its text, undoes everything and is known by its consequence
    conn.set_instrumentation(|_: InstrumentationEvent<'_>| ());
    let ended = transaction(conn, |conn| {
        deadlock(&database, conn).expect_err("the victim");
        job.transition(Job::WORK, conn).run()
    });
    refused!(ended, Error::FailureIgnored { .. });
    assert_eq!(Job::find(job.id(), conn).expect("found").seq(), 2);
    check::clean(conn);
}
