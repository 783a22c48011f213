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
#[cfg(test)]
mod tests;

pub use check::check;
pub use format::{Gone, Kind, Lock, LockedState, LockedTransition, Misread};
pub use of_flow::of;

/// A lock file as it was when the program was compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockFile {
    /// Where it is on the machine that compiled the program.
    pub path: &'static str,
    /// What is in it.
    pub text: &'static str,
}

impl LockFile {
    /// The file at this path, with this text: as the derive writes it.
    #[must_use]
    pub const fn new(path: &'static str, text: &'static str) -> Self {
        Self { path, text }
    }
}
