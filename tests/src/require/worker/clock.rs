//! A18: whose clock counts.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use flowstate_diesel::{Worker, claim_next, prelude::*, testing};
use serde_json::json;

use crate::check::clean;
use crate::flows::{Response, Sync, SyncState};
use crate::statement_probe::Probe;
use crate::steps::picked;
use crate::{Database, child, fetch_step};

/// A18: no time of the client's clock is sent: leases, due times and the history are the database's.
pub fn a18_no_time_of_the_client_is_sent<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let (probe, kept) = Probe::recording();
    probe.over(conn);
    let pool = D::probed_pool(&database.url(), 1, probe);
    picked::<D>(conn, "a");
    Sync::new("b").create_in(Duration::from_hours(1), conn).expect("created");
    let step = fetch_step!();
    let mut claim = claim_next(&step, conn).expect("no error").expect("a claim");
    claim.extend(conn).expect("extended");
    claim.fail("again", conn).expect("failed");
    testing::make_everything_due(conn).expect("due");
    let claim = claim_next(&step, conn).expect("no error").expect("a claim");
    claim.release(conn).expect("released");
    let _left = claim_next(&step, conn).expect("no error").expect("a claim");
    testing::expire_leases(conn).expect("expired");
    let worker = Worker::new(pool).step(fetch_step!(), |_, ()| Ok(Response(json!(1))));
    assert_eq!(worker.run_until_idle().expect("ran").reaped, 1);
    let year = D::text(conn, "SELECT CAST(MAX(created_at) AS CHAR(4)) FROM flowstate_transitions");
    let year = year.expect("a year");
    let epoch =
        std::time::SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_secs() / 100_000;
    let statements = kept.take();
    assert!(statements.len() > 20, "{statements:#?}");
    for text in statements {
        let (_, binds) = text.split_once("binds:").unwrap_or_default();
        let told = binds.contains(&format!("{year}-")) || binds.contains(&epoch.to_string());
        assert!(!told, "a time is bound: {text}");
    }
}

/// A18: the database's clock jumps back: the order is by `seq`, and no lease is taken for run out.
pub fn a18_a_clock_that_jumps_back<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let id = picked::<D>(conn, "a");
    let claim = claim_next(fetch_step!(), conn).expect("no error").expect("a claim");
    // what was written before the jump lies in the future
    let later = "2999-01-01 00:00:00.000000";
    for sql in [
        format!("UPDATE flowstate_transitions SET created_at = '{later}' WHERE seq < 2"),
        format!("UPDATE flowstate_flows SET updated_at = '{later}', leased_until = '{later}'"),
    ] {
        conn.batch_execute(&sql).expect("later");
    }
    let ran = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&ran);
    let worker = Worker::new(database.pool(1)).step(fetch_step!(), move |_, ()| {
        *counted.lock().expect("not poisoned") += 1;
        Ok(Response(json!(1)))
    });
    assert_eq!(worker.run_until_idle().expect("ran").reaped, 0, "no lease is stolen");
    claim.finish(Response(json!(1)), conn).expect("finished");
    let history = Sync::find(id, conn).expect("found").history(conn).expect("the history");
    let names: Vec<_> = history.iter().map(|row| &*row.transition).collect();
    assert_eq!(names, ["flow.create", "pick", "start_fetch", "finish_fetch"]);
    assert_eq!(*ran.lock().expect("not poisoned"), 0);
    clean(conn);
}

/// A18: a worker whose process is an hour ahead, or behind, steals no lease, takes nothing that is
/// not due, and its own leases hold.
pub fn a18_a_worker_with_another_clock<D: Database>() {
    let faketime = std::path::Path::new("/usr/bin/faketime");
    assert!(faketime.exists(), "this needs `faketime`, from the package of that name");
    for shift in ["+1h", "-1h"] {
        let database = D::migrated();
        let conn = &mut database.connect();
        picked::<D>(conn, "leased");
        let held = claim_next(fetch_step!(), conn).expect("no error").expect("a claim");
        let minutes = Duration::from_mins(30);
        let mut later = Sync::new("later").create(conn).expect("created");
        later.transition(Sync::PICK, conn).delay(minutes).run().expect("picked");
        let due = picked::<D>(conn, "due");
        let plain = child::command::<D>("other_clock", &database.url());
        let mut shifted = std::process::Command::new(faketime);
        shifted.args(["-f", shift]).arg(plain.get_program()).args(plain.get_args());
        shifted.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let ended = child::Running::start(shifted).end();
        assert!(ended.status.success(), "{ended:?}");
        assert_eq!(ended.said, ["1 0"], "{shift}: one claimed, none reaped");
        let flow = Sync::find(due, conn).expect("found");
        assert_eq!(flow.state(), SyncState::Fetching, "it was left to its lease");
        let live = "SELECT COUNT(*) FROM flowstate_flows WHERE leased_until > created_at";
        assert_eq!(D::number(conn, live), 2);
        let worker = Worker::new(database.pool(1)).step(fetch_step!(), |_, ()| unreachable!());
        assert_eq!(worker.run_until_idle().expect("ran").reaped, 0, "{shift}: the lease holds");
        held.finish(Response(json!(1)), conn).expect("finished");
        clean(conn);
    }
}

/// The child of the former: it takes what it may, and is gone without a word.
pub fn other_clock_in_child<D: Database>(url: &str) {
    let conn = &mut D::connect_to(url);
    // half an hour from now, by the database's clock
    let last = D::number(conn, "SELECT MAX(id) FROM flowstate_flows");
    let soon = Sync::find(last, conn).expect("found").created_at() + chrono::TimeDelta::minutes(30);
    let mut at = Sync::new("at").create_at(soon, conn).expect("created");
    assert_eq!(at.due_at(), Some(soon), "just then");
    at.transition(Sync::PICK, conn).delay(Duration::from_hours(1)).run().expect("picked");
    let mut claimed = 0;
    while let Some(claim) = claim_next(fetch_step!(), conn).expect("no error") {
        claimed += 1;
        drop(claim);
    }
    let pool = D::probed_pool(url, 1, Probe::new(|_| {}));
    let worker = Worker::new(pool).step(fetch_step!(), |_, ()| unreachable!());
    let stats = worker.run_until_idle().expect("ran");
    child::say(&format!("{claimed} {}", stats.reaped));
}
