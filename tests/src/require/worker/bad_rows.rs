//! One bad row, and what is done to the others of its batch.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use flowstate_diesel::{Error, Worker, claim_next, operator, prelude::*, testing};
use serde_json::json;

use crate::check::clean;
use crate::flows::{Letter, Response, Sync, SyncState, Ticket};
use crate::gate::Gate;
use crate::statement_probe::Probe;
use crate::steps::{leased, picked, picked_together, waiting_at};
use crate::{Database, fetch_step, refused, send_step};

/// Has the database refuse every update of a row of which `when` is true.
pub fn refuse_updates<D: Database>(conn: &mut D::Conn, when: &str) {
    let sql = match D::FOLDER {
        "sqlite" => format!(
            "CREATE TRIGGER not_this_one BEFORE UPDATE ON flowstate_flows WHEN {when} \
             BEGIN SELECT RAISE(ABORT, 'not this one'); END"
        ),
        "mysql" => format!(
            "CREATE TRIGGER not_this_one BEFORE UPDATE ON flowstate_flows FOR EACH ROW \
             IF {when} THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not this one'; END IF"
        ),
        _ => format!(
            "CREATE FUNCTION refuse_update() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'not this one'; END $$; \
             CREATE TRIGGER not_this_one BEFORE UPDATE ON flowstate_flows FOR EACH ROW \
             WHEN ({when}) EXECUTE FUNCTION refuse_update()"
        ),
    };
    conn.batch_execute(&sql).expect("a trigger");
}

/// Has the database skip every update of a row of which `when` is true, without a word.
fn skip_updates<D: Database>(conn: &mut D::Conn, when: &str) {
    let sql = match D::FOLDER {
        "sqlite" => format!(
            "CREATE TRIGGER not_this_one BEFORE UPDATE ON flowstate_flows WHEN {when} \
             BEGIN SELECT RAISE(IGNORE); END"
        ),
        _ => format!(
            "CREATE FUNCTION skip_update() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RETURN NULL; END $$; \
             CREATE TRIGGER not_this_one BEFORE UPDATE ON flowstate_flows FOR EACH ROW \
             WHEN ({when}) EXECUTE FUNCTION skip_update()"
        ),
    };
    conn.batch_execute(&sql).expect("a trigger");
}

/// Fetches ten records of which some cannot be claimed.
fn fetch_others<D: Database>(hinder: impl FnOnce(&mut D::Conn, &[i64])) {
    let database = D::migrated();
    let conn = &mut database.connect();
    let ids: Vec<_> = (0..10).map(|n| picked::<D>(conn, &format!("{n}"))).collect();
    hinder(conn, &ids);
    let stats = Worker::new(database.pool(2))
        .step(fetch_step!(), |_, ()| Ok(Response(json!(1))))
        .threads(4)
        .run_until_idle()
        .expect("idle");
    assert_eq!((stats.finished, stats.failed, stats.running), (8, 0, 0));
    let waiting = "SELECT COUNT(*) FROM flowstate_flows WHERE state = 'picked' AND attempts = 0";
    assert_eq!(D::number(conn, waiting), 2, "what cannot be claimed is as it was");
    // by hand as well
    assert!(claim_next(fetch_step!(), conn).expect("no error").is_none(), "the others are refused");
    let id = picked::<D>(conn, "later");
    let claim = claim_next(fetch_step!(), conn).expect("no error").expect("behind them");
    assert_eq!(claim.id(), id);
    claim.finish(Response(json!(1)), conn).expect("finished");
    clean(conn);
}

/// Records whose claim the database refuses are passed over, and keep no other from being claimed.
pub fn a_claim_that_is_refused_keeps_no_other<D: Database>() {
    fetch_others::<D>(|conn, ids| {
        let when = format!("NEW.id IN ({}, {}) AND NEW.state = 'fetching'", ids[0], ids[5]);
        refuse_updates::<D>(conn, &when);
    });
}

/// Records whose claim the database skips without a word are passed over as well.
pub fn a_claim_that_is_skipped_keeps_no_other<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let ids: Vec<_> = (0..10).map(|n| picked::<D>(conn, &format!("{n}"))).collect();
    let skipped: Vec<_> = ids[..5].iter().map(i64::to_string).collect();
    let when = format!("NEW.id IN ({}) AND NEW.state = 'fetching'", skipped.join(", "));
    skip_updates::<D>(conn, &when);
    let stats = Worker::new(database.pool(2))
        .step(fetch_step!(), |_, ()| Ok(Response(json!(1))))
        .threads(4)
        .run_until_idle()
        .expect("idle");
    assert_eq!((stats.finished, stats.failed, stats.running), (5, 0, 0));
    clean(conn);
}

/// What an operator wishes and the database skips without a word is not said to be done, and leaves no
/// trace.
pub fn a_wish_that_is_skipped_is_said<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    operator::register::<(Sync,)>("shop 1", conn).expect("registered");
    let id = picked::<D>(conn, "a");
    skip_updates::<D>(conn, "NEW.state = 'fetched'");
    let wish = operator::Wish::new("anna", "it was fetched by hand").expect("a wish");
    let force = operator::Action::Force { state: "fetched".to_owned() };
    let skipped = operator::act(&force, id, &wish, conn).expect_err("skipped");
    let is_said = matches!(
        &skipped,
        operator::Error::Failed(Error::WriteSkipped { record }) if record.contains("sync")
    );
    assert!(is_said, "{skipped:?}");
    clean(conn);
}

/// A timed transition that the database refuses, since a table of the user's refers to the record that
/// it deletes, keeps neither the other records of its batch, nor other flows, nor expired leases.
pub fn a_timed_transition_that_is_refused_keeps_no_other<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    conn.batch_execute(
        "CREATE TABLE notes (ticket BIGINT NOT NULL, \
         FOREIGN KEY (ticket) REFERENCES flowstate_flows (id))",
    )
    .expect("a table of the user's");
    let tickets: Vec<_> = (0..5).map(|_| Ticket {}.create(conn).expect("created").id()).collect();
    conn.batch_execute(&format!("INSERT INTO notes VALUES ({})", tickets[2])).expect("referred to");
    testing::pass_deadlines(conn).expect("passed");
    picked::<D>(conn, "dead");
    drop(claim_next(fetch_step!(), conn).expect("no error").expect("a claim"));
    testing::expire_leases(conn).expect("expired");
    picked::<D>(conn, "waiting");
    let stats = Worker::new(database.pool(2))
        .step(fetch_step!(), |_, ()| Ok(Response(json!(1))))
        .timed::<Ticket>()
        .threads(2)
        .run_until_idle()
        .expect("idle");
    assert_eq!((stats.timed, stats.reaped, stats.finished), (4, 1, 1));
    let kept = "SELECT id FROM flowstate_flows WHERE flow = 'ticket'";
    assert_eq!(D::number(conn, kept), tickets[2], "the others are deleted");
    clean(conn);
}

/// A claim that cannot be failed over keeps no other from it, neither a worker's nor by hand.
pub fn a_claim_that_cannot_be_failed_over_keeps_no_other<D: Database>() {
    for by_hand in [false, true] {
        let database = D::migrated();
        let conn = &mut database.connect();
        let mut claim = |n: i32| {
            picked::<D>(conn, &format!("{n}"));
            claim_next(fetch_step!(), conn).expect("no error").expect("a claim").id()
        };
        let ids: Vec<_> = (0..5).map(&mut claim).collect();
        let when = format!("NEW.id = {} AND NEW.state = 'failed_to_fetch'", ids[1]);
        refuse_updates::<D>(conn, &when);
        testing::expire_leases(conn).expect("expired");
        let reaped = if by_hand {
            flowstate_diesel::reap(fetch_step!(), conn).expect("reaped")
        } else {
            let worker = Worker::new(database.pool(1));
            let worker = worker.step(fetch_step!(), |_, ()| Ok(Response(json!(1))));
            usize::try_from(worker.run_until_idle().expect("idle").reaped).expect("few")
        };
        assert_eq!(reaped, 4);
        assert_eq!(Sync::find(ids[1], conn).expect("found").state(), SyncState::Fetching);
        clean(conn);
    }
}

/// A claim whose lease cannot be extended keeps no other from being extended.
pub fn a_lease_that_cannot_be_extended_keeps_no_other<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let ids: Vec<_> = (0..4).map(|n| picked::<D>(conn, &format!("{n}"))).collect();
    let when = format!("NEW.id = {} AND OLD.state = 'fetching' AND NEW.state = 'fetching'", ids[2]);
    refuse_updates::<D>(conn, &when);
    let (gate, extended) = (Gate::new(), Gate::new());
    let pool = D::probed_pool(&database.url(), 2, {
        let extended = Arc::clone(&extended);
        Probe::new(move |seen| {
            if seen.ends(&["SET leased_until = "]) && !seen.text.contains("attempts = ") {
                extended.note();
            }
        })
    });
    let running = Worker::new(pool)
        .step(fetch_step!().lease(Duration::from_secs(1)), {
            let gate = Arc::clone(&gate);
            move |_, ()| {
                gate.pass();
                Ok(Response(json!(1)))
            }
        })
        .threads(4)
        .start()
        .expect("started");
    gate.wait_for(4);
    let begun = Instant::now();
    // by then every lease has run out that was not extended
    while begun.elapsed() < Duration::from_secs(2) {
        extended.wait_for(extended.come() + 1);
    }
    let others = flowstate_diesel::reap(fetch_step!(), conn).expect("reaped");
    assert_eq!(others, 1, "only the one has run out");
    gate.open();
    let stats = running.shutdown(Duration::from_mins(1)).expect("stopped");
    assert_eq!((stats.finished, stats.lost), (3, 1));
    clean(conn);
}

/// At a shutdown a claim that cannot be given back keeps no other from it.
pub fn a_claim_that_cannot_be_given_back_keeps_no_other<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let ids: Vec<_> = (0..4).map(|n| picked::<D>(conn, &format!("{n}"))).collect();
    refuse_updates::<D>(conn, &format!("NEW.id = {} AND NEW.state = 'picked'", ids[1]));
    let gate = Gate::new();
    let running = Worker::new(database.pool(2))
        .step(fetch_step!(), waiting_at(&gate))
        .threads(4)
        .start()
        .expect("started");
    gate.wait_for(4);
    let problem = running.shutdown(Duration::ZERO).expect_err("one could not be given back");
    let source = std::error::Error::source(&problem).expect("the database's words");
    let said = source.to_string();
    assert!(said.contains("not this one"), "{said}");
    assert_eq!(leased::<D>(conn), 1, "the others can be claimed at once");
    gate.open();
}

/// A record to which somebody's open transaction refers is passed over by a timed transition that
/// deletes it: it waits for nobody.
pub fn a_timed_transition_waits_for_no_reference<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    conn.batch_execute(
        "CREATE TABLE notes (ticket BIGINT NOT NULL, \
         FOREIGN KEY (ticket) REFERENCES flowstate_flows (id) ON DELETE CASCADE)",
    )
    .expect("a table of the user's");
    let ids: Vec<_> = (0..2).map(|_| Ticket {}.create(conn).expect("created").id()).collect();
    // a failed try for the last time deletes as well
    let letters: Vec<_> = (0..2).map(|_| Letter {}.create(conn).expect("created").id()).collect();
    let step = send_step!().retry(flowstate_diesel::Backoff::fixed(Duration::ZERO).attempts(1));
    for _ in 0..2 {
        drop(claim_next(&step, conn).expect("no error").expect("a claim"));
    }
    testing::expire_leases(conn).expect("expired");
    testing::pass_deadlines(conn).expect("passed");
    let other = &mut database.connect();
    let referred = [ids[0], letters[0]].map(|id| format!("INSERT INTO notes VALUES ({id});"));
    other.batch_execute(&format!("BEGIN; {}", referred.join(" "))).expect("referred to");
    picked::<D>(conn, "waiting");
    let stats = Worker::new(database.pool(2))
        .step(fetch_step!(), |_, ()| Ok(Response(json!(1))))
        .step(&step, |_, ()| Ok(()))
        .timed::<Ticket>()
        .run_until_idle()
        .expect("idle");
    assert_eq!((stats.timed, stats.reaped, stats.finished), (1, 1, 1));
    other.batch_execute("ROLLBACK").expect("rolled back");
    testing::pass_deadlines(conn).expect("passed");
    let stats = Worker::new(database.pool(2)).step(&step, |_, ()| Ok(())).timed::<Ticket>();
    let stats = stats.run_until_idle().expect("idle");
    assert_eq!((stats.timed, stats.reaped), (1, 1), "when nobody refers to it any more");
    clean(conn);
}

/// Of a batch, a record that was cancelled while it waited for its turn never begins.
pub fn a_claim_that_was_lost_while_it_waited_never_begins<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let ids = picked_together::<D>(conn, 3);
    let (gate, begun) = (Gate::new(), Arc::new(Mutex::new(Vec::new())));
    let running = Worker::new(database.pool(2))
        .step(fetch_step!().batch(3), {
            let (gate, begun) = (Arc::clone(&gate), Arc::clone(&begun));
            move |claim, ()| {
                begun.lock().expect("not poisoned").push(claim.id());
                gate.pass();
                Ok(Response(json!(1)))
            }
        })
        .start()
        .expect("started");
    gate.wait_for(1);
    let first = begun.lock().expect("not poisoned")[0];
    let waits = ids.iter().find(|id| **id != first).expect("another one");
    let mut flow = Sync::find(*waits, conn).expect("found");
    assert_eq!(flow.state(), SyncState::Fetching, "it waits in the batch");
    flow.transition(Sync::FAIL_FETCH, conn).delay(Duration::from_hours(1)).run().expect("moved");
    // so long no claim is taken for fresh
    thread::sleep(Duration::from_millis(50));
    gate.open();
    let done = "SELECT COUNT(*) FROM flowstate_flows WHERE state = 'fetched'";
    while D::number(conn, done) < 2 {
        thread::sleep(Duration::from_millis(10));
    }
    let stats = running.shutdown(Duration::from_mins(1)).expect("stopped");
    assert_eq!((stats.finished, stats.failed, stats.lost), (2, 0, 1));
    assert!(!begun.lock().expect("not poisoned").contains(waits), "it was cancelled");
    clean(conn);
}

/// A finish that the database refuses keeps no other from it: what handlers have come to is written
/// together, and the one has failed.
pub fn a_finish_that_is_refused_keeps_no_other<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let ids: Vec<_> = (0..10).map(|n| picked::<D>(conn, &format!("{n}"))).collect();
    refuse_updates::<D>(conn, &format!("NEW.id = {} AND NEW.state = 'fetched'", ids[4]));
    let stats = Worker::new(database.pool(2))
        .step(fetch_step!().batch(10), |_, ()| Ok(Response(json!(1))))
        .threads(4)
        .run_until_idle()
        .expect("idle");
    assert_eq!((stats.finished, stats.failed, stats.lost, stats.running), (9, 1, 0, 0));
    let history = Sync::find(ids[4], conn).expect("found").history(conn).expect("the history");
    let error = history.last().and_then(|row| row.error.clone()).expect("an error");
    assert!(error.contains("not this one"), "{error}");
    clean(conn);
}

/// What a handler has come to is kept while somebody has locked its record, and nothing else waits
/// for that: neither the ends of others, nor what comes after them.
pub fn a_result_outlasts_a_lock<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let ids: Vec<_> = (0..6).map(|n| picked::<D>(conn, &format!("{n}"))).collect();
    let (gate, ran) = (Gate::new(), Gate::new());
    // of one connection a statement that waits would keep everybody else
    let running = Worker::new(database.pool(1))
        .step(fetch_step!().lease(Duration::from_secs(2)), {
            let (gate, ran, locked) = (Arc::clone(&gate), Arc::clone(&ran), ids[0]);
            move |claim, ()| {
                ran.note();
                if claim.id() == locked {
                    gate.pass();
                }
                Ok(Response(json!(1)))
            }
        })
        .threads(2)
        .start()
        .expect("started");
    gate.wait_for(1);
    let other = &mut database.connect();
    let sql = format!("BEGIN; UPDATE flowstate_flows SET flow = flow WHERE id = {}", ids[0]);
    other.batch_execute(&sql).expect("locked");
    gate.open();
    let done = "SELECT COUNT(*) FROM flowstate_flows WHERE state = 'fetched'";
    let others = |conn: &mut D::Conn, all: i64| {
        Gate::new().wait_for_one(|| D::number(conn, done) == all);
    };
    others(conn, 5);
    // longer than the lease, and than a statement waits
    thread::sleep(Duration::from_secs(3));
    assert_eq!(D::number(conn, done), 5);
    other.batch_execute("ROLLBACK").expect("unlocked");
    others(conn, 6);
    let stats = running.shutdown(Duration::from_mins(1)).expect("stopped");
    assert_eq!((stats.finished, stats.failed, stats.lost, ran.come()), (6, 0, 0, 6));
    clean(conn);
}

/// A record whose number of moves goes no further keeps no other of its batch from being claimed.
pub fn one_that_cannot_move_any_more_keeps_no_other<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let ids: Vec<_> = (0..10).map(|n| picked::<D>(conn, &format!("{n}"))).collect();
    let seq = Sync::find(ids[4], conn).expect("found").seq();
    let set = |seq: i64| format!("UPDATE flowstate_flows SET seq = {seq} WHERE id = {}", ids[4]);
    conn.batch_execute(&set(i64::MAX)).expect("set");
    let stats = Worker::new(database.pool(2))
        .step(fetch_step!().batch(10), |_, ()| Ok(Response(json!(1))))
        .threads(4)
        .run_until_idle()
        .expect("idle");
    assert_eq!((stats.finished, stats.failed, stats.running), (9, 0, 0));
    assert!(claim_next(fetch_step!(), conn).expect("no error").is_none());
    let mut flow = Sync::find(ids[4], conn).expect("found");
    refused!(flow.transition(Sync::START_FETCH, conn).run(), Error::Database { .. });
    conn.batch_execute(&set(seq)).expect("as before");
    clean(conn);
}
