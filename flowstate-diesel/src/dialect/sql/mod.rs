//! Statements, and how they are put into each database's words.

pub(crate) mod shared;
pub(crate) mod statement;
mod template;
