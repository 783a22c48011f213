//! Rolling out, and back.

use diesel::r2d2::ConnectionManager;
use flowstate::Flow;
use flowstate_diesel::operator::{Check, Found, register, registry};
use flowstate_diesel::{Error, Page, Worker, check, prelude::*, testing};
use serde::{Deserialize, Serialize};

use super::order::{self, complete, count, in_each_state, is_locked_by};
use crate::Database;

/// With a state more.
mod next {
    use super::{Deserialize, Flow, Serialize};

    #[derive(Flow, Serialize, Deserialize)]
    #[flow(lock = "src/require/change/order.flow")]
    #[state(Pending, Charging, Charged, Reviewed, Packed, Shipping, Shipped)]
    #[state(NotCharged(error), NotShipped(error))]
    #[initial(Pending)]
    #[completed(Shipped)]
    #[persist(Receipt { cents: i64 })]
    #[step(charge: Pending | NotCharged => Charging => Charged(persist(Receipt)), fail(NotCharged))]
    #[transition(review: Charged => Reviewed)]
    #[transition(pack: Charged | Reviewed => Packed)]
    #[step(
        ship: Charged | Reviewed | Packed | NotShipped => Shipping => Shipped,
        load(Receipt), fail(NotShipped),
    )]
    pub(super) struct Order {
        pub(super) item: String,
    }
}

fn next<D: Database>(database: &D) -> Worker<ConnectionManager<D::Conn>> {
    Worker::new(database.pool(2))
        .step(next::Order::CHARGE, |_, ()| Ok(next::Receipt { cents: 100 }))
        .step(next::Order::SHIP, |_, _| Ok(()))
        .threads(2)
}

/// Packs whatever can be packed, and no worker has taken meanwhile. Returns how many.
fn pack<D: Database>(conn: &mut D::Conn) -> i64 {
    let states = [next::OrderState::Charged, next::OrderState::Reviewed];
    let orders = next::Order::list(states, Page::first(100), conn).expect("listed");
    let mut packed = 0;
    for mut order in orders {
        match order.transition(next::Order::PACK, conn).run() {
            Ok(()) => packed += 1,
            Err(Error::InvalidTransition { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
    packed
}

/// Both versions run while a deploy rolls; the check before it finds nothing.
pub fn a_version_is_rolled_out<D: Database>() {
    is_locked_by::<next::Order, order::Order>(&[]);
    let database = D::migrated();
    let conn = &mut database.connect();
    in_each_state::<D>(conn);
    let checked = check::<(next::Order,)>(conn).decode().run().expect("checked");
    assert!(checked.is_clean(), "{checked}");
    let before = order::worker(&database).start().expect("started");
    let after = next(&database).start().expect("started");
    before.shutdown(std::time::Duration::from_mins(1)).expect("stopped");
    pack::<D>(conn);
    after.shutdown(std::time::Duration::from_mins(1)).expect("stopped");
    complete::<D>(conn, &[&|| next(&database)]);
}

/// The version before leaves alone what it does not know, untried, and the check says how much that
/// is; the next one takes it up again.
pub fn a_version_is_rolled_back<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    register::<(order::Order,)>("shop 1", conn).expect("registered");
    in_each_state::<D>(conn);
    let packed = pack::<D>(conn);
    assert_eq!(packed, 2);

    let known = registry(conn).expect("read");
    let checked = Check::against(known.graph("order").cloned(), conn).run().expect("checked");
    let unknown = |found: &Found| matches!(found, Found::UnknownState { state, records, .. } if state == "packed" && *records == packed);
    assert!(checked.findings.iter().any(unknown), "{checked}");
    for _ in 0..2 {
        order::worker(&database).run_until_idle().expect("idle");
        testing::make_everything_due(conn).expect("due");
    }
    assert_eq!((order::open::<D>(conn), count::<D>(conn, "packed")), (packed, packed));
    let tried = "SELECT COUNT(*) FROM flowstate_flows WHERE state = 'packed' AND attempts > 0";
    assert_eq!(D::number(conn, tried), 0);
    complete::<D>(conn, &[&|| order::worker(&database), &|| next(&database)]);
}
