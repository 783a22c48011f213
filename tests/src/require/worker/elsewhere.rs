//! Failed tries that lead where the step does not start again.

use std::time::Duration;

use flowstate::Flow;
use flowstate_diesel::{
    Backoff, StepError, Worker, claim_next, operator, prelude::*, reap, testing,
};
use serde::{Deserialize, Serialize};

use crate::Database;
use crate::check::clean;

/// What was charged is refunded if that failed, and written off if it cannot be.
#[derive(Flow, Serialize, Deserialize, Debug)]
#[state(Asked, Charging, Charged, Failed(error))]
#[state(Refunding, Refunded, Unrefunded(error), Dropped(error))]
#[initial(Asked)]
#[completed(Charged, Refunded)]
#[step(charge: Asked => Charging => Charged, fail(Failed))]
#[step(refund: Failed | Unrefunded => Refunding => Refunded, fail(Unrefunded), give_up(Dropped))]
struct Charge {}

/// A job that somebody has to look at when it has failed.
#[derive(Flow, Serialize, Deserialize, Debug)]
#[state(Queued, Running, Done, Failed(error))]
#[initial(Queued)]
#[completed(Done)]
#[step(run: Queued => Running => Done, fail(Failed))]
#[transition(retry: Failed => Queued)]
struct Job {}

/// A payment that somebody may bring back when it has failed.
#[derive(Flow, Serialize, Deserialize, Debug)]
#[state(Wanted, Paying, Paid, PayFailed(error), Mistaken(error))]
#[initial(Wanted)]
#[completed(Paid)]
#[step(pay: Wanted | PayFailed => Paying => Paid, fail(PayFailed))]
#[transition(back: PayFailed => PayFailed)]
#[transition(doubt: Wanted | PayFailed => Mistaken)]
#[transition(clear: Mistaken => PayFailed)]
struct Payment {}

/// How a try comes to fail.
const ENDS: [&str; 3] = ["fail", "permanent", "expire"];

/// A step with so many attempts, which come at once.
macro_rules! tried {
    ($step:expr, $attempts:expr) => {
        flowstate_diesel::Step::retry($step, Backoff::fixed(Duration::ZERO).attempts($attempts))
    };
}

/// Claims the record by this step and has the try fail; gives which try it was.
macro_rules! fail {
    ($step:expr, $end:expr, $conn:expr) => {{
        let claim = claim_next($step, $conn).expect("no error").expect("a claim");
        let attempt = claim.attempt();
        match $end {
            "fail" => claim.fail("no", $conn).expect("failed"),
            "permanent" => claim.fail(StepError::permanent("no"), $conn).expect("failed"),
            _ => {
                drop(claim);
                testing::expire_leases($conn).expect("expired");
                assert_eq!(reap($step, $conn).expect("reaped"), 1);
            }
        }
        attempt
    }};
}

/// A step that gives up in an error state where no step starts leaves the record to nobody: it is not
/// due, and everybody who asks is told so.
pub fn who_gave_up_where_nothing_starts_is_due_no_more<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    for end in ENDS {
        let mut charge = Charge {}.create(conn).expect("created");
        fail!(tried!(Charge::CHARGE, 3), "fail", conn);
        fail!(tried!(Charge::REFUND, 1), end, conn);
        charge.reload(conn).expect("read");
        assert_eq!((charge.state(), charge.due_at()), (ChargeState::Dropped, None), "{end}");
        assert!(charge.has_given_up(), "{end}");
        // at once, and not when the time is over
        let awaited =
            Charge::await_outcome(charge.id(), Duration::from_hours(1), &database.pool(1));
        assert!(awaited.expect("read").is_none(), "{end}");
        let shown = operator::show(charge.id(), conn).expect("shown");
        assert_eq!(shown.standing.stuck, Some(operator::Stuck::GaveUp), "{end}");
    }
    let given_up = Charge::query().given_up().load(conn).expect("read");
    assert_eq!(given_up.records.len(), ENDS.len());
    let stats = Worker::new(database.pool(1))
        .step(Charge::CHARGE, |_, ()| Ok(()))
        .step(Charge::REFUND, |_, ()| Ok(()))
        .run_until_idle();
    assert_eq!(stats.expect("ran").claimed, 0);
    clean(conn);
}

/// A failed try that leads where no step starts waits for somebody: it is not due, however many
/// attempts are left, and the first try after that is the first.
pub fn who_failed_where_nothing_starts_waits_for_somebody<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut job = Job {}.create(conn).expect("created");
    for end in ENDS {
        for attempts in [1, 3] {
            assert_eq!(fail!(tried!(Job::RUN, attempts), end, conn), 1, "{end}");
            job.reload(conn).expect("read");
            assert_eq!((job.state(), job.due_at()), (JobState::Failed, None), "{end}");
            assert!(job.has_given_up(), "{end}");
            let awaited = Job::await_outcome(job.id(), Duration::from_hours(1), &database.pool(1));
            assert!(awaited.expect("read").is_none(), "{end}");
            job.transition(Job::RETRY, conn).run().expect("queued");
        }
    }
    let stats = Worker::new(database.pool(1)).step(Job::RUN, |_, ()| Ok(())).run_until_idle();
    assert_eq!(stats.expect("ran").finished, 1);
    clean(conn);
}

/// A failed try that leads to the queue of another step is due there at once, however many attempts
/// are left, and the other step begins with its first try.
pub fn who_failed_into_another_queue_is_due_there_at_once<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    for end in ENDS {
        for attempts in [1, 3] {
            let mut charge = Charge {}.create(conn).expect("created");
            // a pause before another try is none before another step
            let hour = Backoff::fixed(Duration::from_hours(1));
            let step = Charge::CHARGE.retry(hour.attempts(attempts));
            assert_eq!(fail!(&step, end, conn), 1);
            charge.reload(conn).expect("read");
            assert_eq!((charge.state(), charge.attempt()), (ChargeState::Failed, 1), "{end}");
            assert!(!charge.has_given_up(), "{end}");
            for attempt in 1..=2 {
                assert_eq!(fail!(tried!(Charge::REFUND, 2), "fail", conn), attempt, "{end}");
            }
            charge.reload(conn).expect("read");
            assert_eq!(charge.state(), ChargeState::Dropped, "{end}");
        }
    }
    Charge {}.create(conn).expect("created");
    let stats = Worker::new(database.pool(1))
        .step(tried!(Charge::CHARGE, 1), |_, ()| Err("no".into()))
        .step(tried!(Charge::REFUND, 1), |_, ()| Ok(()))
        .run_until_idle()
        .expect("ran");
    assert_eq!((stats.failed, stats.finished), (1, 1));
    clean(conn);
}

/// The attempts begin anew whenever somebody moves the record, by whatever transition, from an error
/// state into another or the same one too. A start by hand is the next try while one is due, and the
/// first one after the last.
pub fn attempts_begin_anew_when_somebody_moves_the_record<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut payment = Payment {}.create(conn).expect("created");
    let give_up = |payment: &mut PaymentRecord, conn: &mut D::Conn| {
        let tries = [1, 2].map(|_| fail!(tried!(Payment::PAY, 2), "fail", conn));
        payment.reload(conn).expect("read");
        assert_eq!((tries, payment.attempt()), ([1, 2], 3));
        assert!(payment.has_given_up());
    };

    give_up(&mut payment, conn);
    payment.transition(Payment::BACK, conn).run().expect("brought back");
    let found = Payment::find(payment.id(), conn).expect("found");
    assert_eq!((payment.attempt(), found.attempt()), (1, 1));

    give_up(&mut payment, conn);
    payment.transition(Payment::DOUBT, conn).then(Payment::CLEAR).run().expect("cleared");
    assert_eq!(payment.attempt(), 1);

    give_up(&mut payment, conn);
    payment.transition(Payment::START_PAY, conn).run().expect("started");
    assert_eq!(payment.attempt(), 1);
    payment.transition(Payment::FAIL_PAY, conn).error("no").run().expect("failed");
    payment.transition(Payment::START_PAY, conn).run().expect("started");
    assert_eq!(payment.attempt(), 2, "a try was due");
    payment.transition(Payment::FAIL_PAY, conn).error("no").run().expect("failed");
    payment.transition(Payment::BACK, conn).run().expect("brought back");

    give_up(&mut payment, conn);
    let history = payment.history(conn).expect("the history");
    let starts = history.iter().filter(|row| row.transition == "start_pay");
    let attempts: Vec<_> = starts.map(|row| row.attempt).collect();
    assert_eq!(attempts, [1, 2, 1, 2, 1, 2, 1, 2, 1, 2]);
    clean(conn);
}
