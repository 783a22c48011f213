//! Steps of the flows, for the tests of workers.

use flowstate_diesel::prelude::*;

use crate::Database;
use crate::flows::Sync;

/// A step of [`Sync`] that fails to where it finishes: its handler is all that is of interest.
#[macro_export]
macro_rules! pick_step {
    () => {
        flowstate_diesel::Step::start($crate::flows::Sync::PICK)
            .finish($crate::flows::Sync::START_FETCH)
            .fail($crate::flows::Sync::START_FETCH)
    };
}

/// The fetching step of [`Sync`].
#[macro_export]
macro_rules! fetch_step {
    () => {
        flowstate_diesel::Step::start($crate::flows::Sync::START_FETCH)
            .finish($crate::flows::Sync::FINISH_FETCH)
            .fail($crate::flows::Sync::FAIL_FETCH)
            .retry(flowstate_diesel::Backoff::fixed(std::time::Duration::from_mins(1)).attempts(3))
    };
}

/// The saving step of [`Sync`], with its end.
#[macro_export]
macro_rules! save_step {
    () => {
        flowstate_diesel::Step::start($crate::flows::Sync::START_SAVE)
            .finish($crate::flows::Sync::FINISH_SAVE)
            .then($crate::flows::Sync::COMPLETE)
            .fail($crate::flows::Sync::FAIL_SAVE)
            .retry(flowstate_diesel::Backoff::fixed(std::time::Duration::from_mins(1)).attempts(3))
    };
}

/// The working step of [`Round`](crate::flows::Round), which comes round again.
#[macro_export]
macro_rules! round_step {
    () => {
        flowstate_diesel::Step::start($crate::flows::Round::START)
            .finish($crate::flows::Round::FINISH)
            .then($crate::flows::Round::AGAIN)
            .fail($crate::flows::Round::FAIL)
            .retry(flowstate_diesel::Backoff::fixed(std::time::Duration::from_mins(1)).attempts(3))
    };
}

/// The paying step of [`Round`](crate::flows::Round), which loads an artefact.
#[macro_export]
macro_rules! pay_step {
    () => {
        flowstate_diesel::Step::start($crate::flows::Round::PAY)
            .finish($crate::flows::Round::PAID)
            .fail($crate::flows::Round::REFUSE)
            .retry(flowstate_diesel::Backoff::fixed(std::time::Duration::from_mins(1)).attempts(3))
    };
}

/// The sending step of [`Letter`](crate::flows::Letter), with what a failed try takes.
#[macro_export]
macro_rules! send_step {
    ($fail:ident) => {
        flowstate_diesel::Step::start($crate::flows::Letter::SEND)
            .finish($crate::flows::Letter::ARRIVE)
            .fail($crate::flows::Letter::$fail)
            .retry(flowstate_diesel::Backoff::fixed(std::time::Duration::ZERO).attempts(3))
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
