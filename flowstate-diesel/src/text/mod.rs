//! Stored text as values and back: the only places where JSON and times are read and written, and
//! errors put into words.

pub(crate) mod chain;
pub(crate) mod json;
pub(crate) mod time;
