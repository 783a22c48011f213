//! Who gets a record, and in what order.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use flowstate_diesel::{Backoff, Error, Worker, claim_next, prelude::*, testing};
use serde_json::json;

use crate::check::clean;
use crate::flows::{Response, Sync, SyncState};
use crate::gate::Gate;
use crate::steps::{leased, picked, picked_together, waiting_at};
use crate::{Database, child, fetch_step, race, refused, save_step};

/// Of 16 threads each record goes to one.
pub fn each_record_is_claimed_once<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let ids: HashSet<_> = (0..40).map(|n| picked::<D>(conn, &format!("r{n}"))).collect();
    // at SERIALIZABLE the server refuses most of so many, however often they try again
    let racers = if D::IS_ISOLATED { 3 } else { 16 };
    let claimed = race::race(racers, |_, barrier| {
        let (conn, step) = (&mut database.connect(), fetch_step!());
        let mut mine = Vec::new();
        barrier.wait();
        while let Some(claim) = claim_next(&step, conn).expect("no error") {
            mine.push(claim.id());
            claim.finish(Response(json!(1)), conn).expect("finished");
        }
        mine
    });
    let claimed: Vec<_> = claimed.into_iter().flatten().collect();
    assert_eq!(claimed.len(), ids.len(), "each once");
    assert_eq!(claimed.into_iter().collect::<HashSet<_>>(), ids);
    clean(conn);
}

/// The oldest due record is claimed first.
pub fn the_oldest_due_comes_first<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let ids: Vec<_> = (0..5).map(|n| picked::<D>(conn, &format!("r{n}"))).collect();
    // the order of their due times, against that of their ids
    for (age, id) in ids.iter().enumerate() {
        let due = format!("2020-01-0{} 00:00:00.000000", 9 - age);
        let sql = format!("UPDATE flowstate_flows SET due_at = '{due}' WHERE id = {id}");
        conn.batch_execute(&sql).expect("older");
    }
    let step = fetch_step!();
    for id in ids.iter().rev() {
        let claim = claim_next(&step, conn).expect("no error").expect("a claim");
        assert_eq!(claim.id(), *id);
        claim.release(conn).expect("released");
        let sql = format!("UPDATE flowstate_flows SET due_at = NULL WHERE id = {id}");
        conn.batch_execute(&sql).expect("out of the way");
    }
}

/// A steady stream into one state from which a step starts keeps no record waiting in another.
pub fn a_retry_waits_behind_no_stream<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let step = fetch_step!().retry(Backoff::fixed(Duration::ZERO).attempts(3));
    let failed = picked::<D>(conn, "failed");
    let claim = claim_next(&step, conn).expect("no error").expect("a claim");
    claim.fail("no", conn).expect("failed");
    let sql = "UPDATE flowstate_flows SET due_at = '2020-01-01 00:00:00.000000'";
    conn.batch_execute(sql).expect("due for long");
    for n in 0..3 {
        picked::<D>(conn, &format!("{n}"));
    }
    let claim = claim_next(&step, conn).expect("no error").expect("a claim");
    assert_eq!(claim.id(), failed, "the oldest due, whatever state it is in");
    claim.release(conn).expect("released");
}

/// Two processes serve the same step, and no record is in both at a time.
pub fn two_processes_never_overlap<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    conn.batch_execute("CREATE TABLE inside (id BIGINT NOT NULL PRIMARY KEY)").expect("a table");
    conn.batch_execute("CREATE TABLE done (id BIGINT NOT NULL)").expect("a table");
    let ids: Vec<_> = (0..40).map(|n| picked::<D>(conn, &format!("r{n}"))).collect();
    let ended = child::run_together::<D>(&["overlap"; 2], &database.url());
    for child in &ended {
        assert!(child.status.success(), "{child:?}");
    }
    for id in ids {
        let flow = Sync::find(id, conn).expect("found");
        assert_eq!(flow.state(), SyncState::Fetched, "{:?}", flow.history(conn));
    }
    assert_eq!(D::number(conn, "SELECT COUNT(*) FROM done"), 40, "each once");
    assert_eq!(D::number(conn, "SELECT COUNT(*) FROM inside"), 0);
    let actors = "SELECT COUNT(DISTINCT actor) FROM flowstate_transitions WHERE actor IS NOT NULL";
    assert!(D::number(conn, actors) <= 2, "a worker a process");
    clean(conn);
}

/// The child of the former.
pub fn overlap_in_child<D: Database>(url: &str) {
    let conns = Mutex::new(D::connect_to(url));
    let pool = D::probed_pool(url, 2, crate::statement_probe::Probe::new(|_| {}));
    child::wait_for_go();
    Worker::new(pool)
        .step(fetch_step!(), move |claim, ()| {
            let (id, mut conn) = (claim.id(), conns.lock().expect("not poisoned"));
            // fails if the other process has it
            conn.batch_execute(&format!("INSERT INTO inside VALUES ({id})"))?;
            conn.batch_execute(&format!("INSERT INTO done VALUES ({id})"))?;
            conn.batch_execute(&format!("DELETE FROM inside WHERE id = {id}"))?;
            Ok(Response(json!(id)))
        })
        .threads(2)
        .run_until_idle()
        .expect("ran");
}

/// A step with many waiting records does not keep another one waiting.
pub fn a_long_queue_starves_nobody<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    for n in 0..30 {
        picked::<D>(conn, &format!("r{n}"));
    }
    let ran = Arc::new(Mutex::new(Vec::new()));
    let (fetched, saved) = (Arc::clone(&ran), Arc::clone(&ran));
    Worker::new(database.pool(2))
        .step(fetch_step!(), move |_, ()| {
            fetched.lock().expect("not poisoned").push("fetch");
            Ok(Response(json!(1)))
        })
        .step(save_step!(), move |_, _| {
            saved.lock().expect("not poisoned").push("save");
            Ok(())
        })
        .run_until_idle()
        .expect("ran");
    let ran = ran.lock().expect("not poisoned");
    assert_eq!(ran.len(), 60);
    let second = ran[..20].iter().filter(|step| **step == "save").count();
    assert!((5..=15).contains(&second), "in turn: {:?}", &ran[..20]);
}

/// `concurrency(n)`: no more at once, however many threads there are.
pub fn concurrency_is_kept<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    for n in 0..8 {
        picked::<D>(conn, &format!("r{n}"));
    }
    let (gate, others) = (Gate::new(), Gate::new());
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let running = Worker::new(database.pool(2))
        .step(fetch_step!().concurrency(2), {
            let (gate, most) = (Arc::clone(&gate), Arc::clone(&most));
            move |_, ()| {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                gate.pass();
                now.fetch_sub(1, Ordering::SeqCst);
                Ok(Response(json!(1)))
            }
        })
        .step(save_step!(), {
            let others = Arc::clone(&others);
            move |_, _| {
                others.note();
                Ok(())
            }
        })
        .threads(6)
        .start()
        .expect("started");
    gate.wait_for(2);
    // the other threads are free: the worker looks for them, and leaves the step alone
    for round in 1..=3 {
        let mut flow = Sync::new("other").create(conn).expect("created");
        flow.transition(Sync::PICK, conn).then(Sync::START_FETCH).run().expect("fetching");
        flow.transition(Sync::FINISH_FETCH, conn).persist(Response(json!(0))).run().expect("done");
        others.wait_for(round);
        while running.stats().finished < u64::try_from(round).expect("small") {
            std::thread::yield_now();
        }
    }
    assert_eq!(running.stats().running, 2);
    gate.open();
    gate.wait_for(8);
    running.shutdown(Duration::from_mins(1)).expect("stopped");
    assert_eq!(most.load(Ordering::SeqCst), 2);
    clean(conn);
}

/// `batch(n)`: so many are claimed at once, for however few threads.
pub fn a_batch_is_claimed_at_once<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    picked_together::<D>(conn, 5);
    let gate = Gate::new();
    let running = Worker::new(database.pool(1))
        .step(fetch_step!().batch(3), waiting_at(&gate))
        .start()
        .expect("started");
    gate.wait_for(1);
    assert_eq!((running.stats().claimed, leased::<D>(conn)), (3, 3));
    gate.open();
    gate.wait_for(5);
    running.shutdown(Duration::from_mins(1)).expect("stopped");
    clean(conn);
}

/// A15: a worker that starts again, with the same configuration on the same host, is somebody else:
/// it does not take its former life's claims for its own.
pub fn a15_a_former_life_is_somebody_else<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let id = picked::<D>(conn, "a");
    let ended = child::run::<D>("die", &database.url());
    assert!(!ended.status.success(), "{ended:?}");
    let again = || {
        let worker = Worker::new(database.pool(1));
        worker.step(fetch_step!(), |_, ()| Ok(Response(json!(1)))).run_until_idle().expect("ran")
    };
    let stats = again();
    assert_eq!((stats.claimed, stats.reaped), (0, 0), "the claim of the dead still holds");
    testing::expire_leases(conn).expect("expired");
    let stats = again();
    assert_eq!((stats.claimed, stats.reaped), (0, 1));
    testing::make_everything_due(conn).expect("due");
    assert_eq!(again().finished, 1);
    // and in one process, which has one id
    let next = picked::<D>(conn, "b");
    assert_eq!(again().finished, 1);
    let mut actors = Vec::new();
    for id in [id, next] {
        let history = Sync::find(id, conn).expect("found").history(conn).expect("the history");
        actors.extend(history.into_iter().filter_map(|row| row.actor));
    }
    assert_eq!(actors.len(), 3);
    actors.dedup();
    assert_eq!(actors.len(), 3, "one for each life: {actors:?}");
}

/// The child of the former.
pub fn die_in_child<D: Database>(url: &str) {
    let pool = D::probed_pool(url, 1, crate::statement_probe::Probe::new(|_| {}));
    let worker = Worker::new(pool).step(fetch_step!(), |_, ()| std::process::abort());
    worker.run_until_idle().expect("ran");
}

/// A claim that the same process lost and has again is not extended by the one that lost it.
pub fn a_late_extend_leaves_the_next_claim_alone<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    picked::<D>(conn, "a");
    let mut late = claim_next(fetch_step!().lease(Duration::from_hours(9)), conn)
        .expect("no error")
        .expect("a claim");
    testing::expire_leases(conn).expect("expired");
    let worker = Worker::new(database.pool(1)).step(fetch_step!(), |_, ()| Ok(Response(json!(1))));
    assert_eq!(worker.run_until_idle().expect("ran").reaped, 1);
    testing::make_everything_due(conn).expect("due");
    let next = claim_next(fetch_step!(), conn).expect("no error").expect("a claim");
    let lease = "SELECT CAST(leased_until AS CHAR(40)) FROM flowstate_flows";
    let before = D::text(conn, lease);
    refused!(late.extend(conn), Error::LeaseLost { .. });
    assert_eq!(D::text(conn, lease), before, "the lease of the next");
    next.finish(Response(json!(1)), conn).expect("finished");
}
