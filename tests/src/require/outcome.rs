//! What a record ends with, and waiting for it.

use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use flowstate_diesel::{Error, StepError, Worker, prelude::*};
use serde_json::json;

use crate::check::clean;
use crate::flows::{
    Errand, ErrandOutcome, ErrandState, Job, JobOutcome, Letter, LetterOutcome, Response, Sync,
    SyncOutcome,
};
use crate::steps::picked;
use crate::{Database, fetch_step, save_step};

/// Longer than any test may take.
const EVER: Duration = Duration::from_hours(1);

/// The outcome is that of the row, whatever the copy in memory shows, with what every path to the
/// state has persisted.
pub fn an_outcome_is_that_of_the_row<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let id = picked::<D>(conn, "a");
    let before = Sync::find(id, conn).expect("found");
    assert!(before.outcome(conn).expect("read").is_none(), "it is under way");
    Worker::new(database.pool(1))
        .step(fetch_step!(), |_, ()| Ok(Response(json!({ "a": 1 }))))
        .step(save_step!(), |_, _| Ok(()))
        .run_until_idle()
        .expect("ran");
    let ended = Some(SyncOutcome::Completed(Response(json!({ "a": 1 }))));
    assert_eq!(before.outcome(conn).expect("read"), ended);
    let pool = database.pool(1);
    assert_eq!(Sync::await_outcome(id, Duration::ZERO, &pool).expect("read"), ended);

    // nothing is left to read of what was destroyed, or never was
    let mut job = Job::new("a").create(conn).expect("created");
    assert!(matches!(job.outcome(conn), Ok(None::<JobOutcome>)));
    let copy = job.clone();
    job.transition(Job::ABANDON, conn).run().expect("abandoned");
    assert!(matches!(copy.outcome(conn), Err(Error::NotFound { .. })));
    let awaited = Job::await_outcome(copy.id(), EVER, &pool);
    assert!(matches!(awaited, Err(Error::NotFound { .. })));
    clean(conn);
}

/// Whoever waits for an outcome holds no connection: here there is only one, and others use it.
pub fn an_outcome_is_awaited_without_a_connection<D: Database>() {
    let database = D::migrated();
    let id = Errand::new("a").create(&mut database.connect()).expect("created").id();
    let pool = database.pool(1);
    thread::scope(|threads| {
        let awaiting = [(); 2].map(|()| threads.spawn(|| Errand::await_outcome(id, EVER, &pool)));
        let stats = Worker::new(pool.clone()).step(Errand::RUN, |_, ()| Ok(())).run_until_idle();
        assert_eq!(stats.expect("ran").finished, 1);
        for awaiting in awaiting {
            let ended = awaiting.join().expect("no panic").expect("read");
            assert_eq!(ended, Some(ErrandOutcome::Done));
        }
    });
}

/// What another program commits wakes nobody here: it is looked for.
pub fn the_outcome_of_another_program_is_seen<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let errand = Errand::new("a").create(conn).expect("created");
    let pool = database.pool(1);
    let ended = Errand::await_outcome(errand.id(), Duration::ZERO, &pool).expect("read");
    assert_eq!(ended, None, "its time was over");
    thread::scope(|threads| {
        let awaiting = threads.spawn(|| Errand::await_outcome(errand.id(), EVER, &pool));
        conn.batch_execute("UPDATE flowstate_flows SET state = 'done'").expect("moved");
        let ended = awaiting.join().expect("no panic").expect("read");
        assert_eq!(ended, Some(ErrandOutcome::Done));
    });
}

/// A record whose tries are used up, and which nothing else moves by itself, is not waited for.
pub fn what_has_given_up_is_not_awaited<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut errand = Errand::new("a").create(conn).expect("created");
    let fail = |error: fn() -> StepError| {
        let stats = Worker::new(database.pool(1))
            .step(Errand::RUN, move |_, ()| Err(error()))
            .run_until_idle()
            .expect("ran");
        assert_eq!(stats.failed, 1);
    };
    fail(|| "no".into());
    errand.reload(conn).expect("read");
    assert_eq!((errand.state(), errand.has_given_up()), (ErrandState::Failed, false));
    flowstate_diesel::testing::make_everything_due(conn).expect("due");
    fail(|| StepError::permanent("never"));
    errand.reload(conn).expect("read");
    assert_eq!((errand.state(), errand.has_given_up()), (ErrandState::Failed, true));
    let ended = Errand::await_outcome(errand.id(), EVER, &database.pool(1)).expect("read");
    assert_eq!(ended, None);

    // somebody takes it up again
    errand.transition(Errand::START_RUN, conn).run().expect("started");
    assert!(!errand.has_given_up());
    errand.transition(Errand::FINISH_RUN, conn).run().expect("finished");
    assert!(!errand.has_given_up() && errand.is_completed());

    // a state that time will end has not given up
    let mut letter = Letter {}.create(conn).expect("created");
    letter.transition(Letter::START_SEND, conn).run().expect("started");
    letter.transition(Letter::FAIL_SEND, conn).run().expect("failed");
    letter.reload(conn).expect("read");
    assert!(letter.is_error() && !letter.has_given_up());
    flowstate_diesel::testing::pass_deadlines(conn).expect("passed");
    let stats = Worker::new(database.pool(1)).timed::<Letter>().run_until_idle();
    assert_eq!(stats.expect("ran").timed, 1);
    assert!(matches!(letter.outcome(conn), Ok(Some(LetterOutcome::Forgotten))));
    clean(conn);
}
