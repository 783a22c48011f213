//! Steps of the flows, for the tests of workers.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use flowstate_diesel::prelude::*;
use flowstate_diesel::{Claim, StepError};
use serde_json::json;

use crate::Database;
use crate::flows::{Response, Sync, SyncFetch};
use crate::gate::Gate;
use crate::statement_probe::Probe;

/// The only step of [`Errand`](crate::flows::Errand).
#[macro_export]
macro_rules! errand_step {
    () => {
        flowstate_diesel::Step::retry(
            $crate::flows::Errand::RUN,
            flowstate_diesel::Backoff::fixed(std::time::Duration::from_mins(1)).attempts(3),
        )
    };
}

/// The fetching step of [`Sync`].
#[macro_export]
macro_rules! fetch_step {
    () => {
        flowstate_diesel::Step::retry(
            $crate::flows::Sync::FETCH,
            flowstate_diesel::Backoff::fixed(std::time::Duration::from_mins(1)).attempts(3),
        )
    };
}

/// The saving step of [`Sync`], with its end.
#[macro_export]
macro_rules! save_step {
    () => {
        flowstate_diesel::Step::retry(
            $crate::flows::Sync::SAVE,
            flowstate_diesel::Backoff::fixed(std::time::Duration::from_mins(1)).attempts(3),
        )
    };
}

/// The working step of [`Round`](crate::flows::Round), which comes round again.
#[macro_export]
macro_rules! round_step {
    () => {
        flowstate_diesel::Step::retry(
            $crate::flows::Round::WORK,
            flowstate_diesel::Backoff::fixed(std::time::Duration::from_mins(1)).attempts(3),
        )
    };
}

/// The paying step of [`Round`](crate::flows::Round), which loads an artefact.
#[macro_export]
macro_rules! pay_step {
    () => {
        flowstate_diesel::Step::retry(
            $crate::flows::Round::PAY,
            flowstate_diesel::Backoff::fixed(std::time::Duration::from_mins(1)).attempts(3),
        )
    };
}

/// The sending step of [`Letter`](crate::flows::Letter).
#[macro_export]
macro_rules! send_step {
    () => {
        flowstate_diesel::Step::retry(
            $crate::flows::Letter::SEND,
            flowstate_diesel::Backoff::fixed(std::time::Duration::ZERO).attempts(3),
        )
    };
}

/// A record that waits for the fetching step.
pub fn picked<D: Database>(conn: &mut D::Conn, name: &str) -> i64 {
    let mut flow = Sync::new(name).create(conn).expect("created");
    flow.transition(Sync::PICK, conn).run().expect("picked");
    flow.id()
}

/// Records that wait for the fetching step, all of them due at the same time.
pub fn picked_together<D: Database>(conn: &mut D::Conn, records: usize) -> Vec<i64> {
    let ids = (0..records).map(|n| picked::<D>(conn, &n.to_string())).collect();
    due_together(conn);
    ids
}

/// Has all that is due be due since the same time: one claim finds all of it or nothing, however
/// late it comes on a slow machine.
pub fn due_together(conn: &mut impl SimpleConnection) {
    let sql = "UPDATE flowstate_flows SET due_at = '2026-01-01 00:00:00.000000' \
               WHERE due_at IS NOT NULL";
    conn.batch_execute(sql).expect("due");
}

/// How many records are leased.
pub fn leased<D: Database>(conn: &mut D::Conn) -> i64 {
    D::number(conn, "SELECT COUNT(*) FROM flowstate_flows WHERE leased_until IS NOT NULL")
}

/// Stops at the answer to the claim with which so many records are leased. (One that a slow machine sends
/// too late finds nothing.)
pub fn claiming<D: Database>(database: &D, records: i64, gate: &Arc<Gate>) -> Probe {
    let (conn, gate) = (Mutex::new(database.connect()), Arc::clone(gate));
    Probe::new(move |seen| {
        // one statement, or the end of a transaction
        let claims = seen.commits() || seen.text.starts_with("WITH");
        if seen.answered && claims && leased::<D>(&mut conn.lock().expect("no panic")) == records {
            gate.pass();
        }
    })
}

/// Waits until so many records are leased.
pub fn wait_until_leased<D: Database>(conn: &mut D::Conn, records: i64) {
    let begun = Instant::now();
    while leased::<D>(conn) != records {
        assert!(begun.elapsed() < Duration::from_mins(1), "{} are leased", leased::<D>(conn));
        thread::sleep(Duration::from_millis(10));
    }
}

/// A handler of the fetching step that waits at this gate.
pub fn waiting_at(
    gate: &Arc<Gate>,
) -> impl Fn(&Claim<SyncFetch>, ()) -> Result<Response, StepError> + Send + std::marker::Sync + use<>
{
    let gate = Arc::clone(gate);
    move |_, ()| {
        gate.pass();
        Ok(Response(json!(1)))
    }
}
