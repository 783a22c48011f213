//! What a worker does when there is nothing to do, or nothing that it may.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::r2d2::{ConnectionManager, Pool};
use flowstate_diesel::{Running, Worker, prelude::*};
use serde_json::json;

use crate::check::clean;
use crate::flows::{Receipt, Response, RoundWorkOutcome, releases};
use crate::gate::Gate;
use crate::statement_probe::Probe;
use crate::steps::picked;
use crate::{Database, child, fetch_step, pay_step, round_step, save_step};

/// Counts the looks of a worker, and its statements.
struct Looks {
    looks: Arc<Gate>,
    all: Arc<Gate>,
}

impl Looks {
    fn pool<D: Database>(url: &str) -> (Self, Pool<ConnectionManager<D::Conn>>) {
        let (looks, all) = (Gate::new(), Gate::new());
        let (count, count_all) = (Arc::clone(&looks), Arc::clone(&all));
        let probe = Probe::new(move |seen| {
            if !seen.answered {
                count_all.note();
            } else if seen.text.contains("UNION ALL") {
                count.note();
            }
        });
        (Self { looks, all }, D::probed_pool(url, 1, probe))
    }

    /// At most two statements a look, and pauses that grow.
    fn assert_idle(&self) {
        const LOOKS: usize = 6;
        // 5, 10, 20, 40, 80 milliseconds and so on
        self.looks.wait_for(3);
        let (looks, all) = (self.looks.come(), self.all.come());
        let begun = Instant::now();
        self.looks.wait_for(looks + LOOKS);
        let statements = self.all.come() - all;
        let most = 2 * (self.looks.come() - looks) + 2;
        assert!(statements <= most, "{statements} statements in {LOOKS} looks");
        let pauses = Duration::from_millis(5 * ((1 << LOOKS) - 1));
        assert!(begun.elapsed() >= pauses, "a busy loop: {LOOKS} looks in {:?}", begun.elapsed());
    }
}

/// Runs a scene in a process of its own: every commit of this one would wake the worker.
fn alone<D: Database>(scene: &str, database: &D) {
    let ended = child::run::<D>(&format!("idle {scene}"), &database.url());
    assert!(ended.status.success(), "{ended:?}");
}

/// The children of the tests that follow.
pub fn idle_in_child<D: Database>(scene: &str, url: &str) {
    match scene {
        "idle" => be_idle::<D>(url),
        "stranger" => pass_over_a_stranger::<D>(url),
        _ => be_woken::<D>(url),
    }
}

/// A worker with nothing to do makes two statements a look, however many steps it serves: one of
/// the pool, one of its own.
pub fn an_idle_worker_costs_two_statements_a_look<D: Database>() {
    alone("idle", &D::migrated());
}

fn be_idle<D: Database>(url: &str) {
    let (looks, pool) = Looks::pool::<D>(url);
    let _running = Worker::new(pool)
        .step(fetch_step!(), |_, ()| Ok(Response(json!(1))))
        .step(save_step!(), |_, _| Ok(()))
        .step(round_step!(), |_, ()| Ok(RoundWorkOutcome::Resting(Receipt::new())))
        .step(pay_step!(), |_, _| Ok(()))
        .threads(3)
        .poll(Duration::from_hours(1))
        .start()
        .expect("started");
    looks.assert_idle();
}

/// A20: rows in a state that the code does not know are left alone, and cost nothing.
pub fn a20_an_unknown_state_is_no_work<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    picked::<D>(conn, "stranger");
    // due, leased by somebody, and over its time
    let old = "2020-01-01 00:00:00.000000";
    let sql = format!(
        "UPDATE flowstate_flows SET state = 'from_the_future', leased_by = 'other', \
         leased_until = '{old}', deadline_at = '{old}'"
    );
    conn.batch_execute(&sql).expect("a stranger");
    let sql = "UPDATE flowstate_transitions SET to_state = 'from_the_future' WHERE seq = 1";
    conn.batch_execute(sql).expect("its history");
    let row = "SELECT COUNT(*) FROM flowstate_flows WHERE state = 'from_the_future' AND seq = 1 \
               AND leased_by = 'other' AND attempts = 0";
    assert_eq!(D::number(conn, row), 1);
    alone("stranger", &database);
    assert_eq!(D::number(conn, row), 1, "left alone");
    clean(conn);
}

fn pass_over_a_stranger<D: Database>(url: &str) {
    let (looks, pool) = Looks::pool::<D>(url);
    let served = Gate::new();
    let running = serving(&served, pool);
    looks.assert_idle();
    picked::<D>(&mut D::connect_to(url), "known");
    served.wait_for(1);
    let stats = running.shutdown(Duration::from_mins(1)).expect("stopped");
    assert_eq!((stats.claimed, stats.reaped, stats.timed), (1, 0, 0));
}

/// A worker that looks seldom and says what it serves.
fn serving<M>(served: &Arc<Gate>, pool: Pool<M>) -> Running<M>
where
    M: diesel::r2d2::ManageConnection<Connection: flowstate_diesel::Store>,
{
    let served = Arc::clone(served);
    let worker = Worker::new(pool).step(fetch_step!(), move |_, ()| {
        served.note();
        Ok(Response(json!(1)))
    });
    worker.poll(Duration::from_hours(1)).start().expect("started")
}

/// A21: the older program leaves records in a state of the newer one to that one.
pub fn a21_the_older_program_leaves_new_states_alone<D: Database>() {
    use releases::{v1, v2};
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut weighed = v2::Parcel { to: "a".to_owned() }.create(conn).expect("created");
    weighed.transition(v2::Parcel::WEIGH, conn).run().expect("weighed");
    let plain = v1::Parcel { to: "b".to_owned() }.create(conn).expect("created");
    let old = || v1::Parcel::SEND;
    let stats = Worker::new(database.pool(1)).step(old(), |_, ()| Ok(())).run_until_idle();
    assert_eq!(stats.expect("ran").finished, 1);
    let new = v2::Parcel::SEND;
    weighed.reload(conn).expect("read");
    assert_eq!(weighed.state(), v2::ParcelState::Weighed);
    assert!(v1::Parcel::find(plain.id(), conn).expect("found").is_completed());
    let stats = Worker::new(database.pool(1)).step(new, |_, ()| Ok(())).run_until_idle();
    assert_eq!(stats.expect("ran").finished, 1);
    weighed.reload(conn).expect("read");
    assert!(weighed.is_completed());
    clean(conn);
}

/// A21: both programs at once: each record that only the newer one knows is left to it.
pub fn a21_two_versions_at_once<D: Database>() {
    use releases::{v1, v2};
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut weighed = Vec::new();
    for n in 0..20 {
        let mut parcel = v2::Parcel { to: format!("{n}") }.create(conn).expect("created");
        if n % 2 == 0 {
            parcel.transition(v2::Parcel::WEIGH, conn).run().expect("weighed");
            weighed.push(parcel.id());
        }
    }
    let taken = Arc::new(Mutex::new(Vec::new()));
    let older = Worker::new(database.pool(1))
        .step(v1::Parcel::SEND, {
            let taken = Arc::clone(&taken);
            move |claim, ()| {
                taken.lock().expect("not poisoned").push(claim.id());
                Ok(())
            }
        })
        .start()
        .expect("started");
    let newer = Worker::new(database.pool(1))
        .step(v2::Parcel::SEND, |_, ()| Ok(()))
        .start()
        .expect("started");
    let sent = "SELECT COUNT(*) FROM flowstate_flows WHERE state = 'sent'";
    while D::number(conn, sent) < 20 {
        std::thread::yield_now();
    }
    let [older, newer] = [older, newer].map(|worker| {
        let stats = worker.shutdown(Duration::from_mins(1)).expect("stopped");
        assert_eq!((stats.failed, stats.lost, stats.reaped), (0, 0, 0));
        stats.finished
    });
    assert_eq!(older + newer, 20);
    let taken = taken.lock().expect("not poisoned");
    assert!(taken.iter().all(|id| !weighed.contains(id)), "{taken:?} {weighed:?}");
    clean(conn);
}

/// A transition made in the same process is seen at once, however seldom the worker looks.
pub fn a_transition_wakes_the_worker<D: Database>() {
    alone("wake", &D::migrated());
}

fn be_woken<D: Database>(url: &str) {
    let (looks, pool) = Looks::pool::<D>(url);
    let (served, asked) = (Gate::new(), Arc::clone(&looks.looks));
    let looked = Arc::new(Mutex::new(None));
    let _running = Worker::new(pool)
        .step(fetch_step!(), {
            let (served, looked) = (Arc::clone(&served), Arc::clone(&looked));
            move |_, ()| {
                *looked.lock().expect("not poisoned") = Some(asked.come());
                served.note();
                Ok(Response(json!(1)))
            }
        })
        .poll(Duration::from_hours(1))
        .start()
        .expect("started");
    // by now it pauses for more than two seconds
    looks.looks.wait_for(10);
    let before = looks.looks.come();
    picked::<D>(&mut D::connect_to(url), "a");
    served.wait_for(1);
    // it knew where to look: nothing was asked before the claim
    assert_eq!(*looked.lock().expect("not poisoned"), Some(before));
}

/// While handlers run there is no transaction on the database and no connection out of the pool,
/// neither of theirs nor of the claims that wait behind them; what they were given was loaded before.
pub fn a_handler_holds_nothing<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    for n in 0..5 {
        picked::<D>(conn, &format!("{n}"));
    }
    let worker = Worker::new(database.pool(2));
    let fetched = worker.step(fetch_step!(), |_, ()| Ok(Response(json!(1)))).run_until_idle();
    assert_eq!(fetched.expect("ran").finished, 5);
    let (gate, pool) = (Gate::new(), database.pool(2));
    let running = Worker::new(pool.clone())
        .step(save_step!().batch(4), {
            let gate = Arc::clone(&gate);
            move |_, Response(body)| {
                assert_eq!(body, json!(1));
                gate.pass();
                Ok(())
            }
        })
        .threads(2)
        .poll(Duration::from_hours(1))
        .start()
        .expect("started");
    gate.wait_for(2);
    // the worker may still be saying that it lives; InnoDB shows anew what is open only to who has
    // not asked for a tenth of a second
    Gate::new().wait_for_one(|| {
        std::thread::sleep(Duration::from_millis(150));
        let state = pool.state();
        D::open_transactions(conn) == 0 && state.connections == state.idle_connections
    });
    gate.open();
    running.shutdown(Duration::from_mins(1)).expect("stopped");
}
