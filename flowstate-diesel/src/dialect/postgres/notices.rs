//! LISTEN and NOTIFY of PostgreSQL.

use diesel::connection::SimpleConnection as _;
use diesel::{PgConnection, QueryResult};

use super::statements::{Announce, NoticeChannel};
use crate::dialect::Statements as _;
use crate::dialect::notices::Notices;
use crate::dialect::sql::statement::Bind;

impl Notices for PgConnection {
    const HEARS: bool = true;
    const ANNOUNCES: bool = true;

    // A channel belongs to the database, tables to a schema: the name of the channel has the number
    // of the table.
    fn listen(&mut self) -> QueryResult<()> {
        for channel in self.counts::<NoticeChannel>(&[])? {
            self.batch_execute(&format!("LISTEN flowstate_{}", channel.number))?;
        }
        Ok(())
    }

    fn hear(&mut self, _version: &mut i64) -> QueryResult<Vec<String>> {
        self.notifications_iter().map(|heard| heard.map(|heard| heard.payload)).collect()
    }

    fn announce(&mut self, texts: &str) -> QueryResult<()> {
        self.counts::<Announce>(&[Bind::Text(texts)]).map(drop)
    }
}
