//! The databases that the program runs on here, and what is asked of them.

#[cfg(any(feature = "mysql", feature = "postgres"))]
mod server;
mod sqlite;

use std::path::Path;

use flowstate_diesel::Audit;
#[cfg(feature = "mysql")]
pub(crate) use server::Mysql;
#[cfg(feature = "postgres")]
pub(crate) use server::Postgres;
pub(crate) use sqlite::{FILE, Sqlite};

pub(crate) const COMPLETED: &str = "SELECT COUNT(*) FROM flowstate_flows WHERE state = 'completed'";
pub(crate) const UNFINISHED: &str =
    "SELECT COUNT(*) FROM flowstate_flows WHERE state <> 'completed'";
pub(crate) const IN_HAND: &str =
    "SELECT COUNT(*) FROM flowstate_flows WHERE state IN ('fetching', 'saving')";
/// An item whose first try gets no answer: it stays in this state for a quarter of a second.
pub(crate) const WAITING: &str = "SELECT COUNT(*) FROM flowstate_flows \
     WHERE state = 'fetching' AND CAST(props AS CHAR(500)) LIKE '%\"customer-7\"%'";
/// What plain threads say of a step that a dead run left.
pub(crate) const CUT_SHORT: &str =
    "SELECT COUNT(*) FROM flowstate_transitions WHERE error LIKE 'the program ended%'";
const UNSAVED: &str = "SELECT COUNT(*) FROM my_records WHERE payload IS NULL";

/// A database of its own for one test, removed when it is dropped.
pub(crate) trait Database {
    fn fresh() -> Self;

    /// What the program is told of it.
    fn arguments(&self) -> Vec<String>;

    /// Where the program runs.
    fn folder(&self) -> &Path;

    /// `None` while the program is still setting it up, which this must not do.
    fn try_number(&self, query: &str) -> Option<i64>;

    fn audit(&self) -> Audit;

    fn number(&self, query: &str) -> i64 {
        self.try_number(query).expect(query)
    }

    fn all_is_well(&self, flows: i64) {
        assert_eq!(self.number(COMPLETED), flows, "every flow is completed");
        assert_eq!(self.number(UNFINISHED), 0, "none is left");
        assert_eq!(self.number(UNSAVED), 0, "every record has its payload");
        let audit = self.audit();
        assert!(audit.is_clean(), "{audit}");
        assert_eq!(audit.flows, flows);
    }
}
