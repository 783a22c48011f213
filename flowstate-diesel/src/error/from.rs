//! Errors of others as ours, by `?`.

use super::{BoxError, Error};

/// For closures of [`transaction`](crate::transaction()) that run statements of their own: `?` on a
/// Diesel error works.
impl From<diesel::result::Error> for Error {
    fn from(source: diesel::result::Error) -> Self {
        Self::Database { record: None, source }
    }
}

/// For closures of [`transaction`](crate::transaction()) with an error of any other kind:
/// `.map_err(BoxError::from)?`. One of this crate, or of Diesel, comes out as itself.
impl From<BoxError> for Error {
    fn from(error: BoxError) -> Self {
        match error.downcast::<Self>() {
            Ok(ours) => *ours,
            Err(error) => error
                .downcast::<diesel::result::Error>()
                .map_or_else(|source| Self::Body { source }, |theirs| (*theirs).into()),
        }
    }
}
