//! The lock file of a flow, as data.

/// A lock file as it was when the program was compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockFile {
    /// Where it is on the machine that compiled the program.
    pub path: &'static str,
    /// What is in it.
    pub text: &'static str,
}

impl LockFile {
    /// The file at this path, with this text: as the derive writes it.
    #[must_use]
    pub const fn new(path: &'static str, text: &'static str) -> Self {
        Self { path, text }
    }
}
