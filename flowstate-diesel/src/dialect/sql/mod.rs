//! Statements, and how they are put into each database's words.

pub(crate) mod lanes;
pub(crate) mod operator;
pub(crate) mod shared;
pub(crate) mod statement;
mod template;
