//! Transitions that go, and steps that lead elsewhere.

use flowstate::Flow;
use flowstate_diesel::{Worker, check, testing};
use serde::{Deserialize, Serialize};

use super::order::{self, complete, in_each_state, is_locked_by};
use super::states::{last_reviewer, leaving};
use crate::Database;

/// What is charged is authorized first, and captured then.
mod elsewhere {
    use super::{Deserialize, Flow, Serialize};

    #[derive(Flow, Serialize, Deserialize)]
    #[flow(lock = "src/require/change/order.flow")]
    #[state(Pending, Charging, Authorized, Capturing, Charged, Reviewed, Shipping, Shipped)]
    #[state(NotCharged(error), NotCaptured(error), NotShipped(error))]
    #[initial(Pending)]
    #[completed(Shipped)]
    #[persist(Receipt { cents: i64 })]
    #[step(charge: Pending | NotCharged => Charging => Authorized, fail(NotCharged))]
    #[step(
        capture: Authorized | NotCaptured => Capturing => Charged(persist(Receipt)),
        fail(NotCaptured),
    )]
    #[transition(review: Charged => Reviewed)]
    #[step(ship: Charged | Reviewed | NotShipped => Shipping => Shipped, load(Receipt), fail(NotShipped))]
    pub(super) struct Order {
        pub(super) item: String,
    }
}

/// Who is not looked at in time passes unseen.
mod timed {
    use super::{Deserialize, Flow, Serialize};

    #[derive(Flow, Serialize, Deserialize)]
    #[flow(lock = "src/require/change/order.flow")]
    #[state(Pending, Charging, Charged, Reviewed, Shipping, Shipped)]
    #[state(NotCharged(error), NotShipped(error))]
    #[initial(Pending)]
    #[completed(Shipped)]
    #[persist(Receipt { cents: i64 })]
    #[step(charge: Pending | NotCharged => Charging => Charged(persist(Receipt)), fail(NotCharged))]
    #[transition(review: Charged => Reviewed, after("3 days"))]
    #[step(ship: Charged | Reviewed | NotShipped => Shipping => Shipped, load(Receipt), fail(NotShipped))]
    pub(super) struct Order {
        pub(super) item: String,
    }
}

/// A transition is dropped when no program takes it any more: it stays in the histories, and nothing
/// depends on it.
pub fn a_transition_is_dropped<D: Database>() {
    is_locked_by::<leaving::Order, order::Order>(&["transition review: charged => reviewed"]);
    let database = D::migrated();
    let conn = &mut database.connect();
    in_each_state::<D>(conn);
    let checked = check::<(leaving::Order,)>(conn).decode().run().expect("checked");
    let text = checked.to_string();
    assert_eq!(checked.findings.len(), 1, "{text}");
    assert!(text.contains("taken `review`") && text.contains("nothing depends on it"), "{text}");
    complete::<D>(conn, &[&|| order::worker(&database), &|| last_reviewer(&database)]);
}

/// A step leads elsewhere: what another version has claimed ends where that one says, and whoever
/// does not know where the new one leads leaves it alone.
pub fn an_outcome_is_changed<D: Database>() {
    is_locked_by::<elsewhere::Order, order::Order>(&[]);
    let database = D::migrated();
    let conn = &mut database.connect();
    in_each_state::<D>(conn);
    let checked = check::<(elsewhere::Order,)>(conn).decode().run().expect("checked");
    assert!(checked.is_clean(), "{checked}");
    complete::<D>(
        conn,
        &[&|| order::worker(&database), &|| {
            Worker::new(database.pool(2))
                .step(elsewhere::Order::CHARGE, |_, ()| Ok(()))
                .step(elsewhere::Order::CAPTURE, |_, ()| Ok(elsewhere::Receipt { cents: 100 }))
                .step(elsewhere::Order::SHIP, |_, _| Ok(()))
        }],
    );
}

/// A deadline is added: records that stand in the state already have it, too.
pub fn a_deadline_is_added<D: Database>() {
    is_locked_by::<timed::Order, order::Order>(&[]);
    let database = D::migrated();
    let conn = &mut database.connect();
    in_each_state::<D>(conn);
    let alone = || Worker::new(database.pool(2)).timed::<timed::Order>();
    let charged = order::count::<D>(conn, "charged");
    let reviewed = order::count::<D>(conn, "reviewed");
    assert!(charged > 0);
    assert_eq!(alone().run_until_idle().expect("idle").timed, 0, "it is not over yet");
    testing::pass_deadlines(conn).expect("passed");
    alone().run_until_idle().expect("idle");
    assert_eq!(order::count::<D>(conn, "charged"), 0);
    assert_eq!(order::count::<D>(conn, "reviewed"), reviewed + charged);
    complete::<D>(
        conn,
        &[&|| order::worker(&database), &|| {
            alone()
                .step(timed::Order::CHARGE, |_, ()| Ok(timed::Receipt { cents: 100 }))
                .step(timed::Order::SHIP, |_, _| Ok(()))
        }],
    );
}
