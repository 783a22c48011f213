//! A14, A16, A18: leases, and the clock that counts them.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use flowstate_diesel::{Error, Worker, claim_next, prelude::*, testing, transaction};
use serde_json::json;

use crate::check::clean;
use crate::flows::{Receipt, Response, Round, RoundState, RoundWorkOutcome, Sync, SyncState};
use crate::gate::Gate;
use crate::statement_probe::Probe;
use crate::steps::{leased, picked};
use crate::{Database, fetch_step, refused, round_step};

/// The statement that locks a record whose lease has run out.
const EXPIRED: [&str; 2] = ["leased_until <= ", "AND seq = "];

/// A14: the reaper has selected; a finish that comes now is too late: it waits for the row, holding
/// nothing for which the reaper would have to wait.
pub fn a14_a_finish_behind_the_reaper_is_late<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let id = picked::<D>(conn, "a");
    let stalled = claim_next(fetch_step!(), conn).expect("no error").expect("a claim");
    testing::expire_leases(conn).expect("expired");
    let (selected, finishing) = (Gate::new(), Gate::new());
    let pool = D::probed_pool(&database.url(), 1, {
        let selected = Arc::clone(&selected);
        Probe::new(move |seen| {
            if seen.ends(&EXPIRED) && !seen.text.contains("UNION") {
                selected.pass();
            }
        })
    });
    let (taken, finished) = thread::scope(|scope| {
        let reaper = Worker::new(pool).step(fetch_step!(), |_, ()| Ok(Response(json!("late"))));
        let reaper = scope.spawn(|| reaper.run_until_idle().expect("ran"));
        selected.wait_for(1);
        let finisher = scope.spawn(|| {
            let conn = &mut database.connect();
            let finishing = Arc::clone(&finishing);
            Probe::new(move |_| finishing.note()).over(conn);
            stalled.finish(Response(json!("late")), conn)
        });
        finishing.wait_for_one(|| D::waiting_writers(conn) > 0);
        selected.open();
        let taken = reaper.join().expect("no panic").reaped;
        (taken, finisher.join().expect("no panic"))
    });
    refused!(finished, Error::LeaseLost { .. });
    let flow = Sync::find(id, conn).expect("found");
    let kept = flow.artefact::<Response>(conn).expect("read");
    assert_eq!((taken, flow.state(), kept), (1, SyncState::FailedToFetch, None));
    clean(conn);
}

/// A14: the finish is under way; the reaper's update changes nothing.
pub fn a14_the_reaper_lets_a_finish_pass<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let id = picked::<D>(conn, "a");
    let mut claim = claim_next(fetch_step!(), conn).expect("no error");
    testing::expire_leases(conn).expect("expired");
    let looked = Gate::new();
    // others wait for SQLite's one writer, and pass over the row elsewhere
    let is_sqlite = D::FOLDER == "sqlite";
    let pool = D::probed_pool(&database.url(), 1, {
        let looked = Arc::clone(&looked);
        Probe::new(move |seen| {
            let waits = is_sqlite && seen.starts(&["BEGIN"]);
            if waits || (seen.ends(&EXPIRED) && !seen.text.contains("UNION")) {
                looked.note();
            }
        })
    });
    let stats = thread::scope(|scope| {
        let mut reaper = None;
        transaction(conn, |conn| {
            let claim = claim.take().expect("tried once");
            claim.finish(Response(json!("in time")), conn)?;
            let pool = pool.clone();
            reaper = Some(scope.spawn(|| {
                let worker = Worker::new(pool).step(fetch_step!(), |_, ()| Ok(Response(json!(0))));
                worker.run_until_idle().expect("ran")
            }));
            looked.wait_for_one(|| D::waiting_writers(conn) > 0);
            Ok::<_, Error>(())
        })
        .expect("committed");
        reaper.expect("started").join().expect("no panic")
    });
    assert_eq!((stats.reaped, stats.claimed), (0, 0));
    let flow = Sync::find(id, conn).expect("found");
    assert_eq!(flow.artefact(conn).expect("read"), Some(Response(json!("in time"))));
    clean(conn);
}

/// Another record has the same id by now, and is where the claimed one was: what the former holder
/// returns is refused, whatever it is, and whoever holds it now finishes.
pub fn a_claim_is_ended_only_by_its_holder<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let id = picked::<D>(conn, "a");
    let finishing = claim_next(fetch_step!(), conn).expect("no error").expect("a claim");
    // as if the tables had been restored, and claimed by another process
    let sql = "UPDATE flowstate_flows SET leased_by = 'another-process' WHERE id = ";
    conn.batch_execute(&format!("{sql}{id}")).expect("another holder");
    refused!(finishing.finish(Response(json!("late")), conn), Error::LeaseLost { .. });
    let flow = Sync::find(id, conn).expect("found");
    assert_eq!(flow.state(), SyncState::Fetching, "it is left to its holder");
    assert_eq!(flow.artefact::<Response>(conn).expect("read"), None);
    for end in ["fail", "release"] {
        picked::<D>(conn, end);
        let claim = claim_next(fetch_step!(), conn).expect("no error").expect("a claim");
        conn.batch_execute(&format!("{sql}{}", claim.id())).expect("another holder");
        let ended = match end {
            "fail" => claim.fail("late", conn),
            _ => claim.release(conn),
        };
        refused!(ended, Error::LeaseLost { .. });
    }
    clean(conn);
}

/// Keeps other writers from a record until the gate is opened.
fn lock_until_open<D: Database>(conn: &mut D::Conn, id: i64, locked: &Gate) {
    let done = transaction(conn, |conn| {
        let lock = format!("UPDATE flowstate_flows SET flow = flow WHERE id = {id}");
        conn.batch_execute(&lock)?;
        locked.pass();
        Ok::<_, Error>(())
    });
    // at SERIALIZABLE the commit may be refused, when it has locked for as long as it should
    assert!(done.is_ok() || D::IS_ISOLATED, "{done:?}");
}

/// A16: a lease counts from when it was taken, not from when the lock was asked for.
pub fn a16_a_lease_counts_from_the_claim<D: Database>() {
    const LEASE: Duration = Duration::from_secs(1);
    let database = D::migrated();
    let conn = &mut database.connect();
    let id = picked::<D>(conn, "a");
    let live = "SELECT COUNT(*) FROM flowstate_flows WHERE leased_until > ";
    let live = format!("{live}{}", now::<D>());
    let step = fetch_step!().lease(LEASE);
    let mut claim = claim_next(&step, conn).expect("no error").expect("a claim");
    let (locked, asked) = (Gate::new(), Gate::new());
    let onlooker = &mut database.connect();
    thread::scope(|scope| {
        let other = &locked;
        scope.spawn(|| lock_until_open::<D>(&mut database.connect(), id, other));
        locked.wait_for(1);
        let noting = Arc::clone(&asked);
        Probe::new(move |_| noting.note()).over(conn);
        let extending = scope.spawn(|| claim.extend(conn));
        asked.wait_for_one(|| D::waiting_writers(onlooker) > 0);
        // the time has to pass for real: it is what is tested
        thread::sleep(LEASE + Duration::from_millis(300));
        locked.open();
        extending.join().expect("no panic").expect("extended");
    });
    assert_eq!(D::number(conn, &live), 1, "still live after the wait");
    claim.finish(Response(json!(1)), conn).expect("finished");
}

/// A16: nor from when the claim began to ask. Where others' records are passed over, it asks again.
pub fn a16_the_lease_of_a_claim_that_waited<D: Database>() {
    const LEASE: Duration = Duration::from_secs(1);
    let database = D::migrated();
    let conn = &mut database.connect();
    let id = picked::<D>(conn, "a");
    let live = format!("SELECT COUNT(*) FROM flowstate_flows WHERE leased_until > {}", now::<D>());
    let locked = Gate::new();
    thread::scope(|scope| {
        scope.spawn(|| lock_until_open::<D>(&mut database.connect(), id, &locked));
        locked.wait_for(1);
        let claiming = scope.spawn(|| {
            let (conn, step) = (&mut database.connect(), fetch_step!().lease(LEASE));
            loop {
                if let Some(claim) = claim_next(&step, conn).expect("no error") {
                    return claim;
                }
            }
        });
        // the time has to pass for real: it is what is tested
        thread::sleep(LEASE * 2);
        locked.open();
        let claim = claiming.join().expect("no panic");
        assert_eq!(D::number(conn, &live), 1, "live");
        claim.finish(Response(json!(1)), conn).expect("finished");
    });
}

/// The database's clock, in its own words.
fn now<D: Database>() -> &'static str {
    match D::FOLDER {
        "sqlite" => "strftime('%Y-%m-%d %H:%M:%f000', 'now')",
        "mysql" => "UTC_TIMESTAMP(6)",
        _ => "clock_timestamp()",
    }
}

/// The heartbeat passes over a record that somebody has locked, and extends the others.
pub fn a_locked_record_does_not_stop_the_heartbeat<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let ids = [picked::<D>(conn, "a"), picked::<D>(conn, "b")];
    let (gate, locked, extended) = (Gate::new(), Gate::new(), Gate::new());
    let pool = D::probed_pool(&database.url(), 3, {
        let extended = Arc::clone(&extended);
        Probe::new(move |seen| {
            if seen.ends(&["SET leased_until = "]) && !seen.text.contains("attempts = ") {
                extended.note();
            }
        })
    });
    let running = Worker::new(pool)
        .step(fetch_step!().lease(Duration::from_millis(300)), {
            let gate = Arc::clone(&gate);
            move |_, ()| {
                gate.pass();
                Ok(Response(json!(1)))
            }
        })
        .threads(2)
        .start()
        .expect("started");
    gate.wait_for(2);
    thread::scope(|scope| {
        scope.spawn(|| lock_until_open::<D>(&mut database.connect(), ids[0], &locked));
        locked.wait_for(1);
        let before = extended.come();
        // while the one is locked
        extended.wait_for(before + 10);
        locked.open();
    });
    gate.open();
    let stats = running.shutdown(Duration::from_mins(1)).expect("stopped");
    assert_eq!((stats.finished, stats.lost, stats.reaped), (2, 0, 0));
    assert_eq!(leased::<D>(conn), 0);
}

/// A claim that an older program left in a running state that has another name by now is failed
/// over like any other.
pub fn a_claim_under_an_old_name_is_failed_over<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut round = Round::new().create(conn).expect("created");
    drop(claim_next(round_step!(), conn).expect("no error").expect("a claim"));
    for sql in [
        "UPDATE flowstate_flows SET state = 'at_work'",
        "UPDATE flowstate_transitions SET to_state = 'at_work' WHERE seq = 1",
    ] {
        conn.batch_execute(sql).expect("the older program's name");
    }
    testing::expire_leases(conn).expect("expired");
    let worker = Worker::new(database.pool(1))
        .step(round_step!(), |_, ()| Ok(RoundWorkOutcome::Resting(Receipt::new())));
    assert_eq!(worker.run_until_idle().expect("ran").reaped, 1);
    round.reload(conn).expect("read");
    assert_eq!(round.state(), RoundState::Broken);
    clean(conn);
}
