//! Triggers of the user's that wait for somebody's lock, in the statements of a worker: what they are
//! asked for one record keeps no other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::r2d2::Pool;
use flowstate_diesel::{Worker, claim_next, prelude::*};
use serde_json::json;

use crate::check::clean;
use crate::flows::{Response, Sync, SyncState};
use crate::gate::Gate;
use crate::set_up_connection::SetUpConnections;
use crate::steps::{picked, waiting_at};
use crate::{Database, fetch_step};

const FETCHED: &str = "SELECT COUNT(*) FROM flowstate_flows WHERE state = 'fetched'";

/// Has every update of a row of which `when` is true wait for a row of the user's.
fn wait_at_updates<D: Database>(conn: &mut D::Conn, when: &str) {
    conn.batch_execute("CREATE TABLE slow (id BIGINT NOT NULL PRIMARY KEY)").expect("a table");
    conn.batch_execute("INSERT INTO slow VALUES (1)").expect("a row");
    let sql = match D::FOLDER {
        "mysql" => format!(
            "CREATE TRIGGER waits BEFORE UPDATE ON flowstate_flows FOR EACH ROW \
             IF {when} THEN SELECT id INTO @slow FROM slow WHERE id = 1 FOR UPDATE; END IF"
        ),
        _ => format!(
            "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN PERFORM id FROM slow WHERE id = 1 FOR UPDATE; RETURN NEW; END $$; \
             CREATE TRIGGER waits BEFORE UPDATE ON flowstate_flows FOR EACH ROW \
             WHEN ({when}) EXECUTE FUNCTION wait()"
        ),
    };
    conn.batch_execute(&sql).expect("a trigger");
}

fn hold<D: Database>(conn: &mut D::Conn) {
    conn.batch_execute("BEGIN").expect("begun");
    D::number(conn, "SELECT id FROM slow WHERE id = 1 FOR UPDATE");
}

/// Connections that wait for ten minutes by themselves, and how many were made.
fn patient<D: Database>(url: &str) -> (Pool<SetUpConnections<D>>, Arc<AtomicU32>) {
    let bound = match D::FOLDER {
        "mysql" => "SET SESSION innodb_lock_wait_timeout = 600",
        _ => "SET lock_timeout = '10min'",
    };
    let made = Arc::<AtomicU32>::default();
    let count = Arc::clone(&made);
    let pool = SetUpConnections::<D>::pool(url, 4, move |conn| {
        conn.batch_execute(bound).expect("set");
        count.fetch_add(1, Ordering::SeqCst);
    });
    (pool, made)
}

/// A record whose claim, or whose finish, waits in a trigger for somebody's lock keeps no other waiting,
/// neither those of its batch nor those behind it: no call lasts so long that a thread of the worker is
/// replaced. Its own result is kept, and written when the lock is let go.
pub fn a_trigger_that_waits_keeps_no_other<D: Database>() {
    for (from, to) in [("picked", "fetching"), ("fetching", "fetched")] {
        let database = D::migrated();
        let conn = &mut database.connect();
        let ids: Vec<_> = (0..10).map(|n| picked::<D>(conn, &format!("{n}"))).collect();
        let when = format!("NEW.id = {} AND OLD.state = '{from}' AND NEW.state = '{to}'", ids[3]);
        wait_at_updates::<D>(conn, &when);
        let other = &mut database.connect();
        hold::<D>(other);
        let (pool, made) = patient::<D>(&database.url());
        let ran = Gate::new();
        let running = Worker::new(pool.clone())
            .step(fetch_step!().batch(10), {
                let ran = Arc::clone(&ran);
                move |_, ()| {
                    ran.note();
                    Ok(Response(json!(1)))
                }
            })
            .threads(4)
            .poll(Duration::from_millis(50))
            .start()
            .expect("started");
        Gate::new().wait_for_one(|| D::number(conn, FETCHED) == 9);
        for n in 10..15 {
            picked::<D>(conn, &format!("{n}"));
        }
        Gate::new().wait_for_one(|| D::number(conn, FETCHED) == 14);
        let waits = Sync::find(ids[3], conn).expect("found");
        assert_ne!(waits.state(), SyncState::Fetched, "{from}");
        other.batch_execute("ROLLBACK").expect("let go");
        Gate::new().wait_for_one(|| D::number(conn, FETCHED) == 15);
        let stats = running.shutdown(Duration::from_mins(1)).expect("stopped");
        assert_eq!((stats.finished, stats.failed, stats.lost, stats.reaped), (15, 0, 0, 0));
        assert_eq!(ran.come(), 15, "each has run once");
        assert_eq!(made.load(Ordering::SeqCst), 4, "no connection was given up");
        let bound = match D::FOLDER {
            "mysql" => "SELECT @@SESSION.innodb_lock_wait_timeout",
            _ => "SELECT setting::bigint / 1000 FROM pg_settings WHERE name = 'lock_timeout'",
        };
        let conns: Vec<_> = (0..4).map(|_| pool.get().expect("a connection")).collect();
        for mut conn in conns {
            assert_eq!(D::number(&mut conn, bound), 600, "as it was set");
        }
        clean(conn);
    }
}

/// A claim by hand of the oldest record waits for its trigger no longer than a worker does, and takes
/// the next one.
pub fn a_claim_by_hand_passes_over_what_waits<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let ids = [picked::<D>(conn, "waits"), picked::<D>(conn, "next")];
    wait_at_updates::<D>(conn, &format!("NEW.id = {} AND NEW.state = 'fetching'", ids[0]));
    let other = &mut database.connect();
    hold::<D>(other);
    let (pool, _) = patient::<D>(&database.url());
    let patient = &mut pool.get().expect("a connection");
    let claim = claim_next(fetch_step!(), patient).expect("no error").expect("a claim");
    assert_eq!(claim.id(), ids[1]);
    claim.finish(Response(json!(1)), patient).expect("finished");
    other.batch_execute("ROLLBACK").expect("let go");
    let claim = claim_next(fetch_step!(), patient).expect("no error").expect("a claim");
    assert_eq!(claim.id(), ids[0]);
    claim.finish(Response(json!(1)), patient).expect("finished");
    clean(conn);
}

/// A claim whose extension waits in a trigger for somebody's lock keeps no other lease from being
/// extended.
pub fn a_lease_that_waits_keeps_no_other<D: Database>() {
    const LEASE: Duration = Duration::from_secs(6);
    let database = D::migrated();
    let conn = &mut database.connect();
    let ids: Vec<_> = (0..4).map(|n| picked::<D>(conn, &format!("{n}"))).collect();
    let when = format!("NEW.id = {} AND OLD.state = 'fetching' AND NEW.state = 'fetching'", ids[2]);
    wait_at_updates::<D>(conn, &when);
    let other = &mut database.connect();
    hold::<D>(other);
    let (pool, made) = patient::<D>(&database.url());
    let gate = Gate::new();
    let running = Worker::new(pool)
        .step(fetch_step!().lease(LEASE), waiting_at(&gate))
        .threads(4)
        .start()
        .expect("started");
    gate.wait_for(4);
    let mut reaped = 0;
    Gate::new().wait_for_one(|| {
        reaped += flowstate_diesel::reap(fetch_step!(), conn).expect("reaped");
        reaped > 0
    });
    assert_eq!(reaped, 1, "only the one has run out");
    gate.open();
    let stats = running.shutdown(Duration::from_mins(1)).expect("stopped");
    assert_eq!((stats.finished, stats.lost), (3, 1));
    assert_eq!(made.load(Ordering::SeqCst), 4, "no connection was given up");
    other.batch_execute("ROLLBACK").expect("let go");
    clean(conn);
}
