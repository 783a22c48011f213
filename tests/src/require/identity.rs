//! A record in memory is of one row: neither of another flow's, nor of one that was given its id.

use diesel::Connection;
use diesel::connection::SimpleConnection;
use flowstate_diesel::prelude::*;
use flowstate_diesel::{Error, claim_next, migrate, new_identity, transaction};
use serde_json::json;

use crate::flows::{Errand, Job, JobRecord, JobState, Note};
use crate::{Database, check, refused};

/// Everything that a record can do says that it is not there.
fn is_gone<D: Database>(job: &mut JobRecord, conn: &mut D::Conn) {
    refused!(job.transition(Job::WORK, conn).run(), Error::NotFound { .. });
    refused!(job.transition(Job::WORK, conn).actor("me").run(), Error::NotFound { .. });
    let guarded = job.transition(Job::WORK, conn).guard("always", |_, _| true).run();
    refused!(guarded, Error::NotFound { .. });
    let inside = transaction(conn, |conn| job.transition(Job::PARK, conn).run());
    refused!(inside, Error::NotFound { .. });
    let theirs = conn.transaction(|conn| job.transition(Job::PARK, conn).run());
    refused!(theirs, Error::NotFound { .. });
    refused!(job.transition(Job::ABANDON, conn).run(), Error::NotFound { .. });
    refused!(job.reload(conn), Error::NotFound { .. });
    refused!(job.destroy(conn), Error::NotFound { .. });
    assert_eq!((job.state(), job.seq()), (JobState::Open, 0));
}

/// An id that is another flow's by now, where tables were emptied or a backup restored.
pub fn an_id_of_another_flow_is_not_found<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut worked = Job::new("b").create(conn).expect("created");
    worked.transition(Job::WORK, conn).run().expect("working");
    worked.transition(Job::NOTE, conn).persist(Note(json!(1))).run().expect("noted");
    assert!(worked.artefact::<Note>(conn).expect("read").is_some());
    let mut job = Job::new("a").create(conn).expect("created");
    let taken = "UPDATE flowstate_flows SET flow = 'measure', state = 'open'";
    conn.batch_execute(taken).expect("another flow");
    is_gone::<D>(&mut job, conn);
    assert_eq!(job.history(conn).expect("read").len(), 0);
    assert_eq!(job.artefacts(conn).expect("read").len(), 0);
    assert!(worked.artefact::<Note>(conn).expect("read").is_none());
    assert_eq!(worked.artefacts(conn).expect("read").len(), 0);
    assert_eq!(check::sizes::<D>(conn), [2, 4, 1]);
    assert_eq!(D::number(conn, "SELECT SUM(seq) FROM flowstate_flows WHERE id > 1"), 0);
}

/// An id that was given again to a record of the same flow.
pub fn an_id_that_was_given_again_is_not_found<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut job = Job::new("a").create(conn).expect("created");
    let again = "UPDATE flowstate_flows SET created_at = '2001-02-03 04:05:06.789000'";
    conn.batch_execute(again).expect("another record");
    is_gone::<D>(&mut job, conn);
    let mut found = Job::find(job.id(), conn).expect("found");
    found.transition(Job::WORK, conn).run().expect("working");
    found.transition(Job::NOTE, conn).persist(Note(json!(1))).run().expect("noted");
    assert_eq!(check::sizes::<D>(conn), [1, 3, 1]);
    check::clean(conn);
}

/// A record that was created in a transaction of the caller's, opened with Diesel, which rolled back:
/// its id may be another's by then, of the same flow and of the same moment.
pub fn what_others_rolled_back_does_not_exist<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut made = Vec::new();
    let undone = conn.transaction(|conn| {
        made.push(Job::new("a").create(conn)?);
        made.extend(Job::create_many([Job::new("b"), Job::new("c")], conn)?);
        made.push(Job::new("d").create_once("d", conn)?.into_record());
        Err::<(), Error>(diesel::result::Error::RollbackTransaction.into())
    });
    refused!(undone, Error::Database { .. });
    transaction(conn, |conn| {
        let undone = conn.transaction(|conn| {
            made.push(Job::new("e").create(conn)?);
            Err::<(), Error>(diesel::result::Error::RollbackTransaction.into())
        });
        refused!(undone, Error::Database { .. });
        Ok::<_, Error>(())
    })
    .expect("committed");
    let others = Job::create_many((0..made.len()).map(|_| Job::new("other")), conn);
    let others = others.expect("created");
    for job in &mut made {
        is_gone::<D>(job, conn);
        refused!(job.history(conn), Error::NotFound { .. });
        refused!(job.artefacts(conn), Error::NotFound { .. });
        refused!(job.artefact::<Note>(conn), Error::NotFound { .. });
    }
    for other in others {
        assert_eq!(Job::find(other.id(), conn).expect("found").seq(), 0);
    }
    check::clean(conn);
}

/// And one whose transaction was committed is there.
pub fn what_others_committed_exists<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut job = conn
        .transaction(|conn| {
            let mut job = Job::new("a").create(conn)?;
            job.transition(Job::WORK, conn).run()?;
            Ok::<_, Error>(job)
        })
        .expect("committed");
    assert_eq!(job.history(conn).expect("read").len(), 2);
    job.transition(Job::FAIL, conn).run().expect("failed");
    job.transition(Job::WORK, conn).run().expect("working");
    assert_eq!((job.state(), job.seq()), (JobState::Working, 3));
    check::clean(conn);
}

/// A copy of a database that is given an identity of its own has other idempotency keys; connections
/// that are opened afterwards know it. Nothing else of it changes.
pub fn a_copy_has_other_idempotency_keys<D: Database>() {
    let database = D::migrated();
    Errand::new("a").create(&mut database.connect()).expect("created");
    let key = || {
        let conn = &mut database.connect();
        let claim = claim_next(Errand::RUN, conn).expect("no error").expect("a claim");
        let key = claim.idempotency_key();
        claim.release(conn).expect("released");
        key
    };
    let before = key();
    assert_eq!(key(), before, "another connection, and the same database");
    new_identity(&mut database.connect()).expect("drawn");
    let after = key();
    let of_the_record = |key: &str| key.split_once('-').map(|(_, rest)| rest.to_owned());
    assert_ne!(after, before);
    assert_eq!(of_the_record(&after), of_the_record(&before));
    migrate(&mut database.connect()).expect("nothing is to be done");
    assert_eq!(key(), after);
    check::clean(&mut database.connect());
}
