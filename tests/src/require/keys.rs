//! Idempotent starts.

use std::collections::HashSet;

use diesel::Connection;
use diesel::connection::SimpleConnection;
use flowstate_diesel::prelude::*;
use flowstate_diesel::{Error, transaction};
use serde_json::json;

use crate::flows::{Job, Sync, Tagged, import};
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

/// Props that are equal are the same start, in whatever order their type writes them; a list in
/// another order is another one.
pub fn equal_props_are_the_same_start<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let tags = || ["red", "green", "blue", "black"].map(str::to_owned).into_iter().collect();
    let tagged = || Tagged {
        tags: tags(),
        groups: vec![tags(), HashSet::new(), tags()],
        prices: vec![117.633_313_394_000_17, 9_007_199_254_740_991.0],
    };
    for at in 0..16 {
        let key = at.to_string();
        assert!(tagged().create_once(&key, conn).expect("created").is_created());
        assert!(!tagged().create_once(&key, conn).expect("the same props").is_created());
    }
    let mut other = tagged();
    other.prices.reverse();
    refused!(other.create_once("0", conn), Error::KeyConflict { .. });
    let mut other = tagged();
    other.groups.swap(0, 1);
    refused!(other.create_once("0", conn), Error::KeyConflict { .. });
    let mut other = tagged();
    other.tags.remove("red");
    refused!(other.create_once("0", conn), Error::KeyConflict { .. });
    check::clean(conn);
}

/// A message that is delivered again after a deploy that added a field with a default.
pub fn a_start_is_known_after_a_deploy<D: Database>() {
    use import::{v1, v2};

    let database = D::migrated();
    let conn = &mut database.connect();
    let old = v1::Import { file: "a.csv".into() }.create_once("7", conn).expect("created");
    let again = |priority| v2::Import { file: "a.csv".into(), priority };
    let found = again(0).create_once("7", conn).expect("the same start");
    assert!(!found.is_created());
    assert_eq!(found.into_record().id(), old.into_record().id());
    refused!(again(9).create_once("7", conn), Error::KeyConflict { .. });
    // and while the older program still runs
    assert!(again(0).create_once("8", conn).expect("created").is_created());
    let found = v1::Import { file: "a.csv".into() }.create_once("8", conn).expect("found");
    assert!(!found.is_created());
}

/// Whoever has the key may be destroyed, and the key taken anew, between any two statements.
pub fn a_key_that_comes_and_goes_is_new_or_found<D: Database>() {
    let database = D::migrated();
    race(4, |_, barrier| {
        let conn = &mut database.connect();
        barrier.wait();
        for _ in 0..50 {
            let once = Job::new("a").create_once("key", conn).expect("created or found");
            match once.into_record().destroy(conn) {
                Ok(()) | Err(Error::NotFound { .. }) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
    });
    let conn = &mut database.connect();
    assert_eq!(check::sizes::<D>(conn), [0, 0, 0]);
}

/// What an index of the user's own refuses is no key that is taken.
pub fn an_index_of_ones_own_is_no_key<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    conn.batch_execute("CREATE UNIQUE INDEX mine ON flowstate_flows (attempts)").expect("an index");
    Job::new("a").create_once("a", conn).expect("created");
    for refused in [
        Job::new("b").create(conn).map(drop),
        Job::new("b").create_once("b", conn).map(drop),
        transaction(conn, |conn| Job::new("b").create_once("b", conn)).map(drop),
    ] {
        let source = refused!(refused, Error::Database { source, .. } => source);
        assert!(source.to_string().contains("attempts") || source.to_string().contains("mine"));
    }
    assert_eq!(check::sizes::<D>(conn), [1, 1, 0]);
    assert!(!Job::new("a").create_once("a", conn).expect("found").is_created());
}
