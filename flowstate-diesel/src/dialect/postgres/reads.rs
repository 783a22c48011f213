//! Reads of PostgreSQL.

use diesel::{PgConnection, QueryResult};

use super::statements::{AwaitCreation, FindCreated, LockNothing, Poll};
use super::writes::announcement;
use crate::dialect::poll::{self, PollStates};
use crate::dialect::rows::CountRow;
use crate::dialect::sql::statement::Bind;
use crate::dialect::{Reads, Statements as _};

/// The label of the row by which [`Poll`] says that nothing of what it finds can be claimed.
const READ_ONLY: &str = "read only";

impl Reads for PgConnection {
    fn poll(&mut self, states: PollStates<'_>) -> QueryResult<Vec<CountRow>> {
        let groups = [states.sources, states.running, states.timed];
        let texts = groups.map(poll::json);
        let binds = [0, 1, 2].map(|at| [Bind::Text(groups[at].but), Bind::Text(&texts[at])]);
        let mut rows = self.counts::<Poll>(binds.as_flattened())?;
        if rows.iter().any(|row| row.label == READ_ONLY) {
            self.run::<LockNothing>(&[])?;
            // promoted in between
            rows.retain(|row| row.label != READ_ONLY);
        }
        Ok(rows)
    }

    fn was_created(&mut self, token: &str, age: i64) -> QueryResult<bool> {
        self.run::<AwaitCreation>(&[Bind::Int(announcement(token))])?;
        let found = self.counts::<FindCreated>(&[Bind::Text(token), Bind::Int(age)])?;
        Ok(!found.is_empty())
    }
}
