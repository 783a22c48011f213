//! What other connections to a file of SQLite have committed.

use diesel::sql_types::BigInt;
use diesel::{QueryResult, RunQueryDsl, SqliteConnection, dsl};

use crate::dialect::Statements as _;
use crate::dialect::notices::Notices;

impl Notices for SqliteConnection {
    const HEARS: bool = true;

    // Another number whenever another connection has committed, of this process or not
    // <https://www.sqlite.org/pragma.html#pragma_data_version>. A writer may be in the way at just
    // that moment, without a write-ahead log.
    fn hear(&mut self, version: &mut i64) -> QueryResult<Vec<String>> {
        match dsl::sql::<BigInt>("PRAGMA data_version").get_result::<i64>(self) {
            Ok(now) if now == *version => Ok(Vec::new()),
            Ok(now) => {
                *version = now;
                Ok(vec![String::new()])
            }
            Err(error) if Self::classify(&error).conflict().is_some() => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}
