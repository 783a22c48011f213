//! Operators against workers.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::r2d2::{ConnectionManager, Pool};
use flowstate::Flow;
use flowstate_diesel::operator::{
    Action, Error, Filter, Refusal, Wish, act, list, plan, register, registry, show,
};
use flowstate_diesel::{Backoff, Worker, claim_next, prelude::*};
use serde::{Deserialize, Serialize};

use super::worker::bad_rows::refuse_updates;
use crate::Database;
use crate::check::clean;
use crate::flows::Sync;
use crate::gate::Gate;
use crate::steps::picked;

/// Something that is carried, and dropped now and then.
#[derive(Flow, Serialize, Deserialize, Debug)]
#[state(Waiting, Carrying, Dropped(error), Delivered, Cancelled)]
#[initial(Waiting)]
#[completed(Delivered, Cancelled)]
#[step(carry: Waiting | Dropped => Carrying => Delivered, fail(Dropped))]
#[transition(cancel: * => Cancelled, operator)]
pub struct Haul {}

/// How many of each there are, and how many wishes each operator has at the least. They go on for as
/// many seconds as `FLOWSTATE_SECONDS` says.
const WORKERS: u64 = 8;
const OPERATORS: u64 = 3;
const WISHES: usize = 60;
const RECORDS: usize = 40;

/// By then each action has been done and refused, or something is wrong.
const PATIENCE: Duration = Duration::from_mins(1);

/// What became of wishes: how many were done, and how many refused, by the verb of the action.
type Tally = Mutex<BTreeMap<&'static str, [usize; 2]>>;

fn worker<D: Database>(
    pool: Pool<ConnectionManager<D::Conn>>,
) -> Worker<ConnectionManager<D::Conn>> {
    let step = Haul::CARRY.retry(Backoff::fixed(Duration::from_millis(1)).attempts(2));
    let tries = AtomicUsize::new(0);
    Worker::new(pool).program("carrier", "1.0").step(step, move |_, ()| {
        if tries.fetch_add(1, Ordering::Relaxed).is_multiple_of(3) {
            Ok(())
        } else {
            Err("heavy".into())
        }
    })
}

/// Workers go on while operators retry, take, force and release at random: nothing is torn, each wish
/// is now done and now refused, and whoever is refused is told why.
pub fn operators_and_workers_do_not_tear_anything<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    register::<(Haul,)>("carrier 1.0", conn).expect("registered");
    let ids: Vec<_> = (0..RECORDS).map(|_| Haul {}.create(conn).expect("created").id()).collect();
    let pool = database.pool(10);
    let start = |_| worker::<D>(pool.clone()).start().expect("started");
    let running: Vec<_> = (0..WORKERS).map(start).collect();
    let tally = Tally::default();
    thread::scope(|scope| {
        for operator in 0..OPERATORS {
            let (ids, tally, database) = (&ids, &tally, &database);
            scope.spawn(move || operate::<D>(&mut database.connect(), operator, ids, tally));
        }
    });
    for worker in running {
        worker.shutdown(Duration::from_secs(30)).expect("stopped");
    }
    assert!(is_full(&tally), "not everything was done and refused: {tally:?}");
    clean(conn);
    for id in ids {
        let history = show(id, conn).expect("shown").history;
        let by_hand = history.iter().filter(|row| row.transition.starts_with("operator."));
        by_hand.for_each(|row| assert!(row.actor.is_some() && row.metadata.is_some(), "{row:?}"));
    }
}

/// Whether each of the four actions was done, and refused.
fn is_full(tally: &Tally) -> bool {
    let tally = tally.lock().expect("no panic");
    tally.len() == 4 && tally.values().flatten().all(|count| *count > 0)
}

/// One operator's wishes, until they are enough and each kind has had each end.
fn operate<D: Database>(conn: &mut D::Conn, operator: u64, ids: &[i64], tally: &Tally) {
    let mut random = fastrand::Rng::with_seed(operator);
    let wish = Wish::new(format!("operator {operator}"), "at random").expect("a wish");
    let seconds = std::env::var("FLOWSTATE_SECONDS").ok().and_then(|text| text.parse().ok());
    let least = Duration::from_secs(seconds.unwrap_or_default());
    let (begin, mut wishes) = (Instant::now(), 0);
    while begin.elapsed() < least
        || ((wishes < WISHES || !is_full(tally)) && begin.elapsed() < least + PATIENCE)
    {
        wishes += 1;
        let id = *random.choice(ids).expect("an id");
        let (id, action) = wished::<D>(conn, id, &mut random);
        let end = match act(&action, id, &wish, conn) {
            Ok(_) => 0,
            Err(Error::Refused { .. }) => 1,
            Err(Error::Failed(error)) if error.is_conflict() => continue,
            Err(other) => panic!("{action:?} of {id}: {other:?}"),
        };
        tally.lock().expect("no panic").entry(action.verb()).or_default()[end] += 1;
    }
}

/// What is wished at random, of this record or of another one.
fn wished<D: Database>(conn: &mut D::Conn, id: i64, random: &mut fastrand::Rng) -> (i64, Action) {
    let states = ["waiting", "carrying", "dropped", "delivered", "nowhere"];
    match random.u8(..8) {
        0 | 1 => (id, Action::Retry),
        // rarely: it is an end
        2 if random.u8(..4) == 0 => (id, Action::Take { transition: "cancel".to_owned() }),
        3 | 4 => {
            (id, Action::Force { state: (*random.choice(states).expect("a state")).to_owned() })
        }
        // of a program that has died with it: a conflict has claimed nothing
        5 => {
            let claim = claim_next(Haul::CARRY, conn).ok().flatten();
            let id = claim.map_or(id, |claim| claim.id());
            (id, Action::Release { gone: holder::<D>(conn, id) })
        }
        _ => (id, Action::Release { gone: holder::<D>(conn, id) }),
    }
}

/// Who has claimed a record.
fn holder<D: Database>(conn: &mut D::Conn, id: i64) -> Option<String> {
    let one = Filter { ids: vec![id], ..Filter::default() };
    let mut found = list(&one, None, 1, conn).expect("listed").records;
    found.pop()?.leased_by
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

/// Of many records one that the database refuses to move, or that somebody keeps locked, keeps no other:
/// it is named with the database's words.
pub fn a_record_that_cannot_be_moved_keeps_no_other<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    register::<(Sync,)>("shop 1", conn).expect("registered");
    let ids: Vec<_> = (0..20).map(|n| picked::<D>(conn, &format!("{n}"))).collect();
    refuse_updates::<D>(conn, &format!("NEW.id = {}", ids[7]));
    let filter = Filter { flow: Some("sync".to_owned()), ..Filter::default() };
    let force = Action::Force { state: "fetched".to_owned() };
    let planned = plan(&filter, force, conn).expect("planned");
    let other = &mut database.connect();
    let locks = D::FOLDER != "sqlite" && !D::IS_ISOLATED;
    if locks {
        let sql = format!("BEGIN; UPDATE flowstate_flows SET flow = flow WHERE id = {}", ids[3]);
        other.batch_execute(&sql).expect("locked");
    }
    let wish = Wish::new("anna", "they were fetched by hand").expect("a wish");
    let report = planned.run(&wish, conn, |_| {}).expect("run");
    let kept = if locks { vec![ids[3], ids[7]] } else { vec![ids[7]] };
    assert_eq!(report.moved.len(), 20 - kept.len());
    let refused = report.refused.iter().map(|error| match error {
        Error::NotDone { id, source, .. } => (*id, source.to_string(), &**source),
        other => panic!("{other:?}"),
    });
    let refused: Vec<_> = refused.collect();
    assert_eq!(refused.iter().map(|(id, ..)| *id).collect::<Vec<_>>(), kept);
    let last = refused.last().and_then(|(.., source)| std::error::Error::source(source));
    assert!(last.is_some_and(|said| said.to_string().contains("not this one")), "{refused:?}");
    clean(conn);
}
