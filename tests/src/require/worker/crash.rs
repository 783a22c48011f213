//! A11 for workers: the process is aborted at every statement boundary of claim, finish, fail,
//! heartbeat, release and reap, and of a whole worker.

use std::os::unix::process::ExitStatusExt as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::r2d2::{ConnectionManager, Pool};
use flowstate_diesel::{Worker, claim_next, prelude::*, testing};
use serde_json::json;

use crate::check::{self, clean};
use crate::flows::{Approval, ApprovalState, Response, Sync, SyncState};
use crate::gate::Gate;
use crate::require::crash::{Crash, crash_at};
use crate::statement_probe::Probe;
use crate::steps::picked;
use crate::{Database, child, fetch_step, save_step};

const SIGABRT: i32 = 6;

const SCENES: [&str; 9] =
    ["claim", "finish", "fail", "extend", "heartbeat", "release", "reap", "plain", "transactional"];

/// Takes a record as far as the scene needs it.
fn prepare<D: Database>(scene: &str, conn: &mut D::Conn) -> i64 {
    let id = picked::<D>(conn, scene);
    match scene {
        "transactional" => {
            let claim = claim_next(fetch_step!(), conn).expect("no error").expect("a claim");
            claim.finish(Response(json!(1)), conn).expect("finished");
        }
        "reap" => {
            drop(claim_next(fetch_step!(), conn).expect("no error").expect("a claim"));
            testing::expire_leases(conn).expect("expired");
        }
        _ => {}
    }
    id
}

/// What the child does.
pub fn crash_in_child<D: Database>(scene: &str, event: u32, url: &str) {
    let conn = &mut D::connect_to(url);
    let step = fetch_step!();
    if ["finish", "fail", "extend", "release"].contains(&scene) {
        let mut claim = claim_next(&step, conn).expect("no error").expect("a claim");
        crash_at::<D>(event, conn);
        match scene {
            "finish" => claim.finish(Response(json!(1)), conn).expect("finished"),
            "fail" => claim.fail("no", conn).expect("failed"),
            "release" => claim.release(conn).expect("released"),
            _ => claim.extend(conn).expect("extended"),
        }
        return;
    }
    if scene == "timed" {
        let worker = Worker::new(crashing_pool::<D>(url, event));
        worker.timed::<Approval>().run_until_idle().expect("ran");
        return;
    }
    if scene == "heartbeat" {
        return keep_and_crash::<D>(url, event);
    }
    if scene == "claim" {
        crash_at::<D>(event, conn);
        drop(claim_next(&step, conn).expect("no error").expect("a claim"));
        return;
    }
    serve::<D>(Worker::new(crashing_pool::<D>(url, event)));
}

/// A handler that waits for two heartbeats; what is counted begins with the first.
fn keep_and_crash<D: Database>(url: &str, event: u32) {
    let (gate, beats) = (Gate::new(), Gate::new());
    let crash = Mutex::new(Crash::at(event));
    let (begun, beating) = (Arc::clone(&gate), Arc::clone(&beats));
    let probe = Probe::new(move |seen| {
        if begun.come() == 0 {
            return;
        }
        if !seen.answered || seen.commits() {
            crash.lock().expect("not poisoned").see(seen.text, seen.answered);
        }
        if seen.ends(&["SET leased_until = "]) {
            beating.note();
        }
    });
    Worker::new(D::probed_pool(url, 1, probe))
        .step(fetch_step!().lease(Duration::from_millis(150)), move |_, ()| {
            gate.note();
            beats.wait_for(2);
            Ok(Response(json!(1)))
        })
        .poll(Duration::from_hours(1))
        .run_until_idle()
        .expect("ran");
}

/// A pool whose connection aborts the process at the n-th statement.
fn crashing_pool<D: Database>(url: &str, event: u32) -> Pool<Pooled<D>> {
    let crash = Mutex::new(Crash::at(event));
    let probe = Probe::new(move |seen| {
        // what is answered is the database's: only a commit makes a difference there
        if !seen.answered || seen.commits() {
            crash.lock().expect("not poisoned").see(seen.text, seen.answered);
        }
    });
    D::probed_pool(url, 1, probe)
}

type Pooled<D> = ConnectionManager<<D as Database>::Conn>;

fn serve<D: Database>(worker: Worker<Pooled<D>>) {
    worker
        .step(fetch_step!(), |_, ()| Ok(Response(json!(1))))
        .transactional_step(save_step!(), |claim, _, conn| {
            Ok(conn.batch_execute(&format!("INSERT INTO effects VALUES ('{}')", claim.id()))?)
        })
        .run_until_idle()
        .expect("ran");
}

/// A11: every scene, killed at every statement boundary until one survives.
pub fn a11_a_crash_of_a_worker_loses_nothing<D: Database>() {
    for scene in SCENES {
        let database = D::migrated();
        let conn = &mut database.connect();
        check::make_effects(conn);
        let mut killed = Vec::new();
        for event in 1.. {
            let id = prepare::<D>(scene, conn);
            let ended = child::run::<D>(&format!("crash_worker {scene} {event}"), &database.url());
            clean(conn);
            // whatever it left, others bring to the end
            let mut flow = Sync::find(id, conn).expect("found");
            for _ in 0..3 {
                if flow.is_completed() {
                    break;
                }
                testing::expire_leases(conn).expect("expired");
                testing::make_everything_due(conn).expect("due");
                serve::<D>(Worker::new(database.pool(1)));
                flow.reload(conn).expect("read");
            }
            let at = format!("{scene}, event {event}: {:?}", ended.said);
            assert_eq!(flow.state(), SyncState::Completed, "{at}");
            let history = flow.history(conn).expect("the history");
            for once in ["finish_fetch", "finish_save", "complete"] {
                let taken = history.iter().filter(|row| row.transition == once).count();
                assert_eq!(taken, 1, "{once} in {at}: {history:#?}");
            }
            let effects = format!("SELECT COUNT(*) FROM effects WHERE name = '{id}'");
            assert_eq!(D::number(conn, &effects), 1, "{at}");
            clean(conn);
            if ended.status.success() {
                break;
            }
            assert_eq!(ended.status.signal(), Some(SIGABRT), "{at}");
            killed.push(ended.said);
        }
        assert_killed_everywhere(scene, &killed);
    }
}

/// Each child has said on which side of a commit it was killed, and at which statement.
fn assert_killed_everywhere(scene: &str, killed: &[Vec<String>]) {
    let somewhere = |what: &str| killed.iter().flatten().any(|said| said.contains(what));
    let statement = match scene {
        "claim" | "reap" | "fail" | "release" | "plain" => "INSERT INTO flowstate_transitions",
        "extend" | "heartbeat" => "leased_until = ",
        "finish" => "INSERT INTO flowstate_artefacts",
        _ => "INSERT INTO effects",
    };
    assert!(somewhere(statement), "{scene}: {killed:#?}");
    // of a pool only COMMIT is seen to be answered: a statement by itself has none
    let by_hand = ["claim", "finish", "fail", "extend", "release"].contains(&scene);
    if by_hand {
        let committed = killed.iter().filter(|said| said[0] == "committed").count();
        assert!(committed > 0 && committed < killed.len(), "{scene}, on both sides: {killed:#?}");
    }
}

/// A11: the same while a timed transition is taken.
pub fn a11_a_crash_at_a_deadline_loses_nothing<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    for event in 1.. {
        let mut asked = Approval { subject: format!("{event}") }.create(conn).expect("created");
        testing::pass_deadlines(conn).expect("passed");
        let ended = child::run::<D>(&format!("crash_worker timed {event}"), &database.url());
        clean(conn);
        Worker::new(database.pool(1)).timed::<Approval>().run_until_idle().expect("ran");
        asked.reload(conn).expect("read");
        assert_eq!((asked.state(), asked.seq()), (ApprovalState::Expired, 1), "event {event}");
        clean(conn);
        if ended.status.success() {
            assert!(event > 3, "killed somewhere");
            break;
        }
        assert_eq!(ended.status.signal(), Some(SIGABRT), "{ended:?}");
    }
}
