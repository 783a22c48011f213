//! Reads of SQLite.

use diesel::{QueryResult, SqliteConnection};

use super::statements::Poll;
use crate::dialect::poll::{self, PollStates};
use crate::dialect::rows::CountRow;
use crate::dialect::sql::statement::Bind;
use crate::dialect::{Reads, Statements as _};

impl Reads for SqliteConnection {
    fn poll(&mut self, states: PollStates<'_>) -> QueryResult<Vec<CountRow>> {
        let groups = [states.sources, states.running, states.timed];
        let texts = groups.map(poll::json);
        let binds = [0, 1, 2].map(|at| [Bind::Text(groups[at].but), Bind::Text(&texts[at])]);
        self.counts::<Poll>(binds.as_flattened())
    }
}
