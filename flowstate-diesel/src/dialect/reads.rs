//! Reads that need more than a statement.

use diesel::QueryResult;

use super::poll::PollStates;
use super::rows::CountRow;
use super::statements::Statements;

/// Reads what other transactions have written.
pub trait Reads: Statements {
    /// Asks something of which a decision follows: the server has to know then what any other of its
    /// cluster had committed before.
    fn caught_up<R>(&mut self, ask: impl FnOnce(&mut Self) -> R) -> R {
        ask(self)
    }

    /// Polls: which of the [states](PollStates) have a record whose time has come, in one
    /// statement. Their labels, and for how many milliseconds the longest overdue has waited.
    fn poll(&mut self, states: PollStates<'_>) -> QueryResult<Vec<CountRow>>;

    /// Whether [`Writes::insert_at_once`](super::writes::Writes::insert_at_once) inserted a record
    /// under this token at most `age` microseconds ago. Waits for a server that is still at it.
    fn was_created(&mut self, _token: &str, _age: i64) -> QueryResult<bool> {
        Ok(false)
    }
}
