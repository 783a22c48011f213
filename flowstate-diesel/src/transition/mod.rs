//! A transition, from the request to the row: one algorithm for every database.

pub(crate) mod apply;
pub(crate) mod artefacts;
pub(crate) mod callbacks;
pub(crate) mod decode;
pub(crate) mod destroy;
pub(crate) mod labels;
pub(crate) mod request;
pub(crate) mod span;
pub(crate) mod trace;
pub(crate) mod typed;
