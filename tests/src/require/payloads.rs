//! Props and artefacts of several versions on one database.

use diesel::connection::SimpleConnection as _;
use flowstate::Flow;
use flowstate_diesel::{Error, Once, What, Worker, claim_next, operator, prelude::*, testing};
use serde::{Deserialize, Serialize};

use crate::{Database, check, refused};

/// The first version.
mod v1 {
    use super::{Deserialize, Flow, Serialize};

    #[derive(Flow, Serialize, Deserialize)]
    #[state(Open, Charging, Charged, Shipping, Shipped, Failed(error), ShipFailed(error))]
    #[initial(Open)]
    #[completed(Shipped)]
    #[persist(Receipt { number: i64 })]
    #[step(charge: Open | Failed => Charging => Charged(persist(Receipt)), fail(Failed))]
    #[step(ship: Charged | ShipFailed => Shipping => Shipped, fail(ShipFailed), load(Receipt))]
    #[transition(correct: Open => Open)]
    pub(super) struct Order {
        pub(super) euros: i64,
    }
}

/// The third version of the props, and the second one of the artefact.
mod v3 {
    use super::{Deserialize, Flow, Serialize};

    #[derive(Flow, Serialize, Deserialize)]
    #[flow(version = 3, upgrade(OrderV1, OrderV2))]
    #[state(Open, Charging, Charged, Shipping, Shipped, Failed(error), ShipFailed(error))]
    #[initial(Open)]
    #[completed(Shipped)]
    #[persist(Receipt { number: String }, version = 2, upgrade(ReceiptV1))]
    #[step(charge: Open | Failed => Charging => Charged(persist(Receipt)), fail(Failed))]
    #[step(ship: Charged | ShipFailed => Shipping => Shipped, fail(ShipFailed), load(Receipt))]
    #[transition(correct: Open => Open)]
    pub(super) struct Order {
        pub(super) cents: i64,
        pub(super) currency: String,
    }

    #[derive(Deserialize)]
    pub(super) struct OrderV1 {
        euros: i64,
    }

    #[derive(Deserialize)]
    pub(super) struct OrderV2 {
        cents: i64,
    }

    #[derive(Deserialize)]
    pub(super) struct ReceiptV1 {
        number: i64,
    }

    impl From<OrderV1> for OrderV2 {
        fn from(before: OrderV1) -> Self {
            Self { cents: before.euros * 100 }
        }
    }

    impl From<OrderV2> for Order {
        fn from(before: OrderV2) -> Self {
            Self { cents: before.cents, currency: "EUR".into() }
        }
    }

    impl From<ReceiptV1> for Receipt {
        fn from(before: ReceiptV1) -> Self {
            Self { number: format!("R{}", before.number) }
        }
    }
}

fn euros(cents: i64) -> v3::Order {
    v3::Order { cents, currency: "EUR".into() }
}

/// A record whose artefact the first version has written.
fn charged<D: Database>(conn: &mut D::Conn) -> i64 {
    let mut order = v1::Order { euros: 5 }.create(conn).expect("created");
    let request = order.transition(v1::Order::START_CHARGE, conn);
    let receipt = v1::Receipt { number: 7 };
    request.then(v1::Order::FINISH_CHARGE).persist(receipt).run().expect("charged");
    order.id()
}

fn versions<D: Database>(conn: &mut D::Conn) -> (i64, i64) {
    (
        D::number(conn, "SELECT MAX(props_version) FROM flowstate_flows"),
        D::number(conn, "SELECT COALESCE(MAX(version), 0) FROM flowstate_artefacts"),
    )
}

/// What earlier versions have written is read through each version that came since, and stays as it
/// is.
pub fn earlier_versions_are_read_and_stay<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let id = charged::<D>(conn);
    let mut order = v3::Order::find(id, conn).expect("found");
    assert_eq!((order.cents, &*order.currency), (500, "EUR"));
    let receipt = order.artefact::<v3::Receipt>(conn).expect("read").expect("there");
    assert_eq!(receipt.number, "R7");
    let receipt = order.transition(v3::Order::START_SHIP, conn).run().expect("shipping");
    assert_eq!(receipt.number, "R7");
    assert_eq!(versions::<D>(conn), (1, 1), "nothing was written again");
    order.transition(v3::Order::FAIL_SHIP, conn).run().expect("failed");
    let worker = Worker::new(database.pool(1));
    let worker = worker.step(v3::Order::SHIP, |order, receipt| {
        assert_eq!((order.cents, &*receipt.number), (500, "R7"));
        Ok(())
    });
    assert_eq!(worker.run_until_idle().expect("ran").finished, 1);
    assert_eq!(versions::<D>(conn), (1, 1), "nothing was written again");

    conn.batch_execute("UPDATE flowstate_flows SET props_version = 2, props = '{\"cents\":3}'")
        .expect("a row of the second version");
    assert_eq!(v3::Order::find(id, conn).expect("found").cents, 3);
    conn.batch_execute("UPDATE flowstate_flows SET props = '{\"cents\":\"x\"}'").expect("spoilt");
    let found = v3::Order::find(id, conn);
    let path = refused!(found, Error::Decode { what: What::Props, path, .. } => path);
    assert_eq!(path, "cents");
    check::clean(conn);
}

/// An update writes the props whole, as this version: nothing of an earlier form is left beside it. At
/// the same version what the type does not know is kept.
pub fn an_update_writes_the_new_version<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let order = v1::Order { euros: 5 }.create(conn).expect("created");
    let mut order = v3::Order::find(order.id(), conn).expect("found");
    let request = order.transition(v3::Order::CORRECT, conn);
    request.update(|order| order.cents += 1).run().expect("corrected");
    assert_eq!(versions::<D>(conn), (3, 0));
    let props =
        "SELECT COUNT(*) FROM flowstate_flows WHERE CAST(props AS CHAR(100)) LIKE '%euros%'";
    assert_eq!(D::number(conn, props), 0);
    assert_eq!(v3::Order::find(order.id(), conn).expect("found").cents, 501);

    let json = "{\"cents\":1,\"currency\":\"EUR\",\"of_later\":true}";
    conn.batch_execute(&format!("UPDATE flowstate_flows SET props = '{json}'")).expect("written");
    let mut order = v3::Order::find(order.id(), conn).expect("found");
    let request = order.transition(v3::Order::CORRECT, conn);
    request.update(|order| order.cents = 2).run().expect("corrected");
    let kept =
        "SELECT COUNT(*) FROM flowstate_flows WHERE CAST(props AS CHAR(100)) LIKE '%of_later%'";
    assert_eq!(D::number(conn, kept), 1);
    check::clean(conn);
}

/// A version that this program does not know is an error that names it; the record stays, and a worker
/// leaves it to those that know.
pub fn a_newer_version_is_left_alone<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    // one for each way to create
    let new = euros(500).create(conn).expect("created");
    euros(500).create_once("key", conn).expect("created");
    v3::Order::create_many([euros(500), euros(500)], conn).expect("created");
    let rows = "SELECT COUNT(*) FROM flowstate_flows WHERE props_version = 3";
    assert_eq!(D::number(conn, rows), 4);
    let record = new.id();
    let (what, found, known) = refused!(
        v1::Order::find(record, conn),
        Error::UnknownVersion { what, found, known, .. } => (what, found, known)
    );
    assert_eq!((what, found, known), (What::Props, 3, 1));

    let old = || Worker::new(database.pool(1)).step(v1::Order::CHARGE, |_, ()| unreachable!());
    let stats = old().run_until_idle().expect("ran");
    assert_eq!((stats.finished, stats.failed, stats.running), (0, 0, 0));
    let waiting = "SELECT COUNT(*) FROM flowstate_flows \
                   WHERE state = 'open' AND attempts = 0 AND due_at IS NOT NULL";
    assert_eq!(D::number(conn, waiting), 4);
    testing::make_everything_due(conn).expect("due");
    let stats = Worker::new(database.pool(1))
        .step(v3::Order::CHARGE, |order, ()| {
            assert_eq!(order.cents, 500);
            Ok(v3::Receipt { number: "new".into() })
        })
        .threads(4)
        .run_until_idle()
        .expect("ran");
    assert_eq!((stats.finished, stats.failed), (4, 0));
    let written = "SELECT COUNT(*) FROM flowstate_artefacts WHERE version = 2";
    assert_eq!(D::number(conn, written), 4, "one by one or many at once");
    check::clean(conn);
}

/// An artefact of a version that this program does not know keeps the record where it is.
pub fn an_artefact_of_a_newer_version_is_left_alone<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let id = charged::<D>(conn);
    conn.batch_execute("UPDATE flowstate_artefacts SET version = 2").expect("newer");
    let mut order = v1::Order::find(id, conn).expect("found");
    let before = check::sizes::<D>(conn);
    let (record, what, found, known) = refused!(
        order.transition(v1::Order::START_SHIP, conn).run(),
        Error::UnknownVersion { record, what, found, known } => (record, what, found, known)
    );
    assert_eq!((record.flow, record.id), ("order", Some(id)));
    assert_eq!((what, found, known), (What::Artefact("receipt".into()), 2, 1));
    assert_eq!((order.state(), order.seq()), (v1::OrderState::Charged, 2));
    assert_eq!(check::sizes::<D>(conn), before);
    let stats = Worker::new(database.pool(1))
        .step(v1::Order::SHIP, |_, _| unreachable!())
        .run_until_idle()
        .expect("ran");
    assert_eq!((stats.finished, stats.failed, stats.running), (0, 0, 0));
    order.reload(conn).expect("read");
    assert_eq!((order.state(), order.attempt()), (v1::OrderState::Charged, 1));
    // no program has written such a version
    conn.batch_execute("UPDATE flowstate_artefacts SET version = 0").expect("spoilt");
    refused!(order.artefact::<v1::Receipt>(conn), Error::UnknownVersion { found: 0, .. });
    check::clean(conn);
}

/// A start with a key is recognized by the next version, which compares what the props are now.
pub fn a_key_is_recognized_across_versions<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let first = v1::Order { euros: 5 }.create_once("a", conn).expect("created").into_record();
    let again = euros(500).create_once("a", conn).expect("found");
    assert!(matches!(&again, Once::Existing(found) if found.id() == first.id()));
    refused!(euros(501).create_once("a", conn), Error::KeyConflict { .. });

    let third = euros(700).create_once("b", conn).expect("created").into_record();
    let again = euros(700).create_once("b", conn).expect("found");
    assert!(matches!(&again, Once::Existing(found) if found.id() == third.id()));
    let found = refused!(
        v1::Order { euros: 7 }.create_once("b", conn),
        Error::UnknownVersion { found, .. } => found
    );
    assert_eq!(found, 3);
    check::clean(conn);
}

/// Operators see what version a record's props and artefacts have.
pub fn versions_are_shown<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    euros(500).create(conn).expect("created");
    let claim = claim_next(v3::Order::CHARGE, conn).expect("no error").expect("a claim");
    let id = claim.id();
    claim.finish(v3::Receipt { number: "n".into() }, conn).expect("charged");
    let shown = operator::show(id, conn).expect("shown");
    assert_eq!((shown.props_version, shown.artefacts[0].version), (3, 2));
    let order = v3::Order::find(id, conn).expect("found");
    assert_eq!(order.artefacts(conn).expect("read")[0].version, 2);
    check::clean(conn);
}
