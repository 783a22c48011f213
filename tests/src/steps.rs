//! Steps of the flows, for the tests of workers.

use flowstate_diesel::prelude::*;

use crate::Database;
use crate::flows::Sync;

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

/// How many records are leased.
pub fn leased<D: Database>(conn: &mut D::Conn) -> i64 {
    D::number(conn, "SELECT COUNT(*) FROM flowstate_flows WHERE leased_until IS NOT NULL")
}
