//! How long locks of others are waited for.

/// How long a transaction waits for locks of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    /// As long as the session says.
    AsSet,
    /// No longer than about a second, where the database has no bound of its own: so that what one
    /// record waits for, in a trigger of the user's for instance, keeps no other for long.
    Bounded,
}
