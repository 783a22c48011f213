//! What SQLite's failures mean, by the texts of `sqlite3_errstr`: Diesel hides the codes
//! <https://www.sqlite.org/rescode.html>.

use diesel::result::Error;

use crate::dialect::fault::{Fault, message};
use crate::error::ConflictReason;

/// `SQLITE_BUSY` with its extended codes, and `SQLITE_LOCKED` of a shared cache.
const BUSY: [&str; 3] =
    ["database is locked", "database table is locked", "database schema is locked"];

pub(super) fn classify(error: &Error) -> Fault {
    let Some(message) = message(error) else { return Fault::Refused };
    let begins = |text: &str| message.starts_with(text);
    if BUSY.iter().any(|text| begins(text)) {
        Fault::conflict_with(ConflictReason::Busy)
    } else if begins("cannot start a transaction within a transaction") {
        Fault::BegunByHand
    } else if begins("no such table: flowstate_") {
        Fault::MissingTable
    } else if begins("UNIQUE constraint failed: flowstate_flows.flow, flowstate_flows.single_key") {
        Fault::KeyTaken
    } else if begins("database or disk is full") {
        // rolled back, like any other failure of a COMMIT
        // <https://www.sqlite.org/lang_transaction.html#response_to_errors_within_a_transaction>
        Fault::Full
    } else if begins("attempt to write a readonly database") {
        Fault::ReadOnly
    } else if message.contains("disk I/O error") {
        // only the file knows
        Fault::Lost
    } else {
        Fault::Refused
    }
}
