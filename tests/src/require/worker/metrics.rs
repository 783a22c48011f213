//! What is counted, under names that stay: those of `docs/observing.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use diesel::result::DatabaseErrorKind;
use flowstate_diesel::operator::{Action, Error as Refused, Filter, Wish, act, plan, register};
use flowstate_diesel::{Error, Purge, StepError, Worker, claim_next, prelude::*, reap, testing};
use serde_json::json;

use crate::flows::{Job, Letter, Response, Sync};
use crate::metrics_capture::Numbers;
use crate::require::operator::{Parcel, parcel};
use crate::statement_probe::Probe;
use crate::steps::picked;
use crate::{Database, child, fetch_step, send_step};

/// What each is and its labels, as the page has them.
fn documented() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/observing.md");
    let page = std::fs::read_to_string(file).expect(file);
    let rows = page.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `flowstate_")?.split(" | ");
        let name = format!("flowstate_{}", cells.next()?.trim_end_matches('`'));
        let (kind, labels) = (cells.next()?.to_owned(), cells.next()?);
        let labels = labels.split(", ").map(|label| label.trim_matches('`').to_owned());
        Some((name, (kind, labels.collect())))
    });
    rows.collect()
}

/// Each is told as the page says, in a process of its own, where all threads are heard.
pub fn what_is_counted_is_documented<D: Database>() {
    let ended = child::run::<D>("metrics", &D::migrated().url());
    assert!(ended.status.success(), "{ended:?}");
}

/// The child of the former.
pub fn metrics_in_child<D: Database>(url: &str) {
    let numbers = Numbers::start();
    let conn = &mut D::connect_to(url);
    calls::<D>(conn, &numbers);
    conflict::<D>(conn);
    assert!(numbers.all().iter().any(|(series, count)| {
        series.starts_with("flowstate_conflicts_total{") && *count >= 1.0
    }));
    by_hand::<D>(conn, &numbers);
    operators::<D>(conn, &numbers);
    worker::<D>(url, conn, &numbers);
    let kinds = numbers.kinds().into_iter();
    let told: BTreeMap<_, _> =
        kinds.map(|(name, (kind, labels))| (name, (kind.to_owned(), labels))).collect();
    assert_eq!(told, documented(), "what is told, and docs/observing.md");
    assert_eq!(numbers.described(), told.into_keys().collect(), "each in words");
}

/// How often a transition was asked for.
fn taken(numbers: &Numbers, flow: &str, transition: &str, outcome: &str) -> f64 {
    let labels = format!("flow={flow},outcome={outcome},transition={transition}");
    numbers.of(&format!("flowstate_transitions_total{{{labels}}}")).unwrap_or_default()
}

/// Whether it has happened so often.
#[track_caller]
fn count(found: f64, expected: u32) {
    assert!((found - f64::from(expected)).abs() < 0.5, "{found} and not {expected}");
}

/// Transitions of callers: what is committed counts as done, each time, and nothing else.
fn calls<D: Database>(conn: &mut D::Conn, numbers: &Numbers) {
    let mut job = Job::new("a").create(conn).expect("created");
    Job::create_many([Job::new("b"), Job::new("c")], conn).expect("created");
    for _ in 0..2 {
        Job::new("d").create_once("key", conn).expect("once");
    }
    count(taken(numbers, "job", "flow.create", "done"), 4);
    job.transition(Job::WORK, conn).then(Job::FAIL).run().expect("both");
    job.transition(Job::PARK, conn).run().expect_err("invalid");
    job.transition(Job::WORK, conn).guard("no", |_, _| false).run().expect_err("rejected");
    let undone = flowstate_diesel::transaction(conn, |conn| {
        job.transition(Job::WORK, conn).run()?;
        conn.transaction(|conn| job.transition(Job::FAIL, conn).run())?;
        count(taken(numbers, "job", "work", "done"), 1);
        Err::<(), _>(Error::Body { source: "undone".into() })
    });
    undone.expect_err("undone");
    let done = flowstate_diesel::transaction(conn, |conn| {
        job.transition(Job::WORK, conn).guard("yes", |_, _| true).run()?;
        count(taken(numbers, "job", "work", "done"), 1);
        Ok(())
    });
    done.expect("done");
    count(taken(numbers, "job", "work", "done"), 2);
    // nobody sees the commit of others
    conn.transaction(|conn| job.transition(Job::FAIL, conn).run()).expect("failed");
    count(taken(numbers, "job", "fail", "done"), 2);
    job.destroy(conn).expect("destroyed");
    for (transition, outcome) in
        [("park", "invalid"), ("work", "rejected"), ("flow.destroy", "done")]
    {
        count(taken(numbers, "job", transition, outcome), 1);
    }
}

/// A transaction that runs again.
fn conflict<D: Database>(conn: &mut D::Conn) {
    let mut tries = 0;
    flowstate_diesel::transaction(conn, |_| {
        tries += 1;
        if tries == 1 {
            // as each database says it: PostgreSQL by the kind, the others by the text
            let text = match D::FOLDER {
                "mysql" => "Lock wait timeout exceeded",
                _ => "database is locked",
            };
            let kind = DatabaseErrorKind::SerializationFailure;
            let said = Box::new(text.to_owned());
            return Err(diesel::result::Error::DatabaseError(kind, said).into());
        }
        Ok(())
    })
    .expect("committed");
    assert_eq!(tries, 2);
}

/// Claims by hand: one that is lost, one whose holder is dead.
fn by_hand<D: Database>(conn: &mut D::Conn, numbers: &Numbers) {
    picked::<D>(conn, "a");
    let step = fetch_step!();
    let lost = claim_next(&step, conn).expect("no error").expect("a claim");
    testing::expire_leases(conn).expect("expired");
    assert_eq!(reap(&step, conn).expect("reaped"), 1);
    lost.finish(Response(json!(1)), conn).expect_err("lost");
    testing::make_everything_due(conn).expect("due");
    let failed = claim_next(&step, conn).expect("no error").expect("a claim");
    failed.fail(StepError::permanent("no"), conn).expect("failed");
    for name in ["leases_expired", "claims_lost", "give_ups"] {
        let series = format!("flowstate_{name}_total{{flow=sync,step=fetch}}");
        count(numbers.of(&series).unwrap_or_default(), 1);
    }
    count(taken(numbers, "sync", "start_fetch", "done"), 2);
    count(taken(numbers, "sync", "fail_fetch", "done"), 2);
}

/// What operators do by name, as their history has it, and a purge: when it is committed.
fn operators<D: Database>(conn: &mut D::Conn, numbers: &Numbers) {
    register::<(Parcel, Letter)>("shop 1", conn).expect("registered");
    let wish = Wish::new("anna", "the van was found").expect("a wish");
    let id = parcel(conn);
    let transition = |name: &str| Action::Take { transition: name.to_owned() };
    let state = |name: &str| Action::Force { state: name.to_owned() };
    let undone = flowstate_diesel::transaction(conn, |conn| {
        act(&Action::Retry, id, &wish, conn)
            .map_err(|error| Error::Body { source: error.into() })?;
        Err::<(), _>(Error::Body { source: "undone".into() })
    });
    undone.expect_err("undone");
    act(&Action::Retry, id, &wish, conn).expect("retried");
    act(&transition("find"), id, &wish, conn).expect("taken");
    let refused = act(&transition("forget"), id, &wish, conn).expect_err("not from there");
    assert!(matches!(refused, Refused::Refused { .. }), "{refused}");
    let filter = Filter { flow: Some("parcel".to_owned()), ..Filter::default() };
    parcel(conn);
    let planned = plan(&filter, state("shipped"), conn).expect("planned");
    assert_eq!(planned.run(&wish, conn, |_| {}).expect("run").moved.len(), 2);
    let gone = parcel(conn);
    act(&transition("forget"), gone, &wish, conn).expect("deleted");
    Letter {}.create(conn).expect("created");
    let claim = claim_next(send_step!(), conn).expect("no error").expect("a claim");
    let id = claim.id();
    drop(claim);
    testing::expire_leases(conn).expect("expired");
    act(&Action::Release { gone: None }, id, &wish, conn).expect("released");
    assert_eq!(Purge::older_than(Duration::ZERO).of::<Parcel>().run(conn).expect("purged"), 2);
    for (flow, transition, times) in [
        ("parcel", "operator.retry", 1),
        ("parcel", "find", 1),
        ("parcel", "operator.force", 2),
        ("parcel", "forget", 1),
        ("letter", "operator.release", 1),
        ("parcel", "flow.purge", 2),
    ] {
        count(taken(numbers, flow, transition, "done"), times);
    }
}

/// A worker, which also says how many records are where.
fn worker<D: Database>(url: &str, conn: &mut D::Conn, numbers: &Numbers) {
    for name in ["fine", "failing", "panicking", "early"] {
        picked::<D>(conn, name);
    }
    Sync::new("waits").create(conn).expect("created");
    let worker = || {
        let lease = Duration::from_secs(1);
        Worker::new(D::probed_pool(url, 2, Probe::new(|_| {}))).step(
            fetch_step!().lease(lease),
            |claim, ()| match &*claim.record_id {
                "failing" => Err(StepError::permanent("it fails")),
                "early" => Err(StepError::not_yet(Duration::from_hours(1))),
                name => {
                    assert_ne!(name, "panicking", "as it is told");
                    Ok(Response(json!(1)))
                }
            },
        )
    };
    worker().run_until_idle().expect("ran");
    let handled = |outcome| {
        let labels = format!("flow=sync,outcome={outcome},step=fetch");
        numbers.of(&format!("flowstate_handler_duration_seconds{{{labels}}}"))
    };
    let records = |state| numbers.of(&format!("flowstate_records{{flow=sync,state={state}}}"));
    assert_eq!(records("fetched"), None, "by a worker that stays");
    let served = worker().step(send_step!(), |_, ()| Ok(()));
    let running = served.start().expect("started");
    for name in ["leases_expired", "claims_lost", "give_ups"] {
        let series = format!("flowstate_{name}_total{{flow=letter,step=send}}");
        count(numbers.of(&series).expect("told before it happens"), 0);
    }
    while numbers.of("flowstate_records_stuck{flow=sync}").is_none() {
        std::thread::yield_now();
    }
    running.shutdown(Duration::from_mins(1)).expect("stopped");
    for outcome in ["finished", "failed", "panicked", "put_off"] {
        count(handled(outcome).unwrap_or_default(), 1);
    }
    for (state, expected) in
        [("pending", 1), ("picked", 1), ("failed_to_fetch", 3), ("fetched", 1), ("completed", 0)]
    {
        count(records(state).expect(state), expected);
    }
    count(numbers.of("flowstate_records_stuck{flow=sync}").expect("counted"), 2);
    let due =
        |state| numbers.of(&format!("flowstate_oldest_due_seconds{{flow=sync,state={state}}}"));
    assert!(due("pending").expect("counted") > 0.0, "nobody picks it");
    count(due("picked").expect("counted"), 0);
}
