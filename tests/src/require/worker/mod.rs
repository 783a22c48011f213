//! What workers promise, and claims by hand.

pub mod age;
pub mod alone;
pub mod bad_rows;
pub mod by_hand;
pub mod claims;
pub mod clock;
pub mod crash;
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub mod cut;
pub mod deadlines;
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub mod distance;
pub mod elsewhere;
pub mod ends;
pub mod events;
pub mod faults;
pub mod fence;
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub mod full;
pub mod idle;
pub mod large;
pub mod listen;
pub mod metrics;
pub mod numbers;
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
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub mod silent;
pub mod stall;
pub mod steps;
pub mod tries;
pub mod triple;
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub mod waiting;
pub mod within;
