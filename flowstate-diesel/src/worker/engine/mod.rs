//! The threads of a worker: what each does, and what they share. See the `README.md` beside this file.

mod core;
mod desk;
mod ended;
mod found;
pub(super) mod handler;
mod handlers;
mod heartbeat;
pub(super) mod known;
mod left_alone;
pub(super) mod listen;
#[cfg(feature = "metrics")]
mod numbers;
mod outbox;
mod overdue;
mod passed_over;
mod poll;
mod presence;
mod questions;
pub(super) mod run;
pub(super) mod runner;
mod schedule;
mod settle;
mod shutdown;
mod stage;
pub(crate) mod stats;
mod still_held;
mod strays;
pub(super) mod transactional;
mod trouble;
mod unknown;
pub(super) mod unwind;
mod visit;
mod watch;
mod watchdog;
pub(super) mod watermark;

pub(super) use self::core::Core;
