//! Idempotent starts.

use diesel::Connection;
use diesel::connection::SimpleConnection;
use flowstate_diesel::prelude::*;
use flowstate_diesel::{Error, transaction};
use serde_json::json;

use crate::flows::{Job, Sync};
use crate::race::race;
use crate::{Database, check, refused};

/// A30: 16 threads with the same key: one record is new, and all get it.
pub fn a30_same_key_makes_one_record<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let found = race(16, |_, barrier| {
        let conn = &mut database.connect();
        barrier.wait();
        Job::new("a").create_once("key", conn).expect("created or found")
    });
    assert_eq!(found.iter().filter(|once| once.is_created()).count(), 1);
    let ids: Vec<_> = found.into_iter().map(|once| once.into_record().id()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(check::sizes::<D>(conn), [1, 1, 0]);

    let (record, key) = refused!(
        Job::new("other").create_once("key", conn),
        Error::KeyConflict { record, key } => (record, key)
    );
    assert_eq!((record.id, &*key), (Some(ids[0]), "key"));
    let sync = Sync::new("a").create_once("key", conn).expect("another flow has keys of its own");
    assert!(sync.is_created());
    check::clean(conn);
}

/// The props with which a record was created decide, not what became of them.
pub fn a_key_is_known_after_the_props_changed<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut job = Job::new("a").create_once("key", conn).expect("created").into_record();
    job.transition(Job::WORK, conn)
        .update(|job| {
            "b".clone_into(&mut job.name);
            job.payload = json!([1.5, {"x": null}]);
        })
        .run()
        .expect("working");
    assert_eq!((&*job.name, &job.payload), ("b", &json!([1.5, {"x": null}])));
    let again = Job::new("a").create_once("key", conn).expect("found");
    assert!(!again.is_created());
    let again = again.into_record();
    assert_eq!((again.id(), &*again.name, again.seq()), (job.id(), "b", 1));
    refused!(Job::new("b").create_once("key", conn), Error::KeyConflict { .. });

    job.destroy(conn).expect("destroyed");
    let new = Job::new("b").create_once("key", conn).expect("the key is free again");
    assert!(new.is_created());
    assert_ne!(new.into_record().id(), job.id());
    check::clean(conn);
}

/// In a transaction, with a start that is found and one that is undone.
pub fn a_keyed_start_joins_a_transaction<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let first = transaction(conn, |conn| {
        let first = Job::new("a").create_once("key", conn)?;
        assert!(!Job::new("a").create_once("key", conn)?.is_created());
        refused!(Job::new("b").create_once("key", conn), Error::KeyConflict { .. });
        Ok::<_, Error>(first)
    })
    .expect("committed");
    assert!(first.is_created());
    let undone = conn.transaction(|conn| {
        assert!(Job::new("a").create_once("other", conn)?.is_created());
        Err::<(), _>(Error::from(diesel::result::Error::RollbackTransaction))
    });
    refused!(undone, Error::Database { .. });
    assert!(Job::find_by_key("other", conn).expect("searched").is_none());
    assert_eq!(check::sizes::<D>(conn), [1, 1, 0]);
}

/// A row that was made by hand, without its history, is no ground for a guess.
pub fn a_key_without_its_beginning_is_a_conflict<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    Job::new("a").create_once("key", conn).expect("created");
    conn.batch_execute("DELETE FROM flowstate_transitions").expect("deleted");
    refused!(Job::new("a").create_once("key", conn), Error::KeyConflict { .. });
    assert!(!flowstate_diesel::audit(conn).expect("the audit ran").is_clean());
}
