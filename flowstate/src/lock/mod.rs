//! The lock file of a flow: what it was when records that run now came to where they stand.
//!
//! `#[flow(lock)]` has the derive hold the flow against `flows/<flow>.flow`, beside the crate's
//! manifest. A test writes the file and keeps it current:
//!
//! ```no_run
//! # use flowstate::{Artefact, Flow};
//! # fn of<Order: Flow, Receipt: Artefact<Order>>(order: &Order, receipt: &Receipt) {
//! // in a #[test]: any order and receipt, of which rows of later versions are held to be readable
//! flowstate::lock::sample_props(order);
//! flowstate::lock::sample::<Order, _>(receipt);
//! flowstate::lock::check::<Order>();
//! # }
//! ```

mod check;
mod format;
mod of_flow;
mod samples;
#[cfg(test)]
mod tests;

pub use check::check;
pub use format::{Gone, Kind, Lock, LockedState, LockedTransition, Misread};
pub use of_flow::of;
pub use samples::{sample, sample_props};

pub use crate::definition::LockFile;
