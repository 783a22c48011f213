//! States that come and go.

use diesel::r2d2::ConnectionManager;
use flowstate::Flow;
use flowstate_diesel::operator::Found;
use flowstate_diesel::{Worker, check, prelude::*};
use serde::{Deserialize, Serialize};

use super::order::{self, complete, count, in_each_state, is_locked_by};
use crate::Database;

/// What is charged is packed before it is shipped.
mod between {
    use super::{Deserialize, Flow, Serialize};

    #[derive(Flow, Serialize, Deserialize)]
    #[flow(lock = "src/require/change/order.flow")]
    #[state(Pending, Charging, Charged, Reviewed, Packing, Packed, Shipping, Shipped)]
    #[state(NotCharged(error), NotPacked(error), NotShipped(error))]
    #[initial(Pending)]
    #[completed(Shipped)]
    #[persist(Receipt { cents: i64 })]
    #[persist(Parcel { grams: i64 })]
    #[step(charge: Pending | NotCharged => Charging => Charged(persist(Receipt)), fail(NotCharged))]
    #[transition(review: Charged => Reviewed)]
    #[step(pack: Charged | Reviewed | NotPacked => Packing => Packed(persist(Parcel)), fail(NotPacked))]
    #[step(ship: Packed | NotShipped => Shipping => Shipped, load(Receipt, optional Parcel), fail(NotShipped))]
    pub(super) struct Order {
        pub(super) item: String,
    }
}

/// What is charged in full, and what is charged in part.
mod split {
    use super::{Deserialize, Flow, Serialize};

    #[derive(Flow, Serialize, Deserialize)]
    #[flow(lock = "src/require/change/order.flow")]
    #[state(Pending, Charging, Charged, PartlyCharged, Reviewed, Shipping, Shipped)]
    #[state(NotCharged(error), NotShipped(error))]
    #[initial(Pending)]
    #[completed(Shipped)]
    #[persist(Receipt { cents: i64 })]
    #[step(
        charge: Pending | NotCharged => Charging
            => Charged(persist(Receipt)) | PartlyCharged(persist(Receipt)),
        fail(NotCharged),
    )]
    #[transition(review: Charged => Reviewed)]
    #[step(
        ship: Charged | PartlyCharged | Reviewed | NotShipped => Shipping => Shipped,
        load(Receipt), fail(NotShipped),
    )]
    pub(super) struct Order {
        pub(super) item: String,
    }
}

/// Nothing is reviewed any more; what was is shipped.
pub(super) mod leaving {
    use super::{Deserialize, Flow, Serialize};

    #[derive(Flow, Serialize, Deserialize)]
    #[flow(lock = "src/require/change/leaving.flow")]
    #[state(Pending, Charging, Charged, Reviewed, Shipping, Shipped)]
    #[state(NotCharged(error), NotShipped(error))]
    #[initial(Pending)]
    #[completed(Shipped)]
    #[persist(Receipt { cents: i64 })]
    #[step(charge: Pending | NotCharged => Charging => Charged(persist(Receipt)), fail(NotCharged))]
    #[step(ship: Charged | Reviewed | NotShipped => Shipping => Shipped, load(Receipt), fail(NotShipped))]
    pub(in super::super) struct Order {
        pub(in super::super) item: String,
    }
}

/// The state is gone.
mod without {
    use super::{Deserialize, Flow, Serialize};

    #[derive(Flow, Serialize, Deserialize)]
    #[flow(lock = "src/require/change/without.flow")]
    #[state(Pending, Charging, Charged, Shipping, Shipped)]
    #[state(NotCharged(error), NotShipped(error))]
    #[initial(Pending)]
    #[completed(Shipped)]
    #[persist(Receipt { cents: i64 })]
    #[step(charge: Pending | NotCharged => Charging => Charged(persist(Receipt)), fail(NotCharged))]
    #[step(ship: Charged | NotShipped => Shipping => Shipped, load(Receipt), fail(NotShipped))]
    pub(super) struct Order {
        pub(super) item: String,
    }
}

/// A state is added in between: the records that are beyond it already go on without what it brings.
pub fn a_state_is_added_in_between<D: Database>() {
    is_locked_by::<between::Order, order::Order>(&[]);
    let database = D::migrated();
    let conn = &mut database.connect();
    in_each_state::<D>(conn);
    complete::<D>(
        conn,
        &[&|| order::worker(&database), &|| {
            Worker::new(database.pool(2))
                .step(between::Order::CHARGE, |_, ()| Ok(between::Receipt { cents: 100 }))
                .step(between::Order::PACK, |_, ()| Ok(between::Parcel { grams: 1 }))
                .step(between::Order::SHIP, |_, (_, _parcel)| Ok(()))
        }],
    );
}

/// A state is split: the old one stays for one half of what it was, and for the records in it.
pub fn a_state_is_split<D: Database>() {
    is_locked_by::<split::Order, order::Order>(&[]);
    let database = D::migrated();
    let conn = &mut database.connect();
    in_each_state::<D>(conn);
    complete::<D>(
        conn,
        &[&|| order::worker(&database), &|| {
            Worker::new(database.pool(2))
                .step(split::Order::CHARGE, |claim, ()| {
                    let receipt = split::Receipt { cents: 50 };
                    Ok(if claim.id() % 2 == 0 {
                        split::OrderChargeOutcome::Charged(receipt)
                    } else {
                        split::OrderChargeOutcome::PartlyCharged(receipt)
                    })
                })
                .step(split::Order::SHIP, |_, _| Ok(()))
        }],
    );
}

pub(super) fn last_reviewer<D: Database>(database: &D) -> Worker<ConnectionManager<D::Conn>> {
    Worker::new(database.pool(2))
        .step(leaving::Order::CHARGE, |_, ()| Ok(leaving::Receipt { cents: 100 }))
        .step(leaving::Order::SHIP, |_, _| Ok(()))
}

/// A state is removed in two deploys: first what leads there, then, when a check finds none there any
/// more, the state.
pub fn a_state_is_removed<D: Database>() {
    is_locked_by::<leaving::Order, order::Order>(&["transition review: charged => reviewed"]);
    is_locked_by::<without::Order, leaving::Order>(&["state reviewed has receipt"]);
    let database = D::migrated();
    let conn = &mut database.connect();
    in_each_state::<D>(conn);
    let checked = check::<(leaving::Order,)>(conn).decode().run().expect("checked");
    let [Found::UnknownTransition { transition, .. }] = &*checked.findings else {
        panic!("{checked}");
    };
    assert_eq!(transition, "review", "and nothing depends on it");
    let checked = check::<(without::Order,)>(conn).run().expect("checked");
    let too_early =
        |found: &Found| matches!(found, Found::UnknownState { state, .. } if state == "reviewed");
    assert!(checked.findings.iter().any(too_early), "{checked}");
    complete::<D>(conn, &[&|| order::worker(&database), &|| last_reviewer(&database)]);

    // the version before is gone, and with it what leads there
    leaving::Order { item: "coat".to_owned() }.create(conn).expect("created");
    assert_eq!(count::<D>(conn, "reviewed"), 0);
    let checked = check::<(without::Order,)>(conn).decode().run().expect("checked");
    assert!(checked.is_clean(), "{checked}");
    complete::<D>(
        conn,
        &[&|| last_reviewer(&database), &|| {
            Worker::new(database.pool(2))
                .step(without::Order::CHARGE, |_, ()| Ok(without::Receipt { cents: 100 }))
                .step(without::Order::SHIP, |_, _| Ok(()))
        }],
    );
}
