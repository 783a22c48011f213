//! Workers that hear what other processes commit, with polls an hour apart.

use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::r2d2::ConnectionManager;
use flowstate_diesel::{Announcer, Running, Worker, prelude::*};
use serde_json::json;

use crate::flows::{Response, Sync, SyncState};
use crate::gate::Gate;
use crate::set_up_connection::SetUpConnections;
use crate::statement_probe::{Probe, Recorded};
use crate::steps::picked;
use crate::tracing_capture::Capture;
use crate::{Database, child, fetch_step};

/// So many records, each made when the one before is done.
const ROUNDS: usize = 20;

type Listening<D> = Running<ConnectionManager<<D as Database>::Conn>>;

/// A worker that listens, what it has served, and its statements. Its pool has one connection.
fn listening<D: Database>(url: &str, heard_at: &str) -> (Listening<D>, Arc<Gate>, Recorded) {
    let (probe, kept) = Probe::recording();
    let served = Gate::new();
    let count = Arc::clone(&served);
    let worker = Worker::new(D::probed_pool(url, 1, probe)).step(fetch_step!(), move |_, ()| {
        count.note();
        Ok(Response(json!(1)))
    });
    let worker = worker.listen(ConnectionManager::<D::Conn>::new(heard_at));
    let running = worker.threads(2).poll(Duration::from_hours(1)).start().expect("started");
    (running, served, kept)
}

/// Whether something was claimed, other than at first, that no poll had seen.
fn claimed_without_a_poll(statements: &[String]) -> bool {
    let mut since = None;
    statements.iter().any(|text| {
        if text.contains("UNION ALL") {
            since = since.map(|_| true);
            return false;
        }
        text.contains("was_due") && since.replace(false) == Some(false)
    })
}

fn alone<D: Database>(scene: &str, database: &D) {
    let ended = child::run::<D>(&format!("listen {scene}"), &database.url());
    assert!(ended.status.success(), "{ended:?}");
}

/// The children of the tests that follow: every commit of this process would wake a worker.
pub fn listen_in_child<D: Database>(scene: &str, url: &str) {
    match scene {
        "claim" => claim_what_is_announced::<D>(url),
        "announce" => announce::<D>(url),
        "hand" => hear_what_is_announced_by_hand::<D>(url),
        "deaf" => be_deaf::<D>(url),
        _ => see_each_commit::<D>(url),
    }
}

/// What another process commits and announces is claimed without a poll, and the last announcement
/// is made before that process ends.
pub fn what_another_process_announces_is_claimed_at_once<D: Database>() {
    let database = D::migrated();
    let mut worker =
        child::Running::start(child::command::<D>("listen claim", &database.url())).ready();
    worker.go();
    alone("announce", &database);
    let ended = worker.end();
    assert!(ended.status.success(), "{ended:?}");
    let conn = &mut database.connect();
    crate::check::clean(conn);
}

fn claim_what_is_announced<D: Database>(url: &str) {
    let (running, served, kept) = listening::<D>(url, url);
    child::wait_for_go();
    served.wait_for(ROUNDS);
    let stats = running.shutdown(Duration::from_mins(1)).expect("stopped");
    assert_eq!(stats.finished, ROUNDS as u64);
    let kept = kept.take();
    assert!(claimed_without_a_poll(&kept), "{kept:#?}");
}

fn announce<D: Database>(url: &str) {
    let (probe, kept) = Probe::recording();
    let announcer = Announcer::start(D::probed_pool(url, 1, probe.clone())).expect("started");
    let (writing, written) = Probe::recording();
    let conn = &mut D::connect_to(url);
    writing.over(conn);
    let reader = &mut D::connect_to(url);
    for _ in 0..ROUNDS - 1 {
        let id = picked::<D>(conn, "announced");
        Gate::new()
            .wait_for_one(|| Sync::find(id, reader).expect("found").state() == SyncState::Fetched);
    }
    picked::<D>(conn, "the last");
    drop(announcer);
    assert!(!written.take().iter().any(|text| text.contains("pg_notify")), "none of theirs");
    let kept = kept.take();
    assert!(kept.iter().any(|text| text.contains("pg_notify")), "{kept:?}");
}

/// What is announced by hand is heard, on another connection too when the server has closed the one
/// before.
pub fn a_listener_that_was_cut_off_listens_again<D: Database>() {
    alone("hand", &D::migrated());
}

fn hear_what_is_announced_by_hand<D: Database>(url: &str) {
    let (running, served, kept) = listening::<D>(url, url);
    let conn = &mut D::connect_to(url);
    let listener = "SELECT CAST(MAX(pid) AS text) FROM pg_stat_activity \
         WHERE application_name = current_schema() AND query LIKE 'LISTEN%'";
    let mut before = None;
    for _ in 0..2 {
        let mut now = None;
        Gate::new().wait_for_one(|| {
            now = D::text(conn, listener);
            now.is_some() && now != before
        });
        let done = served.come();
        for round in done + 1..=done + ROUNDS {
            conn.batch_execute(
                r#"INSERT INTO flowstate_flows
                   (flow, state, seq, props, attempts, due_at, created_at, updated_at)
                   VALUES ('sync', 'picked', 1, '{"record_id": "a", "party_id": "b"}', 0,
                           now(), now(), now());
                   SELECT pg_notify('flowstate_' || 'flowstate_flows'::regclass::oid,
                                    E'sync\npicked')"#,
            )
            .expect("committed");
            served.wait_for(round);
        }
        let kept = kept.take();
        assert!(claimed_without_a_poll(&kept), "{kept:#?}");
        let pid = now.expect("somebody listens");
        conn.batch_execute(&format!("SELECT pg_terminate_backend({pid})")).expect("cut off");
        before = Some(pid);
    }
    running.shutdown(Duration::from_mins(1)).expect("stopped");
}

/// Where announcements do not arrive, that is told, and the polls go on.
pub fn a_deaf_listener_is_told<D: Database>() {
    alone("deaf", &D::migrated());
}

fn be_deaf<D: Database>(url: &str) {
    let capture = Capture::start();
    // another channel, as behind a pooler that gives each statement another session
    let elsewhere = D::migrated();
    let (running, served, _) = listening::<D>(url, &elsewhere.url());
    picked::<D>(&mut D::connect_to(url), "a");
    served.wait_for(1);
    let is_told = || {
        let told = capture.captured();
        told.iter().any(|told| {
            let error = told.fields.get("error");
            error.is_some_and(|error| error.contains("does not arrive"))
        })
    };
    Gate::new().wait_for_one(is_told);
    running.shutdown(Duration::from_mins(1)).expect("stopped");
}

/// Where nothing can be announced, that is tried now and then, and not at each look of the listener.
pub fn echoes_that_cannot_be_sent_are_rare<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let schema = D::text(conn, "SELECT current_schema()").expect("a schema");
    conn.batch_execute(
        "CREATE FUNCTION pg_notify(text, text) RETURNS void LANGUAGE plpgsql \
         AS $$ BEGIN RAISE 'the queue is full'; END $$",
    )
    .expect("one that fails");
    let (probe, kept) = Probe::recording();
    let pool = SetUpConnections::<D>::pool(&database.url(), 1, move |conn| {
        conn.batch_execute(&format!("SET search_path = {schema}, pg_catalog")).expect("ours first");
        probe.over(conn);
    });
    let running = Worker::new(pool)
        .step(fetch_step!(), |_, ()| Ok(Response(json!(1))))
        .listen(SetUpConnections::<D>::new(&database.url(), |_| {}))
        .poll(Duration::from_millis(20))
        .start()
        .expect("started");
    Gate::new().wait_for_one(|| kept.count(|text| text.contains("UNION ALL")) >= 40);
    running.shutdown(Duration::from_mins(1)).expect("stopped");
    let tried = kept.count(|text| text.contains("pg_notify"));
    assert!((1..10).contains(&tried), "{tried}");
}

/// Each commit to the file, by whoever, is followed by a poll.
pub fn every_commit_to_the_file_is_seen<D: Database>() {
    alone("file", &D::migrated());
}

fn see_each_commit<D: Database>(url: &str) {
    const NOW: &str = "strftime('%Y-%m-%d %H:%M:%f000', 'now')";
    let (running, served, kept) = listening::<D>(url, url);
    let looks = || kept.count(|text| text.contains("UNION ALL"));
    let conn = &mut D::connect_to(url);
    let insert = |state: &str, due: &str| {
        format!(
            r#"INSERT INTO flowstate_flows
               (flow, state, seq, props, attempts, due_at, created_at, updated_at)
               VALUES ('sync', '{state}', 1, '{{"record_id": "a", "party_id": "b"}}', 0,
                       {due}, {NOW}, {NOW})"#
        )
    };
    // by themselves polls come ever more seldom: the last of so many would be years away
    for _ in 0..10 * ROUNDS {
        let before = looks();
        conn.batch_execute(&insert("pending", "NULL")).expect("committed");
        Gate::new().wait_for_one(|| looks() > before);
    }
    conn.batch_execute(&insert("picked", NOW)).expect("committed");
    served.wait_for(1);
    let begun = Instant::now();
    running.shutdown(Duration::from_mins(10)).expect("stopped");
    assert!(begun.elapsed() < Duration::from_mins(5), "nobody waits for the grace");
}
