//! What others have committed, other processes too, where the database says so.

use diesel::QueryResult;

use super::statements::Statements;

/// Hears, on a connection kept for that, what others have committed. The texts that are announced
/// and heard mean nothing here.
pub trait Notices: Statements {
    /// Whether anything can be heard.
    const HEARS: bool = false;
    /// Whether only that is heard which somebody announces.
    const ANNOUNCES: bool = false;

    /// From now on what others commit is heard on this connection.
    fn listen(&mut self) -> QueryResult<()> {
        Ok(())
    }

    /// What was heard since the last call, without waiting: an empty text says that something was
    /// committed, and not what. `version` is kept by the caller, from 0 on for each connection.
    fn hear(&mut self, _version: &mut i64) -> QueryResult<Vec<String>> {
        Ok(Vec::new())
    }

    /// Has all who listen hear these texts, a JSON array of strings, in a transaction of its own.
    fn announce(&mut self, _texts: &str) -> QueryResult<()> {
        Ok(())
    }
}
