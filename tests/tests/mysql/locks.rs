//! M04 and M05: waiting for locks.

use diesel::connection::SimpleConnection;
use flowstate_diesel::prelude::*;
use flowstate_diesel::{BoxError, ConflictReason, Error, claim_next, transaction};
use flowstate_tests::flows::{Job, JobState, Response, Sync};
use flowstate_tests::race::race;
use flowstate_tests::{check, refused};
use serde_json::json;

use super::Server;
use super::deadlock::with_locks;

/// M04: a lock wait that took too long undoes its statement only; we undo the rest.
pub(crate) fn m04_lock_wait_timeout_is_rolled_back_whole<D: Server>() {
    let database = with_locks::<D>();
    let (conn, other) = (&mut database.connect(), &mut database.impatient());
    let mut job = Job::new("a").create(conn).expect("created");
    let mut waiting = Job::find(job.id(), conn).expect("found");
    job.transition(Job::WORK, conn)
        .within(|_, _| {
            let refused = transaction(other, |other| {
                other.batch_execute("INSERT INTO effects VALUES ('a')")?;
                waiting.transition(Job::PARK, other).run()
            });
            let reason = refused!(refused, Error::Conflict { reason, .. } => reason);
            assert_eq!(reason, ConflictReason::LockTimeout);
            // NOWAIT, as a caller may write it
            let nowait = transaction(other, |other| {
                other.batch_execute("SELECT 1 FROM flowstate_flows FOR UPDATE NOWAIT")?;
                Ok::<_, Error>(())
            });
            refused!(nowait, Error::Conflict { reason: ConflictReason::LockTimeout, .. });
            Ok::<_, BoxError>(())
        })
        .run()
        .expect("working");
    assert_eq!(check::rows::<D>(conn, "effects"), 0);
    assert_eq!(waiting.state(), JobState::Open);
    check::clean(conn);
}

/// M05: creating and claiming at the same time; locks on gaps lead to no error.
pub(crate) fn m05_creating_and_claiming_do_not_collide<D: Server>() {
    let database = D::migrated();
    let claimed = race(6, |number, barrier| {
        let conn = &mut database.connect();
        let step = Sync::FETCH.lease(std::time::Duration::from_mins(1));
        barrier.wait();
        let mut claimed = 0;
        for _ in 0..60 {
            if number % 2 == 0 {
                let mut flow = Sync::new("a").create(conn).expect("created");
                flow.transition(Sync::PICK, conn).run().expect("picked");
            } else if let Some(claim) = claim_next(&step, conn).expect("claimed or none") {
                claimed += 1;
                claim.finish(Response(json!(number)), conn).expect("finished");
            }
        }
        claimed
    });
    assert!(claimed.into_iter().sum::<i32>() > 0);
    check::clean(&mut database.connect());
}

/// M05 with keys: the insert comes first, so that none waits for a gap that another one holds.
pub(crate) fn m05_starts_with_the_same_keys_do_not_collide<D: Server>() {
    let database = D::migrated();
    let outcomes = race(8, |number, barrier| {
        let conn = &mut database.connect();
        barrier.wait();
        let mut made = 0;
        for round in 0..50 {
            let key = format!("{}", round * 2 + number % 2);
            let once = Job::new("a").create_once(&key, conn).expect("created or found");
            made += i32::from(once.is_created());
            Job::new("a").create(conn).expect("created");
        }
        made
    });
    assert_eq!(outcomes.into_iter().sum::<i32>(), 100);
    let conn = &mut database.connect();
    assert_eq!(check::rows::<D>(conn, "flowstate_flows"), 100 + 8 * 50);
    check::clean(conn);
}
