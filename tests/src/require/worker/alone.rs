//! Workers that serve single steps, beside those that serve the whole flow.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use flowstate::{Flow, Record};
use flowstate_diesel::{Claim, StepError, Worker, prelude::*, testing};
use serde::{Deserialize, Serialize};

use crate::Database;
use crate::check::{self, clean};

/// An offer that lapses in time, which is booked, or is printed and filed in time, which is not.
#[derive(Flow, Serialize, Deserialize, Debug)]
#[state(Open, Accepted, Printing, Printed, Filed, Lapsed, Unprinted(error))]
#[initial(Open)]
#[completed(Filed, Lapsed)]
#[transition(accept: Open => Accepted)]
#[step(print: Accepted | Unprinted => Printing => Printed, fail(Unprinted))]
#[transition(file: Printed => Filed, after("1 hour"))]
#[transition(lapse: Open => Lapsed, after("1 hour"), within)]
struct Offer {}

struct Handlers;

impl<C: SimpleConnection> OfferSteps<C> for Handlers {
    fn print(&self, _: &Claim<OfferPrint>) -> Result<(), StepError> {
        Ok(())
    }

    fn lapse_within(&self, _: &Record<Offer>, conn: &mut C) -> Result<(), StepError> {
        Ok(conn.batch_execute("INSERT INTO effects VALUES ('lapsed')")?)
    }
}

/// A worker that serves a step by a closure takes the timed transitions for which it needs no handler.
/// One that says `within` it leaves to a worker that serves the flow, and so has the handler.
pub fn a_timed_transition_within_waits_for_who_serves_it<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    check::make_effects(conn);
    let mut accepted = Offer {}.create(conn).expect("created");
    accepted.transition(Offer::ACCEPT, conn).run().expect("accepted");
    let by_closure = || Worker::new(database.pool(1)).step(Offer::PRINT, |_, ()| Ok(()));
    assert_eq!(by_closure().run_until_idle().expect("ran").finished, 1);
    let open = Offer {}.create(conn).expect("created").id();
    testing::pass_deadlines(conn).expect("passed");

    let stats = by_closure().run_until_idle().expect("ran");
    assert_eq!((stats.claimed, stats.timed), (0, 1));
    let place = |id, conn: &mut D::Conn| Offer::find(id, conn).expect("found").state();
    assert_eq!(place(accepted.id(), conn), OfferState::Filed);
    assert_eq!(place(open, conn), OfferState::Open);
    assert_eq!(check::rows::<D>(conn, "effects"), 0);

    // both at once: it is taken once, by the one that can
    let beside = by_closure().start().expect("started");
    let serving = Worker::new(database.pool(1)).serve::<Offer>(Handlers);
    assert_eq!(serving.run_until_idle().expect("ran").timed, 1);
    let beside = beside.shutdown(Duration::from_secs(30)).expect("stopped");
    assert_eq!((beside.claimed, beside.timed), (0, 0));
    assert_eq!(place(open, conn), OfferState::Lapsed);
    assert_eq!(check::rows::<D>(conn, "effects"), 1);
    clean(conn);
}
