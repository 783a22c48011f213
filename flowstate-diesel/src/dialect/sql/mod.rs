//! Statements, and how they are put into each database's words.

pub(crate) mod check;
pub(crate) mod lanes;
#[cfg_attr(
    not(all(feature = "sqlite", feature = "r2d2")),
    allow(dead_code, reason = "some statements are for workers, or for one database")
)]
pub(crate) mod operator;
#[cfg_attr(
    not(all(feature = "sqlite", feature = "r2d2")),
    allow(dead_code, reason = "some statements are for workers, or for one database")
)]
pub(crate) mod shared;
pub(crate) mod statement;
mod template;
