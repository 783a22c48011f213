//! The lock file of a flow: what it was when records that run now came to where they stand.
//!
//! `#[flow(lock)]` has the derive hold the flow against `flows/<flow>.flow`, beside the crate's
//! manifest. A test writes the file and keeps it current:
//!
//! ```no_run
//! # use flowstate::Flow;
//! # fn of<Order: Flow>() {
//! flowstate::lock::check::<Order>(); // in a #[test]
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
