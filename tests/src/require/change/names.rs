//! Names that change.

use diesel::r2d2::ConnectionManager;
use flowstate::Flow;
use flowstate_diesel::operator::Found;
use flowstate_diesel::{Worker, check, prelude::*};
use serde::{Deserialize, Serialize};

use super::order::{self, complete, count, in_each_state, is_locked_by};
use crate::Database;

/// Reads the new names, and writes the old ones.
mod reading {
    use super::{Deserialize, Flow, Serialize};

    #[derive(Flow, Serialize, Deserialize)]
    #[flow(lock = "src/require/change/order.flow")]
    #[state(Pending, Charging, Paid(rename = "charged", alias = "paid"), Reviewed)]
    #[state(Shipping, Shipped, NotCharged(error), NotShipped(error))]
    #[initial(Pending)]
    #[completed(Shipped)]
    #[persist(Bill { cents: i64 }, rename = "receipt", alias = "bill")]
    #[step(charge: Pending | NotCharged => Charging => Paid(persist(Bill)), fail(NotCharged))]
    #[transition(review: Paid => Reviewed)]
    #[step(ship: Paid | Reviewed | NotShipped => Shipping => Shipped, load(Bill), fail(NotShipped))]
    pub(super) struct Order {
        pub(super) item: String,
    }
}

/// Writes the new ones, and reads the old ones.
mod writing {
    use super::{Deserialize, Flow, Serialize};

    #[derive(Flow, Serialize, Deserialize)]
    #[flow(lock = "src/require/change/renamed.flow")]
    #[state(Pending, Charging, Paid(alias = "charged"), Reviewed)]
    #[state(Shipping, Shipped, NotCharged(error), NotShipped(error))]
    #[initial(Pending)]
    #[completed(Shipped)]
    #[persist(Bill { cents: i64 }, alias = "receipt")]
    #[step(charge: Pending | NotCharged => Charging => Paid(persist(Bill)), fail(NotCharged))]
    #[transition(review: Paid => Reviewed)]
    #[step(ship: Paid | Reviewed | NotShipped => Shipping => Shipped, load(Bill), fail(NotShipped))]
    pub(super) struct Order {
        pub(super) item: String,
    }
}

/// A step has another name, and its transitions with it.
mod step {
    use super::{Deserialize, Flow, Serialize};

    #[derive(Flow, Serialize, Deserialize)]
    #[flow(lock = "src/require/change/order.flow")]
    #[state(Pending, Charging, Charged, Reviewed, Shipping, Shipped)]
    #[state(NotCharged(error), NotShipped(error))]
    #[initial(Pending)]
    #[completed(Shipped)]
    #[persist(Receipt { cents: i64 })]
    #[step(charge: Pending | NotCharged => Charging => Charged(persist(Receipt)), fail(NotCharged))]
    #[transition(inspect: Charged => Reviewed, alias = "review")]
    #[step(send: Charged | Reviewed | NotShipped => Shipping => Shipped, load(Receipt), fail(NotShipped), alias = "ship")]
    pub(super) struct Order {
        pub(super) item: String,
    }
}

fn reader<D: Database>(database: &D) -> Worker<ConnectionManager<D::Conn>> {
    Worker::new(database.pool(2))
        .step(reading::Order::CHARGE, |_, ()| Ok(reading::Bill { cents: 100 }))
        .step(reading::Order::SHIP, |_, _| Ok(()))
}

fn writer<D: Database>(database: &D) -> Worker<ConnectionManager<D::Conn>> {
    Worker::new(database.pool(2))
        .step(writing::Order::CHARGE, |_, ()| Ok(writing::Bill { cents: 100 }))
        .step(writing::Order::SHIP, |_, _| Ok(()))
}

/// How many rows have a former name, by what it is of.
fn former<D: Database>(conn: &mut D::Conn) -> Vec<u64> {
    let checked = check::<(writing::Order,)>(conn).decode().run().expect("checked");
    assert!(checked.is_clean(), "{checked}");
    checked.aliases.iter().map(|alias| alias.records).collect()
}

/// A state and an artefact are renamed in two deploys: first the new names are read, then written.
/// Each runs beside the one before.
pub fn a_state_and_an_artefact_are_renamed<D: Database>() {
    is_locked_by::<reading::Order, order::Order>(&[]);
    is_locked_by::<writing::Order, reading::Order>(&[]);
    let database = D::migrated();
    let conn = &mut database.connect();
    in_each_state::<D>(conn);
    complete::<D>(conn, &[&|| order::worker(&database), &|| reader(&database)]);

    in_each_state::<D>(conn);
    writing::Order { item: "new".to_owned() }.create(conn).expect("created");
    assert!(former::<D>(conn).iter().all(|&rows| rows > 0), "{:?}", former::<D>(conn));
    complete::<D>(conn, &[&|| reader(&database), &|| writer(&database)]);
    let [states, artefacts] = *former::<D>(conn) else { panic!("two aliases") };
    assert!(states == 0 && artefacts > 0, "what has ended keeps its artefacts by their names");
    // which can be read by the new names
    let rows = writing::Order::list(
        [writing::OrderState::Shipped],
        flowstate_diesel::Page::first(100),
        conn,
    );
    for record in rows.expect("listed") {
        let bill = record.artefact::<writing::Bill>(conn).expect("read").expect("a bill");
        assert_eq!(bill.cents, 100);
    }
    assert_eq!(count::<D>(conn, "shipped"), 15);
}

/// A transition and a step are renamed in one deploy: nothing is decided by the names in the history.
pub fn a_step_is_renamed<D: Database>() {
    is_locked_by::<step::Order, order::Order>(&[]);
    let database = D::migrated();
    let conn = &mut database.connect();
    in_each_state::<D>(conn);
    let checked = check::<(step::Order,)>(conn).decode().run().expect("checked");
    assert!(checked.is_clean(), "{checked}");
    complete::<D>(
        conn,
        &[&|| order::worker(&database), &|| {
            Worker::new(database.pool(2))
                .step(step::Order::CHARGE, |_, ()| Ok(step::Receipt { cents: 100 }))
                .step(step::Order::SEND, |_, _| Ok(()))
        }],
    );

    // what took the new names has taken transitions that the version before does not know
    in_each_state::<D>(conn);
    let mut order = step::Order::find(charged_now::<D>(conn), conn).expect("found");
    order.transition(step::Order::INSPECT, conn).run().expect("inspected");
    let checked = check::<(order::Order,)>(conn).run().expect("checked");
    let [Found::UnknownTransition { transition, records: 1, .. }] = &*checked.findings else {
        panic!("{checked}");
    };
    assert_eq!(transition, "inspect");
    complete::<D>(conn, &[&|| order::worker(&database)]);
}

fn charged_now<D: Database>(conn: &mut D::Conn) -> i64 {
    D::number(conn, "SELECT MIN(id) FROM flowstate_flows WHERE state = 'charged'")
}
