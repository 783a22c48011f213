//! Group commit: who has the turn to write also writes the plain transitions of those who wait.

mod alone;
mod crowd;
mod meeting;
mod together;

pub(crate) use crowd::child;
