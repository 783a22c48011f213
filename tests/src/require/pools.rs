//! Connections are few: the library never takes a second one.

use diesel::connection::SimpleConnection;
use flowstate_diesel::prelude::*;
use flowstate_diesel::{Error, transaction};
use serde_json::json;

use crate::flows::{Job, JobState, Note};
use crate::race::race;
use crate::{Database, check, refused};

/// A28: a guard that writes the locked row on a connection of its own gets an error in bounded
/// time, and so does the transition.
pub fn a28_guard_with_its_own_connection_is_an_error<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut job = Job::new("a").create(conn).expect("created");
    let mut other = database.impatient();
    let mut asked = 0;
    let id = job.id();
    let failed = job
        .transition(Job::WORK, conn)
        .guard("writes the same row elsewhere", |_, _| {
            asked += 1;
            let sql = format!("UPDATE flowstate_flows SET attempts = 7 WHERE id = {id}");
            other.batch_execute(&sql).map(|()| true)
        })
        .run();
    let tries = refused!(failed, Error::Conflict { tries, .. } => tries);
    assert!((1..=20).contains(&tries) && asked == tries, "{asked} asked, {tries} tries");
    assert_eq!((job.state(), job.attempt()), (JobState::Open, 1));
    assert_eq!(check::sizes::<D>(conn), [1, 1, 0]);
    check::clean(conn);
    job.transition(Job::WORK, conn).run().expect("the connection goes on");

    // a flow of its own kind, through a guard that uses the library
    let mut copy = Job::find(id, conn).expect("found");
    let failed = job
        .transition(Job::FAIL, conn)
        .guard("moves the same record elsewhere", |_, _| {
            copy.transition(Job::FAIL, &mut other).run().map(|()| true)
        })
        .run();
    refused!(failed, Error::Conflict { .. });
    assert_eq!(Job::find(id, conn).expect("found").seq(), 1);
    check::clean(conn);
}

/// A31: with one connection for all, everything works.
pub fn a31_one_connection_serves_all<D: Database>() {
    let database = D::migrated();
    let pool = database.pool(1);
    race(8, |number, barrier| {
        barrier.wait();
        for round in 0..5 {
            let name = format!("{number}-{round}");
            let conn = || pool.get().expect("a connection");
            let mut job =
                Job::new(&name).create_once(&name, &mut conn()).expect("new").into_record();
            job.transition(Job::WORK, &mut conn())
                .guard("is there", |job, conn| Job::find(job.id(), conn).map(|_| true))
                .within(|job, conn| Ok(Job::find(job.id(), conn)?))
                .run()
                .expect("working");
            transaction(&mut conn(), |conn| {
                job.transition(Job::NOTE, conn).persist(Note(json!(round))).run()?;
                job.transition(Job::READ, conn).run()
            })
            .expect("noted");
            job.transition(Job::FINISH, &mut conn()).run().expect("finished");
            job.history(&mut conn()).expect("the history");
            assert_eq!(job.artefact::<Note>(&mut conn()).expect("read"), Some(Note(json!(round))));
        }
    });
    let conn = &mut pool.get().expect("a connection");
    assert_eq!(check::sizes::<D>(conn), [40, 200, 40]);
    check::clean(&mut **conn);
}
