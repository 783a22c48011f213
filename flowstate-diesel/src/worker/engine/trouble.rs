//! What a worker remembers of failures: of a database that was away, and of claims that it may have
//! without knowing.

use std::time::{Duration, Instant};

use crate::error::Error;

/// After an outage, so long and nobody is taken for dead: leases have run out that nobody could
/// extend. The others may come back later: a pool waits up to 15 seconds before it connects again.
pub(super) const RECOVERY: Duration = Duration::from_secs(30);

/// The failures of lately: when they were, and of which database.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    /// When the database last failed to answer.
    pub(super) outage: Option<Instant>,
    /// A claim may have been committed whose answer was lost.
    pub(super) stray: bool,
    /// Everything has been given back at the end.
    pub(super) parted: bool,
    /// Why it could not be, so far.
    pub(super) problem: Option<Error>,
}
