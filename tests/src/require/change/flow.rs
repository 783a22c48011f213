//! A flow that gets another name.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use diesel::r2d2::ConnectionManager;
use flowstate::{Flow, StepError};
use flowstate_diesel::operator::{Check, Found, register, registry};
use flowstate_diesel::{Worker, check, claim_next, prelude::*, testing};
use serde::{Deserialize, Serialize};

use super::order::{self, Order, complete, in_each_state, is_locked_by};
use crate::Database;
use crate::gate::Gate;

/// Reads the new name, and writes the old one.
mod reading {
    use super::{Deserialize, Flow, Serialize};

    #[derive(Flow, Serialize, Deserialize)]
    #[flow(name = "order", alias = "purchase", lock = "src/require/change/order.flow")]
    #[state(Pending, Charging, Charged, Reviewed, Shipping, Shipped)]
    #[state(NotCharged(error), NotShipped(error))]
    #[initial(Pending)]
    #[completed(Shipped)]
    #[persist(Receipt { cents: i64 })]
    #[step(charge: Pending | NotCharged => Charging => Charged(persist(Receipt)), fail(NotCharged))]
    #[transition(review: Charged => Reviewed)]
    #[step(ship: Charged | Reviewed | NotShipped => Shipping => Shipped, load(Receipt), fail(NotShipped))]
    pub(super) struct Purchase {
        pub(super) item: String,
    }
}

/// Writes the new one, and reads the old one.
mod writing {
    use super::{Deserialize, Flow, Serialize};

    #[derive(Flow, Serialize, Deserialize)]
    #[flow(alias = "order", lock = "src/require/change/purchase.flow")]
    #[state(Pending, Charging, Charged, Reviewed, Shipping, Shipped)]
    #[state(NotCharged(error), NotShipped(error))]
    #[initial(Pending)]
    #[completed(Shipped)]
    #[persist(Receipt { cents: i64 })]
    #[step(charge: Pending | NotCharged => Charging => Charged(persist(Receipt)), fail(NotCharged))]
    #[transition(review: Charged => Reviewed)]
    #[step(ship: Charged | Reviewed | NotShipped => Shipping => Shipped, load(Receipt), fail(NotShipped))]
    pub(super) struct Purchase {
        pub(super) item: String,
    }
}

use writing::Purchase;

fn purchase(item: &str) -> Purchase {
    Purchase { item: item.to_owned() }
}

fn reader<D: Database>(database: &D) -> Worker<ConnectionManager<D::Conn>> {
    Worker::new(database.pool(2))
        .step(reading::Purchase::CHARGE, |_, ()| Ok(reading::Receipt { cents: 100 }))
        .step(reading::Purchase::SHIP, |_, _| Ok(()))
        .threads(2)
}

fn writer<D: Database>(database: &D) -> Worker<ConnectionManager<D::Conn>> {
    Worker::new(database.pool(2))
        .step(Purchase::CHARGE, |_, ()| Ok(writing::Receipt { cents: 100 }))
        .step(Purchase::SHIP, |_, _| Ok(()))
        .threads(2)
}

/// How many records are stored under which name.
fn named<D: Database>(conn: &mut D::Conn, name: &str) -> i64 {
    D::number(conn, &format!("SELECT COUNT(*) FROM flowstate_flows WHERE flow = '{name}'"))
}

/// A flow is renamed in two deploys: first the new name is read, then written. Each runs beside the
/// one before, and every record keeps the name under which it was created.
pub fn a_flow_is_renamed<D: Database>() {
    is_locked_by::<reading::Purchase, Order>(&[]);
    is_locked_by::<Purchase, reading::Purchase>(&[]);
    let database = D::migrated();
    let conn = &mut database.connect();
    in_each_state::<D>(conn);
    complete::<D>(conn, &[&|| order::worker(&database), &|| reader(&database)]);

    in_each_state::<D>(conn);
    purchase("new").create(conn).expect("created");
    let left = |conn: &mut D::Conn| {
        let checked = check::<(Purchase,)>(conn).decode().run().expect("checked");
        assert!(checked.is_clean(), "{checked}");
        let [alias] = &*checked.aliases else { panic!("one alias: {checked}") };
        assert_eq!((&*alias.name, &*alias.now), ("order", "purchase"));
        (checked.records, alias.records)
    };
    assert_eq!(left(conn), (8, 14), "seven of them have ended");
    complete::<D>(conn, &[&|| reader(&database), &|| writer(&database)]);
    assert_eq!((named::<D>(conn, "order"), named::<D>(conn, "purchase")), (14, 1));

    // the alias goes when the last of them is purged
    let purge = flowstate_diesel::Purge::older_than(std::time::Duration::ZERO).of::<Purchase>();
    assert_eq!(purge.run(conn).expect("purged"), 15);
    assert_eq!(left(conn), (0, 0));
}

/// Back again: what was created under the new name is taken up by the version before.
pub fn a_flow_is_given_back_its_name<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    register::<(Order,)>("shop 1", conn).expect("registered");
    in_each_state::<D>(conn);
    let new = purchase("new").create(conn).expect("created");
    let claim = claim_next(Purchase::CHARGE, conn).expect("no error").expect("a claim");
    claim.release(conn).expect("released");
    // one that does not read the new name does not know of the record, and the check says nothing
    for _ in 0..3 {
        order::worker(&database).run_until_idle().expect("idle");
        testing::make_everything_due(conn).expect("due");
    }
    let known = registry(conn).expect("read");
    let checked = Check::against(known.graph("order").cloned(), conn).run().expect("checked");
    let is_of_it = |found: &Found| matches!(found, Found::UnknownState { .. });
    assert!(!checked.findings.iter().any(is_of_it), "{checked}");
    assert_eq!(order::open::<D>(conn), 1);
    assert!(Order::find(new.id(), conn).is_err());
    complete::<D>(conn, &[&|| reader(&database)]);
}

/// Whatever asks for records finds those of the former name, and moves them under it.
pub fn records_of_a_former_name_are_found<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let keyed = Order { item: "hat".to_owned() }.create_once("key", conn).expect("created");
    let single = Order { item: "cap".to_owned() }.create_single("key", conn).expect("created");
    let ids = [keyed.into_record().id(), single.into_record().id()];
    let new = purchase("new").create(conn).expect("created").id();

    let again = purchase("hat").create_once("key", conn).expect("found");
    assert!(!again.is_created() && again.into_record().id() == ids[0]);
    let again = purchase("cap").create_single("key", conn).expect("found");
    assert!(!again.is_created() && again.into_record().id() == ids[1]);
    assert!(purchase("new").create_once("new", conn).expect("created").is_created());
    let by_key = Purchase::find_by_key("key", conn).expect("found").expect("one");
    let single = Purchase::find_single("key", conn).expect("found").expect("one");
    assert_eq!([by_key.id(), single.id()], ids);

    let pending = [writing::PurchaseState::Pending];
    let mut listed = Vec::new();
    let mut page = flowstate_diesel::Page::first(1);
    while let Some(record) = Purchase::list(pending, page, conn).expect("listed").pop() {
        page = flowstate_diesel::Page::after(record.id(), 1);
        listed.push(record.id());
    }
    assert_eq!(listed, [ids[0], ids[1], new, new + 1], "each once, in order");
    let counts = Purchase::count_by_state(u32::MAX, conn).expect("counted");
    assert_eq!(counts.iter().map(|count| count.records).collect::<Vec<_>>(), [4]);
    let (mut queried, mut after) = (Vec::new(), None);
    loop {
        let found = Purchase::query().page(1, after).load(conn).expect("found");
        queried.extend(found.records.iter().map(|record| record.id()));
        after = found.next;
        if after.is_none() {
            break;
        }
    }
    queried.sort_unstable();
    assert_eq!(queried, listed);

    let claim = claim_next(Purchase::CHARGE, conn).expect("no error").expect("a claim");
    assert_eq!(claim.id(), ids[0], "those of the former name first");
    claim.finish(writing::Receipt { cents: 7 }, conn).expect("finished");
    let mut record = Purchase::find(ids[0], conn).expect("found");
    record.transition(Purchase::REVIEW, conn).run().expect("at once");
    let request = record.transition(Purchase::START_SHIP, conn);
    request.update(|props| "two hats".clone_into(&mut props.item)).run().expect("under the lock");
    flowstate_diesel::transaction(conn, |conn| {
        record.transition(Purchase::FINISH_SHIP, conn).run()
    })
    .expect("in a transaction");
    record.reload(conn).expect("read");
    assert_eq!(record.history(conn).expect("read").len(), 6);
    assert_eq!(record.artefacts(conn).expect("read").len(), 1);
    let receipt = record.artefact::<writing::Receipt>(conn).expect("read").expect("one");
    assert_eq!((receipt.cents, &*record.item), (7, "two hats"));
    assert!(record.outcome(conn).expect("read").is_some());
    let pool = database.pool(1);
    let awaited = Purchase::await_outcome(ids[0], std::time::Duration::ZERO, &pool);
    assert!(awaited.expect("read").is_some());
    assert_eq!(named::<D>(conn, "order"), 2, "as they were");
    let mut other = Purchase::find(ids[1], conn).expect("found");
    other.destroy(conn).expect("deleted");
    assert!(Purchase::find(ids[1], conn).is_err());
    crate::check::clean(conn);
}

/// A try that follows on one of the version before has its idempotency key.
pub fn a_renamed_flow_keeps_its_idempotency_keys<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    Order { item: "hat".to_owned() }.create(conn).expect("created");
    let claim = claim_next(Order::CHARGE, conn).expect("no error").expect("a claim");
    let key = claim.idempotency_key();
    claim.fail(StepError::from("the bank is closed"), conn).expect("failed");
    testing::make_everything_due(conn).expect("due");
    let seen = Arc::new(Mutex::new(String::new()));
    let told = Arc::clone(&seen);
    let worker = Worker::new(database.pool(2)).step(Purchase::CHARGE, move |claim, ()| {
        *told.lock().expect("whole") = claim.idempotency_key();
        Ok(writing::Receipt { cents: 1 })
    });
    let stats = worker.run_until_idle().expect("idle");
    assert_eq!((stats.finished, seen.lock().expect("whole").clone()), (1, key));
}

/// The bound on how many are at work at once holds over the names of a flow.
pub fn concurrency_is_kept_over_the_names<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    for _ in 0..3 {
        Order { item: "hat".to_owned() }.create(conn).expect("created");
        purchase("cap").create(conn).expect("created");
    }
    let (gate, now, most) = (Gate::new(), AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let worker = Worker::new(database.pool(2))
        .step(Purchase::CHARGE.concurrency(2), {
            let (gate, most) = (Arc::clone(&gate), Arc::clone(&most));
            move |_, ()| {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                gate.pass();
                now.fetch_sub(1, Ordering::SeqCst);
                Ok(writing::Receipt { cents: 1 })
            }
        })
        .threads(6);
    let running = worker.start().expect("started");
    gate.wait_for(2);
    gate.open();
    while running.stats().finished < 6 {
        std::thread::yield_now();
    }
    assert_eq!(most.load(Ordering::SeqCst), 2);
    running.shutdown(std::time::Duration::from_mins(1)).expect("stopped");
}
