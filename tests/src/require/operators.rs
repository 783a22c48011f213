//! Operators against workers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use diesel::r2d2::{ConnectionManager, Pool};
use flowstate::Flow;
use flowstate_diesel::operator::{
    Action, Error, Filter, Refusal, Wish, act, list, register, registry, show,
};
use flowstate_diesel::{Backoff, Worker, prelude::*};
use serde::{Deserialize, Serialize};

use crate::Database;
use crate::check::clean;
use crate::gate::Gate;

/// Something that is carried, and dropped now and then.
#[derive(Flow, Serialize, Deserialize, Debug)]
#[state(Waiting, Carrying, Dropped(error), Delivered, Cancelled)]
#[initial(Waiting)]
#[completed(Delivered, Cancelled)]
#[step(carry: Waiting | Dropped => Carrying => Delivered, fail(Dropped))]
#[transition(cancel: * => Cancelled, operator)]
pub struct Haul {}

/// How many operators there are, and how many wishes each has. By hand, `FLOWSTATE_WISHES` gives
/// another number: 20,000 take about half a minute.
const OPERATORS: u64 = 3;
const WISHES: usize = 60;
const RECORDS: usize = 40;

fn worker<D: Database>(
    pool: Pool<ConnectionManager<D::Conn>>,
) -> Worker<ConnectionManager<D::Conn>> {
    let step = Haul::CARRY.retry(Backoff::fixed(Duration::from_millis(1)).attempts(2));
    let tries = AtomicUsize::new(0);
    Worker::new(pool).program("carrier", "1.0").threads(8).step(step, move |_, ()| {
        if tries.fetch_add(1, Ordering::Relaxed).is_multiple_of(3) {
            Ok(())
        } else {
            Err("heavy".into())
        }
    })
}

/// Workers go on while operators retry, take, force and release at random: nothing is torn, and
/// whoever is refused is told why.
pub fn operators_and_workers_do_not_tear_anything<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    register::<(Haul,)>("carrier 1.0", conn).expect("registered");
    let ids: Vec<_> = (0..RECORDS).map(|_| Haul {}.create(conn).expect("created").id()).collect();
    let wishes = std::env::var("FLOWSTATE_WISHES").ok().and_then(|text| text.parse().ok());
    let running = worker::<D>(database.pool(9)).start().expect("started");
    let done = AtomicUsize::new(0);
    thread::scope(|scope| {
        for operator in 0..OPERATORS {
            let (ids, done, database) = (&ids, &done, &database);
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(operator);
                let wish = Wish::new(format!("operator {operator}"), "at random").expect("a wish");
                let conn = &mut database.connect();
                for _ in 0..wishes.unwrap_or(WISHES) {
                    let id = *random.choice(ids).expect("an id");
                    let action = action::<D>(conn, id, &mut random);
                    match act(&action, id, &wish, conn) {
                        Ok(_) => drop(done.fetch_add(1, Ordering::Relaxed)),
                        Err(Error::Refused { .. }) => {}
                        Err(Error::Failed(error)) if error.is_conflict() => {}
                        Err(other) => panic!("{action:?} of {id}: {other:?}"),
                    }
                }
            });
        }
    });
    running.shutdown(Duration::from_secs(30)).expect("stopped");
    assert!(done.load(Ordering::Relaxed) > 0, "no wish came true");
    clean(conn);
    for id in ids {
        let history = show(id, conn).expect("shown").history;
        let by_hand = history.iter().filter(|row| row.transition.starts_with("operator."));
        by_hand.for_each(|row| assert!(row.actor.is_some() && row.metadata.is_some(), "{row:?}"));
    }
}

fn action<D: Database>(conn: &mut D::Conn, id: i64, random: &mut fastrand::Rng) -> Action {
    let states = ["waiting", "carrying", "dropped", "delivered"];
    match random.u8(..4) {
        0 => Action::Retry,
        // rarely: it is an end
        1 if random.u8(..8) == 0 => Action::Take { transition: "cancel".to_owned() },
        2 => Action::Force { state: (*random.choice(states).expect("a state")).to_owned() },
        _ => Action::Release { gone: show(id, conn).expect("shown").standing.leased_by },
    }
}

/// A worker is there while it runs, with what it serves, and its claims are not taken from it; one that
/// ends as it should leaves nothing.
pub fn a_worker_is_seen_while_it_runs<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let gate = Gate::new();
    let handler = gate.clone();
    let running =
        Worker::new(database.pool(2)).program("carrier", "1.0").step(Haul::CARRY, move |_, ()| {
            handler.pass();
            Ok(())
        });
    let running = running.start().expect("started");
    let id = Haul {}.create(conn).expect("created").id();
    gate.wait_for(1);
    Gate::new().wait_for_one(|| registry(conn).expect("read").workers.len() == 1);
    let known = registry(conn).expect("read");
    let [worker] = &*known.workers else { panic!("{known:?}") };
    assert!(worker.is_alive && worker.serves("haul", "dropped"), "{worker:?}");
    assert_eq!((&*worker.program, &*worker.version, worker.threads), ("carrier", "1.0", 1));
    assert!(known.graph("haul").is_some());
    let wish = Wish::new("anna", "impatience").expect("a wish");
    let refused = act(&Action::Release { gone: None }, id, &wish, conn).unwrap_err();
    assert!(
        matches!(&refused, Error::Refused { refusal: Refusal::HolderLives { holder, .. }, .. }
            if *holder == worker.id),
        "{refused}"
    );
    gate.open();
    running.shutdown(Duration::from_secs(30)).expect("stopped");
    assert!(registry(conn).expect("read").workers.is_empty());
    let filter = Filter { stuck: true, ..Filter::default() };
    assert!(list(&filter, None, 10, conn).expect("listed").records.is_empty());
    clean(conn);
}
