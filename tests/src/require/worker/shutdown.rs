//! A29: a shutdown in every phase of a step. Afterwards nothing waits for a lease to run out.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::r2d2::ManageConnection;
use flowstate_diesel::{Error, Running, Stats, Store, Worker, prelude::*};
use serde_json::json;

use crate::check::{self, clean};
use crate::flows::{Response, Sync, SyncState};
use crate::gate::Gate;
use crate::statement_probe::Probe;
use crate::steps::{leased, picked, picked_together, wait_until_leased, waiting_at};
use crate::tracing_capture::listening;
use crate::{Database, fetch_step, save_step, steps};

/// A grace of less than a second may last a second; the rest is for a machine with much to do.
const IN_TIME: Duration = Duration::from_secs(3);
/// Not a speed: a hang is what takes longer.
const NO_HANG: Duration = Duration::from_secs(8);
const SHORT: Duration = Duration::from_millis(100);

/// Shuts down, and opens `gate` once the worker has begun to stop, if the grace allows for what
/// waits there.
fn shut_down<M: ManageConnection<Connection: Store>>(
    running: Running<M>,
    grace: Duration,
    gate: &Arc<Gate>,
) -> Result<Stats, Error> {
    let opened = Arc::clone(gate);
    let hear = move |message: &str| {
        if grace > SHORT && message == "the worker is stopping" {
            opened.open();
        }
    };
    let stopped = listening(hear, || running.shutdown(grace));
    gate.open();
    stopped
}

/// What is due is not due any more.
fn out_of_the_way(conn: &mut impl SimpleConnection) {
    conn.batch_execute("UPDATE flowstate_flows SET due_at = NULL").expect("out of the way");
}

fn fetched<D: Database>(conn: &mut D::Conn) -> i64 {
    let mut flow = Sync::new("a").create(conn).expect("created");
    flow.transition(Sync::PICK, conn).then(Sync::START_FETCH).run().expect("fetching");
    flow.transition(Sync::FINISH_FETCH, conn).persist(Response(json!(1))).run().expect("fetched");
    flow.id()
}

/// A worker that waits for work, or for its next look in an hour, stops at once.
pub fn a29_an_idle_worker_stops<D: Database>() {
    let database = D::migrated();
    let (looked, begun) = (Gate::new(), Instant::now());
    let noting = Arc::clone(&looked);
    let probe = Probe::new(move |seen| {
        if seen.ends(&["UNION ALL"]) {
            noting.note();
        }
    });
    let worker = Worker::new(D::probed_pool(&database.url(), 1, probe))
        .step(fetch_step!(), |_, ()| Ok(Response(json!(1))))
        .poll(Duration::from_hours(1));
    let running = worker.threads(3).start().expect("started");
    looked.wait_for(4);
    running.shutdown(Duration::from_hours(1)).expect("stopped");
    assert!(begun.elapsed() < NO_HANG, "{:?}", begun.elapsed());
}

/// What is claimed and not begun is given back at once; what runs may end within the grace.
pub fn a29_queued_claims_are_given_back<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    picked_together::<D>(conn, 3);
    let gate = Gate::new();
    let running = Worker::new(database.pool(1))
        .step(fetch_step!().batch(3), waiting_at(&gate))
        .start()
        .expect("started");
    gate.wait_for(1);
    let stats = thread::scope(|scope| {
        let stopping = scope.spawn(|| running.shutdown(Duration::from_mins(1)));
        // the two others are given back while the first one still runs
        wait_until_leased::<D>(conn, 1);
        gate.open();
        stopping.join().expect("no panic").expect("stopped")
    });
    assert_eq!((stats.finished, stats.released, stats.running), (1, 2, 0), "{stats:?}");
    assert_eq!(leased::<D>(conn), 0);
    clean(conn);
}

/// A transactional handler that outlives the grace has the row's lock, so nobody can give its
/// record back: the shutdown returns all the same, and what the handler did commits.
pub fn a29_a_transactional_handler_outlives_the_grace<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    check::make_effects(conn);
    let id = fetched::<D>(conn);
    let (gate, ended) = (Gate::new(), Gate::new());
    let pool = database.pool(1);
    let running = Worker::new(pool.clone())
        .transactional_step(save_step!(), {
            let (gate, ended) = (Arc::clone(&gate), Arc::clone(&ended));
            move |_, _, conn| {
                conn.batch_execute("INSERT INTO effects VALUES ('saved')")?;
                gate.pass();
                ended.note();
                Ok(())
            }
        })
        .start()
        .expect("started");
    gate.wait_for(1);
    let begun = Instant::now();
    running.shutdown(SHORT).expect("there was nothing to give back");
    assert!(begun.elapsed() < IN_TIME, "{:?}", begun.elapsed());
    gate.open();
    // the connection comes back when it has committed
    drop(pool.get_timeout(NO_HANG).expect("a connection"));
    let flow = Sync::find(id, conn).expect("found");
    assert_eq!(flow.state(), SyncState::Completed);
    assert_eq!((check::rows::<D>(conn, "effects"), leased::<D>(conn)), (1, 0));
    clean(conn);
}

/// The handler is done and its finish is on its way: it is waited for, or refused as a whole.
pub fn a29_a_finish_under_way_is_whole<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    for grace in [SHORT, Duration::from_mins(1)] {
        let id = picked::<D>(conn, "a");
        let finishing = Gate::new();
        let probe = {
            let finishing = Arc::clone(&finishing);
            Probe::new(move |seen| {
                if seen.starts(&["UPDATE flowstate_flows", "fetched"]) {
                    finishing.pass();
                }
            })
        };
        let running = Worker::new(D::probed_pool(&database.url(), 2, probe))
            .step(fetch_step!(), |_, ()| Ok(Response(json!(1))))
            .start()
            .expect("started");
        finishing.wait_for(1);
        // on SQLite the finish holds the database: giving back fails, in bounded time
        if let Ok(stats) = shut_down(running, grace, &finishing) {
            assert_eq!(stats.finished + stats.released, 1);
        }
        // whoever was later has given way by the time the row can be locked
        let mut flow = Sync::find(id, conn).expect("found");
        let begun = Instant::now();
        while flow.state() == SyncState::Fetching && begun.elapsed() < NO_HANG {
            flow.reload(conn).expect("read");
        }
        assert_ne!(flow.state(), SyncState::Fetching);
        assert_eq!(leased::<D>(conn), 0);
        out_of_the_way(conn);
        clean(conn);
    }
}

/// The worker is claiming: what it gets after the shutdown began is given back.
pub fn a29_a_claim_under_way_is_given_back<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    for grace in [Duration::ZERO, Duration::from_mins(1)] {
        let id = picked::<D>(conn, "a");
        let claiming = Gate::new();
        let pool = D::probed_pool(&database.url(), 1, steps::claiming(&database, 1, &claiming));
        let running = Worker::new(pool.clone())
            .step(fetch_step!(), |_, ()| unreachable!("it is stopping"))
            .start()
            .expect("started");
        claiming.wait_for(1);
        let begun = Instant::now();
        shut_down(running, grace, &claiming).expect("stopped");
        assert!(begun.elapsed() < IN_TIME, "{:?}", begun.elapsed());
        let mut flow = Sync::find(id, conn).expect("found");
        let begun = Instant::now();
        while flow.seq() < 3 && begun.elapsed() < NO_HANG {
            flow.reload(conn).expect("read");
        }
        // at SERIALIZABLE the server may refuse the claim
        let is_claimed = flow.seq() > 1 || !D::IS_ISOLATED;
        let (seq, attempt) = if is_claimed { (3, 1) } else { (1, 0) };
        assert_eq!((flow.seq(), flow.attempt(), flow.state()), (seq, attempt, SyncState::Picked));
        assert_eq!(leased::<D>(conn), 0, "nothing waits for a lease");
        out_of_the_way(conn);
        clean(conn);
    }
}

/// A worker that is dropped gives back at once what is not begun, and lets the handler end.
pub fn a29_a_dropped_worker_gives_back<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let ids = picked_together::<D>(conn, 2);
    let gate = Gate::new();
    let running = Worker::new(database.pool(1))
        .step(fetch_step!().batch(2), waiting_at(&gate))
        .start()
        .expect("started");
    gate.wait_for(1);
    thread::scope(|scope| {
        let dropping = scope.spawn(move || drop(running));
        wait_until_leased::<D>(conn, 1);
        gate.open();
        dropping.join().expect("no panic");
    });
    assert_eq!(leased::<D>(conn), 0);
    let found = ids.iter().map(|id| Sync::find(*id, conn).expect("found").state());
    let mut states: Vec<_> = found.collect();
    states.sort_unstable_by_key(|state| state.as_str());
    assert_eq!(states, [SyncState::Fetched, SyncState::Picked]);
    clean(conn);
}
