//! The version that runs before each change, and records in each of its states.

use diesel::r2d2::ConnectionManager;
use flowstate::{Flow, lock};
use flowstate_diesel::{Worker, claim_next, prelude::*, testing};
use serde::{Deserialize, Serialize};

use crate::Database;
use crate::check::clean;

/// Charged, looked at by somebody if need be, and shipped.
#[derive(Flow, Serialize, Deserialize)]
#[flow(lock = "src/require/change/order.flow")]
#[state(Pending, Charging, Charged, Reviewed, Shipping, Shipped)]
#[state(NotCharged(error), NotShipped(error))]
#[initial(Pending)]
#[completed(Shipped)]
#[persist(Receipt { cents: i64 })]
#[step(charge: Pending | NotCharged => Charging => Charged(persist(Receipt)), fail(NotCharged))]
#[transition(review: Charged => Reviewed)]
#[step(ship: Charged | Reviewed | NotShipped => Shipping => Shipped, load(Receipt), fail(NotShipped))]
pub(super) struct Order {
    /// What is ordered.
    pub(super) item: String,
}

/// A worker of the version before.
pub(super) fn worker<D: Database>(database: &D) -> Worker<ConnectionManager<D::Conn>> {
    Worker::new(database.pool(2))
        .step(Order::CHARGE, |_, ()| Ok(Receipt { cents: 100 }))
        .step(Order::SHIP, |_, _| Ok(()))
        .threads(2)
}

fn created<D: Database>(conn: &mut D::Conn) -> OrderRecord {
    Order { item: "hat".to_owned() }.create(conn).expect("created")
}

fn charged<D: Database>(conn: &mut D::Conn) -> i64 {
    let order = created::<D>(conn);
    let claim = claim_next(Order::CHARGE, conn).expect("no error").expect("a claim");
    assert_eq!(claim.id(), order.id(), "no other is due");
    claim.finish(Receipt { cents: 100 }, conn).expect("charged");
    order.id()
}

/// A record in each state that is not the end, claimed ones of workers that have died among them.
pub(super) fn in_each_state<D: Database>(conn: &mut D::Conn) {
    let id = charged::<D>(conn);
    let mut order = Order::find(id, conn).expect("found");
    order.transition(Order::REVIEW, conn).run().expect("reviewed");
    drop(claim_next(Order::SHIP, conn).expect("no error").expect("a claim"));
    charged::<D>(conn);
    let claim = claim_next(Order::SHIP, conn).expect("no error").expect("a claim");
    claim.fail("the van is late", conn).expect("failed");
    let mut order = Order::find(charged::<D>(conn), conn).expect("found");
    order.transition(Order::REVIEW, conn).run().expect("reviewed");
    charged::<D>(conn);
    created::<D>(conn);
    let claim = claim_next(Order::CHARGE, conn).expect("no error").expect("a claim");
    claim.fail("the bank is closed", conn).expect("failed");
    created::<D>(conn);
    drop(claim_next(Order::CHARGE, conn).expect("no error").expect("a claim"));
    created::<D>(conn);
    let states = "SELECT COUNT(DISTINCT state) FROM flowstate_flows WHERE completed_at IS NULL";
    assert_eq!(D::number(conn, states), 7);
    testing::expire_leases(conn).expect("expired");
    testing::make_everything_due(conn).expect("due");
}

/// How many records have not ended.
pub(super) fn open<D: Database>(conn: &mut D::Conn) -> i64 {
    D::number(conn, "SELECT COUNT(*) FROM flowstate_flows WHERE completed_at IS NULL")
}

/// How many records are in this state.
pub(super) fn count<D: Database>(conn: &mut D::Conn, state: &str) -> i64 {
    D::number(conn, &format!("SELECT COUNT(*) FROM flowstate_flows WHERE state = '{state}'"))
}

/// Workers run side by side, and what they leave each by itself, as one may have got all that only
/// another can read, until every record has ended and nothing is wrong with any.
pub(super) fn complete<D: Database>(
    conn: &mut D::Conn,
    workers: &[&(dyn Fn() -> Worker<ConnectionManager<D::Conn>> + Sync)],
) {
    let mut rounds = 0;
    while open::<D>(conn) > 0 {
        rounds += 1;
        assert!(rounds < 10, "{} records do not end", open::<D>(conn));
        std::thread::scope(|scope| {
            for worker in workers {
                scope.spawn(|| worker().run_until_idle().expect("idle"));
            }
        });
        for worker in workers {
            testing::make_everything_due(conn).expect("due");
            worker().run_until_idle().expect("idle");
        }
        testing::make_everything_due(conn).expect("due");
    }
    clean(conn);
}

/// The lock file of `Next` is that of the version before, but for lines that were removed by hand.
pub(super) fn is_locked_by<Next: Flow, Before: Flow>(removed: &[&str]) {
    let text = Next::LOCK.expect("a lock file").text;
    let before = lock::of::<Before>().to_string();
    let kept = before.lines().filter(|line| !removed.contains(line));
    assert_eq!(text.lines().collect::<Vec<_>>(), kept.collect::<Vec<_>>());
    for line in removed {
        assert!(before.lines().any(|known| known == *line), "{line}");
    }
}
