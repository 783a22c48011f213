//! The threads of a worker: what each does next, and what they share.

pub(super) mod desk;
pub(super) mod handler;
mod heartbeat;
mod poll;
mod presence;
pub(super) mod run;
pub(super) mod runner;
mod schedule;
mod settle;
mod shutdown;
pub(crate) mod stats;
pub(super) mod transactional;
mod trouble;
pub(super) mod unknown;
mod unwind;
pub(super) mod watermark;
