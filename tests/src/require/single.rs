//! One record at a time under a key.

use std::sync::Barrier;
use std::thread;

use diesel::Connection;
use flowstate::Flow;
use flowstate_diesel::operator::{self, Action, Filter, Refusal, Wish, act, plan, register};
use flowstate_diesel::{Error, Once, Worker, prelude::*, transaction};
use serde::{Deserialize, Serialize};

use crate::flows::Job;
use crate::race::race;
use crate::{Database, check, refused};

/// Of which there is one at a time.
#[derive(Flow, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[state(Open, Running, Done, NotDone(error), Dropped)]
#[initial(Open)]
#[completed(Done, Dropped(destroy))]
#[flow(name = "upload", label(file))]
#[step(run: Open | NotDone => Running => Done, fail(NotDone))]
#[transition(end: Open => Done)]
#[transition(drop: Open => Dropped)]
pub struct Upload {
    /// What the tests know it by.
    pub file: String,
}

/// A later version of [`Upload`], in which what was done can go on.
#[derive(Flow, Serialize, Deserialize, Debug)]
#[state(Open, Done, Closed)]
#[initial(Open)]
#[completed(Closed)]
#[flow(name = "upload", record = LaterRecord, state = LaterState)]
#[transition(end: Open => Done)]
#[transition(reopen: Done => Open)]
#[transition(close: Done => Closed)]
pub struct Later {
    /// What the tests know it by.
    pub file: String,
}

fn upload(file: &str) -> Upload {
    Upload { file: file.to_owned() }
}

/// 30 threads with the same key: one record is new, and all get it, whatever their props; when it is
/// completed, or destroyed, the key is free.
pub fn one_is_there_at_a_time<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    for round in 0..3 {
        let found = race(30, |number, barrier| {
            let conn = &mut database.connect();
            barrier.wait();
            let start = || upload(&format!("{number}")).create_single("key", conn);
            whatever_is_in_the_way(start).expect("created or found")
        });
        assert_eq!(found.iter().filter(|once| once.is_created()).count(), 1);
        let mut records: Vec<_> = found.into_iter().map(Once::into_record).collect();
        let mut first = records.pop().expect("a record");
        assert!(records.iter().all(|record| record.id() == first.id()));
        assert!(records.iter().all(|record| record.file == first.file));
        assert_eq!(first.key(), Some("key"));
        let single = Upload::find_single("key", conn).expect("searched").expect("found");
        assert_eq!((single.id(), single.key()), (first.id(), Some("key")));
        if round == 1 {
            first.transition(Upload::DROP, conn).run().expect("destroyed");
        } else {
            first.transition(Upload::END, conn).run().expect("completed");
        }
        assert!(Upload::find_single("key", conn).expect("searched").is_none());
    }
    // apart from other keys
    assert!(Upload::find_by_key("key", conn).expect("searched").is_none());
    assert!(upload("a").create_once("key", conn).expect("created").is_created());
    assert!(upload("a").create_single("key", conn).expect("created").is_created());
    assert!(upload("a").create_single("Key", conn).expect("created").is_created());
    assert!(Job::new("a").create_single("key", conn).expect("created").is_created());
    assert!(!upload("a").create_once("key", conn).expect("found").is_created());
    assert!(Upload::find_single("a\0b", conn).expect("searched").is_none());
    refused!(upload("a").create_single("a\0b", conn), Error::Unstorable { .. });
    refused!(upload("a").create_single(&"k".repeat(300), conn), Error::Unstorable { .. });
    check::clean(conn);
}

/// Calls again what has given up in the crowd, as the error asks for.
fn whatever_is_in_the_way<R>(mut call: impl FnMut() -> Result<R, Error>) -> Result<R, Error> {
    loop {
        match call() {
            Err(error) if error.is_conflict() => {}
            done => return done,
        }
    }
}

/// 30 threads start one and end it, all the time: each start is new or finds one that another thread
/// has, and no two live at once.
pub fn a_single_one_ends_while_others_start<D: Database>() {
    let database = D::migrated();
    let made = race(30, |_, barrier| {
        let conn = &mut database.connect();
        barrier.wait();
        let (mut made, mut ended) = (0, 0);
        for _ in 0..5 {
            let once = whatever_is_in_the_way(|| upload("a").create_single("key", conn));
            let once = once.expect("created or found");
            made += i64::from(once.is_created());
            let mut record = once.into_record();
            match whatever_is_in_the_way(|| record.transition(Upload::END, conn).run()) {
                Ok(()) => ended += 1,
                Err(Error::InvalidTransition { .. }) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
        (made, ended)
    });
    let conn = &mut database.connect();
    let (made, ended): (Vec<i64>, Vec<i64>) = made.into_iter().unzip();
    assert_eq!(check::rows::<D>(conn, "flowstate_flows"), made.iter().sum::<i64>());
    assert_eq!(made.iter().sum::<i64>(), ended.iter().sum::<i64>());
    assert!(Upload::find_single("key", conn).expect("searched").is_none());
    check::clean(conn);
}

/// Against a transaction that ends the record and is not committed yet: new if it commits, and found
/// if it does not.
pub fn a_start_waits_for_the_end_of_the_one_before<D: Database>() {
    let database = D::migrated();
    for commits in [true, false] {
        let barrier = Barrier::new(2);
        let conn = &mut database.connect();
        let mut first = upload("a").create_single("key", conn).expect("found").into_record();
        let again = thread::scope(|scope| {
            let again = scope.spawn(|| {
                let conn = &mut database.connect();
                barrier.wait();
                upload("b").create_single("key", conn).expect("created or found")
            });
            let ended = transaction(conn, |conn| {
                first.transition(Upload::END, conn).run()?;
                barrier.wait();
                if commits {
                    Ok(())
                } else {
                    Err(diesel::result::Error::RollbackTransaction.into())
                }
            });
            assert_eq!(ended.is_ok(), commits);
            again.join().expect("no panic")
        });
        assert_eq!(again.is_created(), commits);
        assert_eq!(again.into_record().id() == first.id(), !commits);
        let mut left = Upload::find_single("key", conn).expect("searched").expect("found");
        left.transition(Upload::END, conn).run().expect("ended");
        check::clean(conn);
    }
}

/// In a transaction, after it has read: one that is found, and one that is undone.
pub fn a_single_start_joins_a_transaction<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let id = transaction(conn, |conn| {
        assert!(Upload::find_single("key", conn)?.is_none());
        let first = upload("a").create_single("key", conn)?;
        assert!(first.is_created());
        let mut found = upload("b").create_single("key", conn)?.into_record();
        assert_eq!(found.id(), first.into_record().id());
        found.transition(Upload::END, conn).run()?;
        let next = upload("c").create_single("key", conn)?;
        assert!(next.is_created());
        Ok(next.into_record().id())
    })
    .expect("committed");
    let undone = conn.transaction(|conn| {
        let mut single = Upload::find(id, conn)?;
        single.transition(Upload::END, conn).run()?;
        assert!(upload("d").create_single("key", conn)?.is_created());
        Err::<(), _>(Error::from(diesel::result::Error::RollbackTransaction))
    });
    refused!(undone, Error::Database { .. });
    let once = upload("e").create_single("key", conn).expect("found");
    assert_eq!((once.is_created(), once.into_record().id()), (false, id));
    assert_eq!(check::rows::<D>(conn, "flowstate_flows"), 2);
    check::clean(conn);
}

/// What workers complete, many at once, has its key no more; what failed has it still.
pub fn what_workers_complete_frees_its_key<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    for number in 0..30 {
        let key = number.to_string();
        upload(&key).create_single(&key, conn).expect("created");
    }
    let stats = Worker::new(database.pool(4))
        .step(Upload::RUN, |claim, ()| if claim.file == "7" { Err("no".into()) } else { Ok(()) })
        .threads(4)
        .run_until_idle()
        .expect("ran");
    assert_eq!((stats.finished, stats.failed), (29, 1));
    for number in 0..30 {
        let once = upload("b").create_single(&number.to_string(), conn).expect("created or found");
        assert_eq!(once.is_created(), number != 7);
    }
    check::clean(conn);
}

/// An operator does not bring a record back beside another one with its key, and neither does a
/// program of another version.
pub fn a_completed_one_stays_so_beside_a_single_one<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    register::<(Upload,)>("uploads 1", conn).expect("registered");
    let mut first = upload("a").create_single("key", conn).expect("created").into_record();
    first.transition(Upload::END, conn).run().expect("ended");
    let mut second = upload("b").create_single("key", conn).expect("created").into_record();

    let (wish, id) = (Wish::new("anna", "try again").expect("a wish"), first.id());
    let force = || Action::Force { state: "open".to_owned() };
    let refused = act(&force(), id, &wish, conn).expect_err("refused");
    let text = refused.to_string();
    let operator::Error::Refused { refusal, .. } = refused else { panic!("{refused}") };
    assert_eq!(refusal, Refusal::KeyTaken { key: "key".to_owned(), by: second.id() });
    for part in [&format!("upload #{id}"), &format!("#{}", second.id()), "`key`"] {
        assert!(text.contains(part), "{text}");
    }
    let filter = Filter { ids: vec![id], ..Filter::default() };
    let planned = plan(&filter, force(), conn).expect("planned");
    assert_eq!((planned.moves.len(), planned.refused), (0, 1));
    let done = Action::Force { state: "done".to_owned() };
    act(&done, id, &wish, conn).expect("completed again");

    let mut later = Later::find(id, conn).expect("found");
    let error = later.transition(Later::REOPEN, conn).run().expect_err("refused");
    assert!(error.to_string().contains(&format!("upload #{id}")), "{error}");
    refused!(Err::<(), _>(error), Error::KeyTaken { record: Some(_), .. });
    assert_eq!(later.state(), LaterState::Done);
    let within = conn.transaction(|conn| later.transition(Later::REOPEN, conn).run());
    refused!(within, Error::KeyTaken { record: Some(_), .. });

    let found = Filter { key: Some("key".to_owned()), ..Filter::default() };
    let found = operator::list(&found, None, 9, conn).expect("listed").records;
    let found: Vec<_> = found.iter().map(|found| (found.id, found.key.as_deref())).collect();
    assert_eq!(found, [(second.id(), Some("key"))]);
    second.transition(Upload::END, conn).run().expect("ended");
    act(&force(), id, &wish, conn).expect("forced");
    assert!(!upload("c").create_single("key", conn).expect("found").is_created());
    check::clean(conn);
}
