//! The flow, and the worker process that runs it.

use std::fs::File;
use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::r2d2::{ConnectionManager, Pool};
use flowstate::Flow;
use flowstate_diesel::{Backoff, BoxError, Step, StepError, Worker};
use serde::{Deserialize, Serialize};

use super::visits::Visit;
use crate::Database;

/// How long a claim holds.
pub(super) const LEASE: Duration = Duration::from_secs(1);

/// What goes wrong with an errand: `Fails` and `Panics` in each step's first two tries, `Aborts` in
/// its first one; `Hopeless` and `Bankrupt` always, the one in the first step and the other in the
/// second, until they are given up at the third try; `Slow` takes longer than a lease, and
/// `Unwanted` is answered by a no.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Temper {
    Fine,
    Fails,
    Panics,
    Aborts,
    Slow,
    Hopeless,
    Bankrupt,
    Unwanted,
}

impl Temper {
    /// Mostly fine.
    pub(super) fn of(number: usize) -> Self {
        match number % 20 {
            0 | 1 => Self::Fails,
            2 | 3 => Self::Panics,
            4 => Self::Aborts,
            5 => Self::Slow,
            7 => Self::Hopeless,
            8 => Self::Bankrupt,
            9 | 10 => Self::Unwanted,
            _ => Self::Fine,
        }
    }

    /// Where it ends, in whatever order its workers die.
    pub(super) fn end(self) -> ErrandState {
        match self {
            Self::Hopeless => ErrandState::Unreachable,
            Self::Unwanted => ErrandState::Declined,
            Self::Bankrupt => ErrandState::BookFailed,
            _ => ErrandState::Booked,
        }
    }

    /// Goes wrong, as far as it does in the step in which the hopeless are `hopeless`.
    fn show(self, attempt: i32, hopeless: Self) -> Result<(), StepError> {
        match self {
            Self::Fails if attempt <= 2 => Err("it failed".into()),
            Self::Panics if attempt <= 2 => panic!("it panicked"),
            Self::Aborts if attempt <= 1 => std::process::abort(),
            _ if self == hopeless && attempt <= 2 => Err("hopeless".into()),
            _ if self == hopeless => Err(StepError::permanent("hopeless")),
            _ => Ok(()),
        }
    }
}

/// Something is called for, and booked.
#[derive(Flow, Serialize, Deserialize, Clone, Debug)]
#[state(New, Calling, Called, Booking, Booked, Declined, Unreachable)]
#[state(CallFailed(error), BookFailed(error))]
#[initial(New)]
#[completed(Booked, Declined, Unreachable)]
#[persist(Answer(i64))]
#[step(
    call: New | CallFailed => Calling => Called(persist(Answer)) | Declined,
    fail(CallFailed), give_up(Unreachable),
)]
#[step(book: Called | BookFailed => Booking => Booked, load(Answer), fail(BookFailed), transactional)]
pub(super) struct Errand {
    pub(super) temper: Temper,
}

/// Runs steps until its input ends, or it is killed.
pub(super) fn work<D: Database>(pool: Pool<ConnectionManager<D::Conn>>, visits: File) {
    // being killed costs attempts, and only the hopeless are to be given up
    let retry = Backoff::fixed(Duration::from_millis(50)).attempts(10_000);
    let visits = Arc::new(visits);
    let booked = Arc::clone(&visits);
    let running = Worker::new(pool)
        .step(Errand::CALL.lease(LEASE).retry(retry.clone()), move |claim, ()| {
            let _visit = Visit::begin(&visits, claim.id(), claim.seq(), &claim.idempotency_key());
            if claim.temper == Temper::Slow {
                // the heartbeat has to keep the claim
                std::thread::sleep(LEASE * 3);
            }
            claim.temper.show(claim.attempt(), Temper::Hopeless)?;
            Ok(match claim.temper {
                Temper::Unwanted => ErrandCallOutcome::Declined,
                _ => ErrandCallOutcome::Called(Answer(claim.id())),
            })
        })
        .transactional_step(
            Errand::BOOK.lease(LEASE).retry(retry),
            move |claim, Answer(id), conn| {
                let _visit =
                    Visit::begin(&booked, claim.id(), claim.seq(), &claim.idempotency_key());
                if id != claim.id() {
                    return Err(StepError::permanent("the answer of another errand"));
                }
                conn.batch_execute(&format!("INSERT INTO bookings (flow_id) VALUES ({id})"))
                    .map_err(|error| StepError::from(BoxError::from(error)))?;
                claim.temper.show(claim.attempt(), Temper::Bankrupt)
            },
        )
        .threads(3)
        .poll(Duration::from_millis(200))
        .start()
        .expect("started");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    let _ = running.shutdown(Duration::from_secs(5));
}
