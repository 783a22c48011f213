//! What is stored: fields, and artefacts that are loaded later.

use flowstate::Flow;
use flowstate_diesel::operator::Found;
use flowstate_diesel::{Worker, check, prelude::*};
use serde::{Deserialize, Serialize};

use super::order::{self, complete, in_each_state, is_locked_by};
use crate::Database;

/// Orders and receipts have a field more, which may be missing.
mod more {
    use super::{Deserialize, Flow, Serialize};

    #[derive(Flow, Serialize, Deserialize)]
    #[flow(lock = "src/require/change/order.flow")]
    #[state(Pending, Charging, Charged, Reviewed, Shipping, Shipped)]
    #[state(NotCharged(error), NotShipped(error))]
    #[initial(Pending)]
    #[completed(Shipped)]
    #[persist(Receipt { cents: i64, #[serde(default)] currency: Option<String> })]
    #[step(charge: Pending | NotCharged => Charging => Charged(persist(Receipt)), fail(NotCharged))]
    #[transition(review: Charged => Reviewed)]
    #[step(ship: Charged | Reviewed | NotShipped => Shipping => Shipped, load(Receipt), fail(NotShipped))]
    pub(super) struct Order {
        pub(super) item: String,
        #[serde(default)]
        pub(super) gift: bool,
    }
}

/// They must not be missing any more.
mod required {
    use super::{Deserialize, Flow, Serialize};

    #[derive(Flow, Serialize, Deserialize)]
    #[flow(lock = "src/require/change/order.flow")]
    #[state(Pending, Charging, Charged, Reviewed, Shipping, Shipped)]
    #[state(NotCharged(error), NotShipped(error))]
    #[initial(Pending)]
    #[completed(Shipped)]
    #[persist(Receipt { cents: i64, currency: String })]
    #[step(charge: Pending | NotCharged => Charging => Charged(persist(Receipt)), fail(NotCharged))]
    #[transition(review: Charged => Reviewed)]
    #[step(ship: Charged | Reviewed | NotShipped => Shipping => Shipped, load(Receipt), fail(NotShipped))]
    pub(super) struct Order {
        pub(super) item: String,
        pub(super) gift: bool,
    }
}

/// An address is kept with the charge, and used where it is there.
mod address {
    use super::{Deserialize, Flow, Serialize};

    #[derive(Flow, Serialize, Deserialize)]
    #[flow(lock = "src/require/change/order.flow")]
    #[state(Pending, Charging, Charged, Reviewed, Shipping, Shipped)]
    #[state(NotCharged(error), NotShipped(error))]
    #[initial(Pending)]
    #[completed(Shipped)]
    #[persist(Receipt { cents: i64 })]
    #[persist(Address { city: String })]
    #[step(charge: Pending | NotCharged => Charging => Charged(persist(Receipt, Address)), fail(NotCharged))]
    #[transition(review: Charged => Reviewed)]
    #[step(
        ship: Charged | Reviewed | NotShipped => Shipping => Shipped,
        load(Receipt, optional Address), fail(NotShipped),
    )]
    pub(super) struct Order {
        pub(super) item: String,
    }
}

/// It is there.
mod addressed {
    use super::{Deserialize, Flow, Serialize};

    #[derive(Flow, Serialize, Deserialize)]
    #[flow(lock = "src/require/change/addressed.flow")]
    #[state(Pending, Charging, Charged, Reviewed, Shipping, Shipped)]
    #[state(NotCharged(error), NotShipped(error))]
    #[initial(Pending)]
    #[completed(Shipped)]
    #[persist(Receipt { cents: i64 })]
    #[persist(Address { city: String })]
    #[step(charge: Pending | NotCharged => Charging => Charged(persist(Receipt, Address)), fail(NotCharged))]
    #[transition(review: Charged => Reviewed)]
    #[step(
        ship: Charged | Reviewed | NotShipped => Shipping => Shipped,
        load(Receipt, Address), fail(NotShipped),
    )]
    pub(super) struct Order {
        pub(super) item: String,
    }
}

/// An order has several items, and a receipt says the currency.
mod typed {
    use super::{Deserialize, Flow, OrderV1, ReceiptV1, Serialize};

    #[derive(Flow, Serialize, Deserialize)]
    #[flow(lock = "src/require/change/order.flow", version = 2, upgrade(OrderV1))]
    #[state(Pending, Charging, Charged, Reviewed, Shipping, Shipped)]
    #[state(NotCharged(error), NotShipped(error))]
    #[initial(Pending)]
    #[completed(Shipped)]
    #[persist(Receipt { paid: String }, version = 2, upgrade(ReceiptV1))]
    #[step(charge: Pending | NotCharged => Charging => Charged(persist(Receipt)), fail(NotCharged))]
    #[transition(review: Charged => Reviewed)]
    #[step(ship: Charged | Reviewed | NotShipped => Shipping => Shipped, load(Receipt), fail(NotShipped))]
    pub(super) struct Order {
        pub(super) items: Vec<String>,
    }
}

/// An order of the version before.
#[derive(Deserialize)]
struct OrderV1 {
    item: String,
}

impl From<OrderV1> for typed::Order {
    fn from(before: OrderV1) -> Self {
        Self { items: vec![before.item] }
    }
}

/// A receipt of the version before.
#[derive(Deserialize)]
struct ReceiptV1 {
    cents: i64,
}

impl From<ReceiptV1> for typed::Receipt {
    fn from(before: ReceiptV1) -> Self {
        Self { paid: format!("{} cents", before.cents) }
    }
}

/// Nothing loads the receipt.
mod unloaded {
    use super::{Deserialize, Flow, Serialize};

    #[derive(Flow, Serialize, Deserialize)]
    #[flow(lock = "src/require/change/order.flow")]
    #[state(Pending, Charging, Charged, Reviewed, Shipping, Shipped)]
    #[state(NotCharged(error), NotShipped(error))]
    #[initial(Pending)]
    #[completed(Shipped)]
    #[persist(Receipt { cents: i64 })]
    #[step(charge: Pending | NotCharged => Charging => Charged(persist(Receipt)), fail(NotCharged))]
    #[transition(review: Charged => Reviewed)]
    #[step(ship: Charged | Reviewed | NotShipped => Shipping => Shipped, fail(NotShipped))]
    pub(super) struct Order {
        pub(super) item: String,
    }
}

/// Nothing persists it.
#[allow(dead_code, reason = "the receipt is in rows alone")]
mod unpersisted {
    use super::{Deserialize, Flow, Serialize};

    #[derive(Flow, Serialize, Deserialize)]
    #[flow(lock = "src/require/change/unloaded.flow")]
    #[state(Pending, Charging, Charged, Reviewed, Shipping, Shipped)]
    #[state(NotCharged(error), NotShipped(error))]
    #[initial(Pending)]
    #[completed(Shipped)]
    #[persist(Receipt { cents: i64 })]
    #[step(charge: Pending | NotCharged => Charging => Charged, fail(NotCharged))]
    #[transition(review: Charged => Reviewed)]
    #[step(ship: Charged | Reviewed | NotShipped => Shipping => Shipped, fail(NotShipped))]
    pub(super) struct Order {
        pub(super) item: String,
    }
}

/// A field is added with a default: either version reads what the other has written.
pub fn a_field_is_added<D: Database>() {
    is_locked_by::<more::Order, order::Order>(&[]);
    let database = D::migrated();
    let conn = &mut database.connect();
    in_each_state::<D>(conn);
    more::Order { item: "hat".to_owned(), gift: true }.create(conn).expect("created");
    for found in [
        check::<(more::Order,)>(conn).decode().run(),
        check::<(order::Order,)>(conn).decode().run(),
    ] {
        let checked = found.expect("checked");
        assert!(checked.is_clean(), "{checked}");
    }
    complete::<D>(
        conn,
        &[&|| order::worker(&database), &|| {
            let receipt = || more::Receipt { cents: 100, currency: Some("EUR".to_owned()) };
            Worker::new(database.pool(2))
                .step(more::Order::CHARGE, move |_, ()| Ok(receipt()))
                .step(more::Order::SHIP, |_, _| Ok(()))
        }],
    );
}

/// A field becomes required when a check reads every record that has not ended without its default;
/// until then those that lack it are left to a version that reads them.
pub fn a_field_becomes_required<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let strict = || {
        let receipt = || required::Receipt { cents: 100, currency: "EUR".to_owned() };
        Worker::new(database.pool(2))
            .step(required::Order::CHARGE, move |_, ()| Ok(receipt()))
            .step(required::Order::SHIP, |_, _| Ok(()))
    };
    let lenient = || {
        let receipt = || more::Receipt { cents: 100, currency: Some("EUR".to_owned()) };
        Worker::new(database.pool(2))
            .step(more::Order::CHARGE, move |_, ()| Ok(receipt()))
            .step(more::Order::SHIP, |_, _| Ok(()))
    };
    in_each_state::<D>(conn);
    let checked = check::<(required::Order,)>(conn).decode().run().expect("checked");
    let lacks = |found: &Found| matches!(found, Found::Unreadable { problem, .. } if problem.contains("missing field"));
    assert!(!checked.is_clean() && checked.findings.iter().all(lacks), "{checked}");
    let untouched = order::open::<D>(conn);
    strict().run_until_idle().expect("idle");
    let tried = "SELECT COUNT(*) FROM flowstate_transitions \
         WHERE transition LIKE 'fail%' AND error LIKE '%missing field%'";
    assert_eq!((order::open::<D>(conn), D::number(conn, tried)), (untouched, 0), "no try is spent");
    complete::<D>(conn, &[&strict, &lenient]);

    more::Order { item: "hat".to_owned(), gift: false }.create(conn).expect("created");
    let checked = check::<(required::Order,)>(conn).decode().run().expect("checked");
    assert!(checked.is_clean(), "{checked}");
    complete::<D>(conn, &[&strict, &lenient]);
}

/// An artefact that a later step loads is optional first, until every record has it: then the lock
/// file can say so.
pub fn an_artefact_is_loaded_later<D: Database>() {
    is_locked_by::<address::Order, order::Order>(&[]);
    let database = D::migrated();
    let conn = &mut database.connect();
    in_each_state::<D>(conn);
    let both = || {
        let address = || address::Address { city: "Oslo".to_owned() };
        Worker::new(database.pool(2))
            .step(address::Order::CHARGE, move |_, ()| {
                Ok((address::Receipt { cents: 100 }, address()))
            })
            .step(address::Order::SHIP, |_, (_, _address)| Ok(()))
    };
    let checked = check::<(addressed::Order,)>(conn).run().expect("checked");
    let lacks =
        |found: &Found| matches!(found, Found::Lacking { artefact, .. } if artefact == "address");
    assert!(checked.findings.iter().any(lacks), "the lock file says too much: {checked}");
    complete::<D>(conn, &[&|| order::worker(&database), &both]);

    let mut order = address::Order { item: "hat".to_owned() }.create(conn).expect("created");
    let claim = flowstate_diesel::claim_next(address::Order::CHARGE, conn);
    let claim = claim.expect("no error").expect("a claim");
    let address = address::Address { city: "Oslo".to_owned() };
    claim.finish((address::Receipt { cents: 1 }, address), conn).expect("charged");
    order.reload(conn).expect("read");
    let checked = check::<(addressed::Order,)>(conn).decode().run().expect("checked");
    assert!(checked.is_clean(), "{checked}");
    assert!(checked.states[0].has.contains("address"), "{checked:?}");
    complete::<D>(
        conn,
        &[&both, &|| {
            let address = || addressed::Address { city: "Oslo".to_owned() };
            Worker::new(database.pool(2))
                .step(addressed::Order::CHARGE, move |_, ()| {
                    Ok((addressed::Receipt { cents: 100 }, address()))
                })
                .step(addressed::Order::SHIP, |_, _| Ok(()))
        }],
    );
}

/// The types of props and of an artefact change: what the version before has written is read as its
/// version, and what the new one writes the one before leaves alone.
pub fn a_payload_changes_its_type<D: Database>() {
    is_locked_by::<typed::Order, order::Order>(&[]);
    let database = D::migrated();
    let conn = &mut database.connect();
    in_each_state::<D>(conn);
    typed::Order { items: vec!["hat".to_owned(), "scarf".to_owned()] }
        .create(conn)
        .expect("created");
    let checked = check::<(typed::Order,)>(conn).decode().run().expect("checked");
    assert!(checked.is_clean(), "{checked}");
    complete::<D>(
        conn,
        &[&|| order::worker(&database), &|| {
            let receipt = || typed::Receipt { paid: "1 euro".to_owned() };
            Worker::new(database.pool(2))
                .step(typed::Order::CHARGE, move |order, ()| {
                    assert_eq!(order.items[0], "hat");
                    Ok(receipt())
                })
                .step(typed::Order::SHIP, |_, receipt| {
                    assert!(["1 euro", "100 cents"].contains(&&*receipt.paid));
                    Ok(())
                })
        }],
    );
}

/// An artefact is dropped in two deploys: first nothing loads it any more, then nothing persists it.
/// Each runs beside the one before.
pub fn an_artefact_is_dropped<D: Database>() {
    is_locked_by::<unloaded::Order, order::Order>(&[]);
    is_locked_by::<unpersisted::Order, unloaded::Order>(&[]);
    let database = D::migrated();
    let conn = &mut database.connect();
    let unloaded = || {
        Worker::new(database.pool(2))
            .step(unloaded::Order::CHARGE, |_, ()| Ok(unloaded::Receipt { cents: 100 }))
            .step(unloaded::Order::SHIP, |_, ()| Ok(()))
    };
    in_each_state::<D>(conn);
    complete::<D>(conn, &[&|| order::worker(&database), &unloaded]);

    in_each_state::<D>(conn);
    unpersisted::Order { item: "hat".to_owned() }.create(conn).expect("created");
    complete::<D>(
        conn,
        &[&unloaded, &|| {
            Worker::new(database.pool(2))
                .step(unpersisted::Order::CHARGE, |_, ()| Ok(()))
                .step(unpersisted::Order::SHIP, |_, ()| Ok(()))
        }],
    );
}
