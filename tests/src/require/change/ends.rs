//! States that become ends, and ends that become states.

use std::sync::Arc;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use flowstate::Flow;
use flowstate_diesel::operator::{Found, numbers, register, registry};
use flowstate_diesel::{Worker, check, prelude::*, testing};
use serde::{Deserialize, Serialize};

use super::order;
use crate::Database;
use crate::check::clean;
use crate::gate::Gate;
use crate::require::worker::bad_rows::refuse_updates;

/// What is paid is archived.
mod going_on {
    use super::{Deserialize, Flow, Serialize};

    #[derive(Flow, Serialize, Deserialize)]
    #[state(Open, Paid, Archived)]
    #[initial(Open)]
    #[completed(Archived)]
    #[transition(pay: Open => Paid)]
    #[transition(archive: Paid => Archived)]
    pub(super) struct Fee {}
}

/// It ends with that; only what was never paid is archived.
mod ending {
    use super::{Deserialize, Flow, Serialize};

    #[derive(Flow, Serialize, Deserialize)]
    #[state(Open, Paid, Refused(error), Archived)]
    #[initial(Open)]
    #[completed(Paid, Refused, Archived)]
    #[transition(pay: Open => Paid)]
    #[transition(refuse: Open => Refused)]
    #[transition(archive: Open => Archived)]
    pub(super) struct Fee {}
}

/// What is paid or refused is archived by workers, and it need not end with that.
mod resumed {
    use super::{Deserialize, Flow, Serialize};

    #[derive(Flow, Serialize, Deserialize)]
    #[state(Open, Paid, Refused(error), Archiving, Archived, Lapsed)]
    #[initial(Open)]
    #[completed(Archived, Lapsed)]
    #[transition(pay: Open => Paid)]
    #[transition(refuse: Open => Refused)]
    #[transition(reopen: Paid => Open)]
    #[transition(lapse: Paid => Lapsed, after("1 hour"))]
    #[step(archive: Paid | Refused => Archiving => Archived, fail(Refused))]
    pub(super) struct Fee {}
}

/// A state becomes an end: what another version has brought there, where it was due, is ended by a
/// worker of this one, however much it is; what has ended before stays so.
pub fn a_state_becomes_an_end<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let fees = going_on::Fee::create_many((0..152).map(|_| going_on::Fee {}), conn);
    let mut fees = fees.expect("created");
    for fee in &mut fees[1..] {
        fee.transition(going_on::Fee::PAY, conn).run().expect("paid");
    }
    fees[1].transition(going_on::Fee::ARCHIVE, conn).run().expect("archived");
    let (flow, state) = ("fee".to_owned(), "paid".to_owned());
    let checked = check::<(ending::Fee,)>(conn).decode().run().expect("checked");
    let not_ended = |records| {
        let (flow, state) = (flow.clone(), state.clone());
        [Found::NotEnded { flow, state, records }]
    };
    assert_eq!(checked.findings, not_ended(150));

    // one that the database refuses keeps no other
    let refused = fees[3].id();
    refuse_updates::<D>(conn, &format!("NEW.id = {refused} AND NEW.completed_at IS NOT NULL"));
    let worker = Worker::new(database.pool(2)).timed::<ending::Fee>().start().expect("started");
    let ended = &mut database.connect();
    Gate::new().wait_for_one(|| order::open::<D>(ended) == 2);
    worker.shutdown(Duration::from_mins(1)).expect("stopped");
    let checked = check::<(ending::Fee,)>(conn).decode().run().expect("checked");
    assert_eq!(checked.findings, not_ended(1));
    let fee = ending::Fee::find(fees[2].id(), conn).expect("found");
    assert!(fee.completed_at().is_some() && fee.due_at().is_none());
    let history = fee.history(conn).expect("the history");
    let last = history.last().expect("a row");
    assert_eq!((&*last.transition, &*last.to), ("flow.complete", "paid"));
    let untouched = ending::Fee::find(fees[0].id(), conn).expect("found");
    assert!(untouched.due_at().is_some());
    clean(conn);

    // the version before goes on with it, by hand
    fees[2].transition(going_on::Fee::ARCHIVE, conn).run().expect("archived");
    clean(conn);
}

/// A state is an end no more: what has ended there stays so, whoever looks, until code takes it up; what
/// comes there now goes on. A worker of the version for which it is an end leaves it to the workers that
/// take records from it.
pub fn an_end_becomes_a_state<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    register::<(ending::Fee,)>("fees 1", conn).expect("registered");
    let fees = ending::Fee::create_many((0..3).map(|_| ending::Fee {}), conn);
    let [mut paid, mut refused, mut taken_up]: [_; 3] =
        fees.expect("created").try_into().expect("three");
    for fee in [&mut paid, &mut taken_up] {
        fee.transition(ending::Fee::PAY, conn).run().expect("paid");
    }
    refused.transition(ending::Fee::REFUSE, conn).run().expect("refused");
    let archiver = |gate: Arc<Gate>| {
        let archive = move |_: &_, ()| {
            gate.pass();
            Ok(())
        };
        Worker::new(database.pool(3)).threads(1).step(resumed::Fee::ARCHIVE, archive)
    };
    let open = Gate::new();
    open.open();

    // nobody takes them up: no worker, no deadline, and none counts as stuck, or is waited for
    let stats = archiver(Arc::clone(&open)).run_until_idle().expect("idle");
    testing::pass_deadlines(conn).expect("passed");
    let again = archiver(Arc::clone(&open)).run_until_idle().expect("idle");
    assert_eq!((stats.claimed + again.claimed, stats.timed + again.timed), (0, 0));
    let checked = check::<(resumed::Fee,)>(conn).decode().run().expect("checked");
    assert!(checked.is_clean() && checked.records == 0, "{checked}");
    let counted = numbers(Some("fee"), 100, conn).expect("counted");
    assert!(counted.iter().all(|state| state.stuck == 0), "{counted:?}");
    let pool = database.pool(1);
    for id in [paid.id(), refused.id()] {
        let fee = resumed::Fee::find(id, conn).expect("found");
        assert!(fee.is_completed() && !fee.has_given_up());
        let ended = resumed::Fee::await_outcome(id, Duration::from_hours(1), &pool);
        assert!(ended.expect("asked").is_none(), "it has none in this version");
    }
    clean(conn);

    // until code does
    let mut fee = resumed::Fee::find(taken_up.id(), conn).expect("found");
    fee.transition(resumed::Fee::REOPEN, conn).run().expect("reopened");
    assert!(fee.completed_at().is_none() && fee.due_at().is_some());
    fee.transition(resumed::Fee::PAY, conn).run().expect("paid");

    // one is archived while another one waits, and the version before ends what only it knows how to
    let mut waiting = resumed::Fee {}.create(conn).expect("created");
    waiting.transition(resumed::Fee::PAY, conn).run().expect("paid");
    let lost = going_on::Fee {}.create(conn).expect("created");
    let lost = format!("UPDATE flowstate_flows SET state = 'archived' WHERE id = {}", lost.id());
    conn.batch_execute(&lost).expect("due at an end");
    let fix = "UPDATE flowstate_transitions SET to_state = 'archived' WHERE flow_id = \
         (SELECT MAX(id) FROM flowstate_flows)";
    conn.batch_execute(fix).expect("in the history, too");
    let gate = Gate::new();
    let archiving = archiver(Arc::clone(&gate)).start().expect("started");
    gate.wait_for(1);
    Gate::new().wait_for_one(|| registry(conn).expect("read").workers.len() == 1);
    let before = Worker::new(database.pool(2)).timed::<ending::Fee>().start().expect("started");
    let at_end = "SELECT COUNT(*) FROM flowstate_flows \
         WHERE state = 'archived' AND completed_at IS NOT NULL";
    Gate::new().wait_for_one(|| D::number(conn, at_end) == 1);
    before.shutdown(Duration::from_mins(1)).expect("stopped");
    let ended = "SELECT COUNT(*) FROM flowstate_transitions WHERE transition = 'flow.complete'";
    assert_eq!(D::number(conn, ended), 1, "what waits for a worker has not ended");
    gate.open();
    archiving.shutdown(Duration::from_mins(1)).expect("stopped");
    archiver(open).run_until_idle().expect("idle");
    assert_eq!(D::number(conn, at_end), 3);
    clean(conn);
}
