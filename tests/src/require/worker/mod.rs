//! What workers promise, and claims by hand.

pub mod bad_rows;
pub mod claims;
pub mod clock;
pub mod crash;
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub mod cut;
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub mod distance;
pub mod events;
pub mod faults;
pub mod fence;
pub mod idle;
pub mod outage;
pub mod outcomes;
pub mod panics;
pub mod refused;
pub mod release;
pub mod run;
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub mod server;
pub mod shutdown;
pub mod shutdown_late;
pub mod steps;
pub mod tries;
pub mod triple;
pub mod within;
