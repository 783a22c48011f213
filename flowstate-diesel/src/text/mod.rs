//! Stored text as values and back: the only places where JSON and times are read and written.

pub(crate) mod json;
pub(crate) mod time;
