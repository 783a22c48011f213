//! The threads of a worker: what each does next, and what they share.

pub(super) mod desk;
pub(super) mod handler;
mod heartbeat;
mod passed_over;
mod poll;
mod presence;
pub(super) mod run;
pub(super) mod runner;
mod schedule;
mod settle;
mod shutdown;
pub(crate) mod stats;
mod still_held;
pub(super) mod transactional;
mod trouble;
pub(super) mod unknown;
mod unwind;
pub(super) mod watermark;
