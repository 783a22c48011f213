//! Reads of SQLite.

use diesel::{QueryResult, SqliteConnection};

use super::statements::Poll;
use crate::dialect::poll::{self, PollStates};
use crate::dialect::rows::CountRow;
use crate::dialect::sql::statement::Bind;
use crate::dialect::{Reads, Statements as _};

impl Reads for SqliteConnection {
    fn poll(&mut self, states: PollStates<'_>) -> QueryResult<Vec<CountRow>> {
        let PollStates { sources, running, timed } = states;
        let [sources, running, timed] = [sources, running, timed].map(poll::json);
        self.counts::<Poll>(&[Bind::Text(&sources), Bind::Text(&running), Bind::Text(&timed)])
    }
}
