//! The threads of a worker: what each does, and what they share. See the `README.md` beside this file.

mod core;
mod desk;
mod ended;
pub(super) mod handler;
mod handlers;
mod heartbeat;
pub(super) mod known;
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
pub(crate) mod stats;
mod still_held;
mod strays;
pub(super) mod transactional;
mod trouble;
mod unknown;
mod unwind;
pub(super) mod watermark;

pub(super) use self::core::Core;
