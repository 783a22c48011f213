//! The ways in which a step may end.

use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use flowstate_diesel::{Backoff, StepError, Worker, claim_next, prelude::*, testing};

use crate::Database;
use crate::check::{self, clean};
use crate::flows::{Errand, ErrandState, Letter, Receipt, Round, RoundState, RoundWorkOutcome};

/// A handler that says that it is too early puts the record back where it was: it is due after the
/// pause, and no try is counted.
pub fn what_is_not_yet_due_counts_no_try<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut errand = Errand::new("early").create(conn).expect("created");
    let run = || {
        let step = Errand::RUN.retry(Backoff::fixed(Duration::ZERO).attempts(1));
        Worker::new(database.pool(1))
            .step(step, |_, ()| Err(StepError::not_yet(Duration::from_hours(1))))
            .run_until_idle()
            .expect("ran")
    };
    for _ in 0..2 {
        let stats = run();
        assert_eq!((stats.put_off, stats.failed), (1, 0));
        errand.reload(conn).expect("read");
        assert_eq!((errand.state(), errand.attempt()), (ErrandState::Waiting, 1));
        assert_eq!(run().claimed, 0, "it is not due");
        testing::make_everything_due(conn).expect("due");
    }
    let claim = claim_next(Errand::RUN, conn).expect("no error").expect("a claim");
    claim.fail(StepError::not_yet(Duration::from_hours(1)), conn).expect("put off");
    errand.reload(conn).expect("read");
    assert_eq!((errand.state(), errand.attempt()), (ErrandState::Waiting, 1));
    clean(conn);
}

/// At its second try a record was claimed from the error state: that is where it is put back to, and the
/// handler's writes are undone.
pub fn what_is_not_yet_due_goes_back_to_where_it_was<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    check::make_effects(conn);
    let mut errand = Errand::new("early").create(conn).expect("created");
    let claim = claim_next(Errand::RUN, conn).expect("no error").expect("a claim");
    claim.fail("the shop is closed", conn).expect("failed");
    for _ in 0..2 {
        testing::make_everything_due(conn).expect("due");
        let step = Errand::RUN.retry(Backoff::fixed(Duration::ZERO).attempts(2));
        let stats = Worker::new(database.pool(1))
            .transactional_step(step, |_, (), conn| {
                conn.batch_execute("INSERT INTO effects VALUES ('too early')")?;
                Err(StepError::not_yet(Duration::from_hours(1)))
            })
            .run_until_idle()
            .expect("ran");
        assert_eq!((stats.put_off, stats.failed), (1, 0));
        errand.reload(conn).expect("read");
        assert_eq!((errand.state(), errand.attempt()), (ErrandState::Failed, 2));
        assert_eq!(check::rows::<D>(conn, "effects"), 0);
    }
    testing::make_everything_due(conn).expect("due");
    let claim = claim_next(Errand::RUN, conn).expect("no error").expect("a claim");
    assert_eq!(claim.attempt(), 2, "which has not been used up");
    claim.finish((), conn).expect("finished");
    clean(conn);
}

/// The last failed try, or one that is permanent, takes the transition of `give_up`: here it destroys
/// the record.
pub fn the_last_failed_try_gives_up<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let letter = Letter {}.create(conn).expect("created").id();
    let hopeless = Letter {}.create(conn).expect("created").id();
    let step = || Letter::SEND.retry(Backoff::fixed(Duration::ZERO).attempts(2));
    let stats = Worker::new(database.pool(1))
        .step(step(), move |claim, ()| {
            Err(if claim.id() == hopeless { StepError::permanent("no") } else { "no".into() })
        })
        .run_until_idle()
        .expect("ran");
    assert_eq!(stats.failed, 3, "two tries of one, one of the other");
    assert!(Letter::find(letter, conn).is_err() && Letter::find(hopeless, conn).is_err());
    // the reaper gives up, too
    Letter {}.create(conn).expect("created");
    drop(claim_next(Letter::SEND, conn).expect("no error").expect("a claim"));
    testing::expire_leases(conn).expect("expired");
    let once = Letter::SEND.retry(Backoff::fixed(Duration::ZERO).attempts(1));
    let stats = Worker::new(database.pool(1)).step(once, |_, ()| Ok(())).run_until_idle();
    assert_eq!(stats.expect("ran").reaped, 1);
    assert_eq!(D::number(conn, "SELECT COUNT(*) FROM flowstate_flows"), 0);
    clean(conn);
}

/// Each outcome takes its own transition, with its artefacts and what follows at once.
pub fn each_outcome_takes_its_transition<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut round = Round::new().create(conn).expect("created");
    let claim = claim_next(Round::WORK, conn).expect("no error").expect("a claim");
    claim.finish(RoundWorkOutcome::Resting(Receipt::new()), conn).expect("finished");
    let claim = claim_next(Round::WORK, conn).expect("no error").expect("it came round again");
    claim.finish(RoundWorkOutcome::Worked(Receipt::new()), conn).expect("finished");
    round.reload(conn).expect("read");
    assert_eq!(round.state(), RoundState::Worked);
    let history = round.history(conn).expect("the history");
    let taken: Vec<_> = history.iter().map(|row| &*row.transition).collect();
    let expected =
        ["flow.create", "start_work", "finish_work_resting", "again", "start_work", "finish_work"];
    assert_eq!(taken, expected);
    assert_eq!(round.artefacts(conn).expect("the artefacts").len(), 2);
    clean(conn);
}
