//! Running workers: what is taken up, by how many, and what is said of it.

use std::sync::Arc;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use flowstate_diesel::{Error, Worker, claim_next, prelude::*, reap, testing};
use serde_json::json;

use crate::check::clean;
use crate::flows::{Errand, Response, Sync, SyncState};
use crate::gate::Gate;
use crate::statement_probe::Probe;
use crate::steps::{picked, waiting_at};
use crate::{Database, child, errand_step, fetch_step, race, refused, save_step};

/// A31: several threads share one connection, in every kind of step, failing ones too.
pub fn a31_several_threads_share_one_connection<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    conn.batch_execute("CREATE TABLE saved (flow_id BIGINT NOT NULL)").expect("a table");
    for n in 0..12 {
        picked::<D>(conn, &format!("{n}"));
    }
    let worker = || {
        Worker::new(database.pool(1))
            .step(fetch_step!(), |claim, ()| match (&*claim.record_id, claim.attempt()) {
                ("3", 1) => Err("once".into()),
                ("4", 1) => panic!("once"),
                _ => Ok(Response(json!(1))),
            })
            .transactional_step(save_step!(), |claim, _, conn| {
                assert!(claim.record_id != "5" || claim.attempt() > 1, "once");
                Ok(conn.batch_execute(&format!("INSERT INTO saved VALUES ({})", claim.id()))?)
            })
            .threads(4)
            .run_until_idle()
            .expect("ran")
    };
    let first = worker();
    assert_eq!((first.failed, first.running), (3, 0));
    testing::make_everything_due(conn).expect("due");
    worker();
    let done = "SELECT COUNT(*) FROM flowstate_flows WHERE state = 'completed'";
    assert_eq!(D::number(conn, done), 12);
    assert_eq!(D::number(conn, "SELECT COUNT(*) FROM saved"), 12);
    clean(conn);
}

/// "Only when woken": the longest poll there is overflows nothing, the heartbeat goes on, and a
/// shutdown is quick.
pub fn the_longest_poll_is_a_long_one<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let id = picked::<D>(conn, "a");
    let (gate, extended) = (Gate::new(), Gate::new());
    let probe = {
        let extended = Arc::clone(&extended);
        Probe::new(move |seen| {
            if seen.ends(&["SET leased_until = "]) && !seen.text.contains("attempts = ") {
                extended.note();
            }
        })
    };
    let running = Worker::new(D::probed_pool(&database.url(), 2, probe))
        .step(fetch_step!().lease(Duration::from_millis(300)), {
            let gate = Arc::clone(&gate);
            move |_, ()| {
                gate.pass();
                Ok(Response(json!(1)))
            }
        })
        .poll(Duration::MAX)
        .start()
        .expect("started");
    gate.wait_for(1);
    extended.wait_for(extended.come() + 3);
    gate.open();
    let stats = running.shutdown(Duration::from_mins(1)).expect("stopped");
    assert_eq!((stats.finished, stats.lost), (1, 0));
    assert_eq!(Sync::find(id, conn).expect("found").state(), SyncState::Fetched);
}

/// `run_until_idle` runs what is due, and what becomes due by it, and leaves what is due later.
pub fn what_is_due_later_is_left<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let hour = Duration::from_hours(1);
    let run = || {
        let worker = Worker::new(database.pool(1));
        worker.step(errand_step!(), |_, ()| Ok(())).run_until_idle().expect("ran")
    };
    let now = chrono::DateTime::from(std::time::SystemTime::now());
    Errand::new("in").create_in(hour, conn).expect("created");
    Errand::new("at").create_at(now + hour, conn).expect("created");
    assert_eq!(run().claimed, 0, "neither is due");
    testing::make_everything_due(conn).expect("due");
    Errand::new("past").create_at(now - hour, conn).expect("created");
    assert_eq!(run().finished, 3);
    let mut delayed = Sync::new("delayed").create(conn).expect("created");
    delayed.transition(Sync::PICK, conn).delay(hour).run().expect("picked");
    assert!(claim_next(fetch_step!(), conn).expect("no error").is_none(), "not due");
    testing::make_everything_due(conn).expect("due");
    let claim = claim_next(fetch_step!(), conn).expect("no error").expect("due");
    assert_eq!(claim.id(), delayed.id());
}

/// A step that is served twice is refused.
pub fn a_step_served_twice_is_refused<D: Database>() {
    let database = D::migrated();
    let worker = Worker::new(database.pool(1))
        .step(fetch_step!(), |_, ()| Ok(Response(json!(1))))
        .step(fetch_step!(), |_, ()| Ok(Response(json!(2))));
    let problem = refused!(worker.start(), Error::ServedTwice { step, other, running, .. } => format!("{step} {other} {running}"));
    assert!(problem == "fetch fetch fetching", "{problem}");
}

/// The numbers of a worker.
pub fn stats_say_what_was_done<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let (late, _failing) = (picked::<D>(conn, "late"), picked::<D>(conn, "failing"));
    picked::<D>(conn, "fine");
    let (gate, again) = (Gate::new(), Gate::new());
    let running = Worker::new(database.pool(2))
        .step(fetch_step!(), {
            let (gate, again) = (Arc::clone(&gate), Arc::clone(&again));
            move |claim, ()| {
                again.note();
                if claim.id() == late {
                    gate.pass();
                }
                if claim.record_id == "failing" { Err("no".into()) } else { Ok(Response(json!(1))) }
            }
        })
        .start()
        .expect("started");
    gate.wait_for(1);
    assert!(running.stats().running >= 1 && running.stats().claimed >= 1);
    // an operator moves the record meanwhile, and wins
    let mut flow = Sync::find(late, conn).expect("found");
    flow.transition(Sync::FAIL_FETCH, conn).delay(Duration::from_hours(1)).run().expect("moved");
    gate.open();
    again.wait_for(3);
    let stats = running.shutdown(Duration::from_mins(1)).expect("stopped");
    let said = (stats.claimed, stats.finished, stats.failed, stats.lost, stats.running);
    assert_eq!(said, (3, 1, 1, 1, 0));
    flow.reload(conn).expect("read");
    assert_eq!(flow.state(), SyncState::FailedToFetch, "the operator's transition stands");
    clean(conn);
}

/// Without a worker, what a dead process left is failed over by whoever calls `reap`.
pub fn reaping_by_hand<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let (step, mut ids) = (fetch_step!(), Vec::new());
    for name in ["dead", "dead too", "alive"] {
        ids.push(picked::<D>(conn, name));
        drop(claim_next(&step, conn).expect("no error").expect("a claim"));
        if name == "dead too" {
            testing::expire_leases(conn).expect("expired");
        }
    }
    assert_eq!(reap(&step, conn).expect("reaped"), 2);
    assert_eq!(reap(&step, conn).expect("reaped"), 0);
    let states: Vec<_> =
        ids.iter().map(|id| Sync::find(*id, conn).expect("found").state()).collect();
    let failed = SyncState::FailedToFetch;
    assert_eq!(states, [failed, failed, SyncState::Fetching]);
    let flow = Sync::find(ids[0], conn).expect("found");
    assert_eq!(flow.attempt(), 2, "counted");
    let history = flow.history(conn).expect("the history");
    assert_eq!(history.last().and_then(|row| row.error.as_deref()), Some("lease expired"));
    clean(conn);
}

/// Several processes' worth of reapers at once: each expired claim is failed over once.
pub fn reapers_share_the_dead<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let step = fetch_step!();
    let ids: Vec<_> = (0..30).map(|n| picked::<D>(conn, &format!("{n}"))).collect();
    while claim_next(&step, conn).expect("no error").is_some() {}
    testing::expire_leases(conn).expect("expired");
    // at SERIALIZABLE the server refuses most of so many, however often they try again
    let reapers = if D::IS_ISOLATED { 2 } else { 6 };
    let reaped = race::race(reapers, |_, barrier| {
        let (conn, step) = (&mut database.connect(), fetch_step!());
        barrier.wait();
        reap(&step, conn).expect("reaped")
    });
    // what a reaper had locked the others have passed over
    let rest = reap(&step, conn).expect("reaped");
    assert_eq!(reaped.iter().sum::<usize>() + rest, 30, "{reaped:?}");
    for id in ids {
        let flow = Sync::find(id, conn).expect("found");
        assert_eq!((flow.state(), flow.seq()), (SyncState::FailedToFetch, 3));
    }
    clean(conn);
}

/// `run_until_idle` works off all that was claimed, though a thread has done its part before the
/// others have woken up for theirs.
pub fn batches_are_worked_off<D: Database>() {
    const RECORDS: u64 = 3;
    let database = D::migrated();
    let conn = &mut database.connect();
    let pool = database.pool(5);
    for _ in 0..100 {
        Errand::create_many((0..RECORDS).map(|_| Errand::new("a")), conn).expect("created");
        let step = errand_step!().batch(32);
        let worker = Worker::new(pool.clone()).step(step, |_, ()| Ok(())).threads(8);
        assert_eq!(worker.run_until_idle().expect("ran").finished, RECORDS);
    }
    clean(conn);
}

/// What is due for long, but became visible after the first look, is found before the worker says
/// that there is nothing.
pub fn what_lies_far_back_is_found_before_idle<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    Errand::new("first").create(conn).expect("created");
    let url = database.url();
    let worker = Worker::new(database.pool(1)).step(errand_step!(), move |claim, ()| {
        if claim.name == "first" {
            // another process would do so: nobody here is told
            let conn = &mut D::connect_to(&url);
            let sql = "UPDATE flowstate_flows SET due_at = '2020-01-01 00:00:00.000000' \
                 WHERE state = 'waiting'";
            diesel::Connection::transaction(conn, |conn| {
                Errand::new("late").create(conn)?;
                Ok::<_, Error>(conn.batch_execute(sql)?)
            })?;
        }
        Ok(())
    });
    // which looks again as soon as it is done
    let worker = worker.threads(1);
    assert_eq!(worker.run_until_idle().expect("ran").finished, 2);
    clean(conn);
}

/// A31: the heartbeat has the one connection in turn with several threads, whose handlers take
/// longer than their leases.
pub fn a31_the_heartbeat_shares_the_connection<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    for n in 0..3 {
        picked::<D>(conn, &format!("{n}"));
    }
    let (gate, extended) = (Gate::new(), Gate::new());
    let noting = Arc::clone(&extended);
    let probe = Probe::new(move |seen| {
        if seen.ends(&["SET leased_until = "]) && !seen.text.contains("attempts = ") {
            noting.note();
        }
    });
    let running = Worker::new(D::probed_pool(&database.url(), 1, probe))
        .step(fetch_step!().lease(Duration::from_millis(600)), {
            let gate = Arc::clone(&gate);
            move |_, ()| {
                gate.pass();
                Ok(Response(json!(1)))
            }
        })
        .threads(3)
        .poll(Duration::from_millis(20))
        .start()
        .expect("started");
    gate.wait_for(3);
    extended.wait_for(extended.come() + 8);
    gate.open();
    let stats = running.shutdown(Duration::from_mins(1)).expect("stopped");
    assert_eq!((stats.finished, stats.lost, stats.reaped, stats.failed), (3, 0, 0, 0));
    clean(conn);
}

/// How long the oldest record has been waiting, of each step that has one.
pub fn stats_say_what_waits<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    picked::<D>(conn, "running");
    picked::<D>(conn, "waiting");
    let sql = "UPDATE flowstate_flows SET due_at = '2020-01-01 00:00:00.000000'";
    conn.batch_execute(sql).expect("due for long");
    let gate = Gate::new();
    let running = Worker::new(database.pool(2))
        .step(fetch_step!().concurrency(1), waiting_at(&gate))
        .step(save_step!(), |_, _| Ok(()))
        .threads(2)
        .start()
        .expect("started");
    gate.wait_for(1);
    let year = Duration::from_hours(365 * 24);
    let oldest = running.stats().oldest_due;
    assert!(matches!(*oldest, [("fetch", age)] if age > year), "{oldest:?}");
    gate.open();
    gate.wait_for(2);
    while running.stats().finished < 4 || !running.stats().oldest_due.is_empty() {
        std::thread::yield_now();
    }
    running.shutdown(Duration::from_mins(1)).expect("stopped");
}

/// A worker that cannot have all its threads has none: nobody works who cannot be stopped.
pub fn a_worker_has_all_its_threads_or_none<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    picked::<D>(conn, "a");
    let plain = child::command::<D>("greedy", &database.url());
    let mut limited = std::process::Command::new("sh");
    limited.args(["-c", "ulimit -v 4000000 && exec \"$0\" \"$@\""]);
    limited.arg(plain.get_program()).args(plain.get_args());
    limited.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    // Stacks so large that only a few fit, and that what is too little for one is plenty for all
    // that the others allocate: with small ones a thread that has begun finds no memory, and the
    // process is aborted.
    limited.env("RUST_MIN_STACK", "600000000");
    let ended = child::Running::start(limited).end();
    assert!(ended.status.success(), "{ended:?}");
    let flow = Sync::find(1, conn).expect("found");
    assert_eq!(flow.state(), SyncState::Picked, "left alone");
}

/// The child of the former, which has room for a few threads.
pub fn greedy_in_child<D: Database>(url: &str) {
    let pool = D::probed_pool(url, 1, Probe::new(|_| {}));
    let worker = Worker::new(pool).step(fetch_step!(), |_, ()| Ok(Response(json!(1))));
    let threads = || std::fs::read_dir("/proc/self/task").expect("the threads").count();
    let before = threads();
    refused!(worker.threads(20).start(), Error::NoThread { .. });
    while threads() > before {
        std::thread::yield_now();
    }
}
