//! Reads of MySQL and MariaDB.
//!
//! The poll is a text as long as the list of states that it is for. Were it one subquery over a table of states, its conditions would not be constants, by which
//! alone an index is searched for a range: with `flow` and `state` from such a table all entries of
//! the flow were read by each poll, finished or not
//! <https://mariadb.com/kb/en/range-optimization/>. Nor is the index left to the optimizer.

use diesel::connection::SimpleConnection as _;
use diesel::mysql::Mysql;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Text};
use diesel::{MysqlConnection, QueryResult, RunQueryDsl};

use super::statements::AutocommitOn;
use crate::dialect::poll::{PollGroup, PollState, PollStates};
use crate::dialect::rows::{CountColumns, CountRow};
use crate::dialect::statements::or_forget;
use crate::dialect::{Reads, Statements as _, Transactions as _};

impl Reads for MysqlConnection {
    // A node of Galera may lag <https://mariadb.com/kb/en/galera-cluster-system-variables/>. Other
    // servers do not know the setting, and their refusal changes nothing.
    fn caught_up<R>(&mut self, ask: impl FnOnce(&mut Self) -> R) -> R {
        let is_galera = self.batch_execute(CATCH_UP).is_ok();
        let answer = ask(self);
        if is_galera {
            // if this fails, the connection is lost
            self.batch_execute(AS_BEFORE).unwrap_or_default();
        }
        answer
    }

    fn poll(&mut self, states: PollStates<'_>) -> QueryResult<Vec<CountRow>> {
        let Some(poll) = Poll::new(states) else { return Ok(Vec::new()) };
        let rows = poll.load(self);
        let mut rows: Vec<CountRow> = or_forget(self, rows)?;
        let all = rows.len();
        rows.retain(|row| row.label != NO_AUTOCOMMIT);
        if rows.len() == all || self.depth()? > 0 {
            return Ok(rows);
        }
        // nothing new would be seen until the transaction ends that this poll has begun
        self.run::<AutocommitOn>(&[])?;
        self.poll(states)
    }
}

/// Has each statement outside a transaction, and the first one in it, wait until all is applied that
/// was committed on any node.
const CATCH_UP: &str =
    "SET @flowstate_sync_wait = @@SESSION.wsrep_sync_wait, SESSION wsrep_sync_wait = 15";
const AS_BEFORE: &str = "SET SESSION wsrep_sync_wait = @flowstate_sync_wait";

/// A poll as a query. Diesel caches it by its text: a worker polls for the same states each time.
#[derive(Debug)]
struct Poll<'a> {
    searches: Vec<Search<'a>>,
}

#[derive(Debug)]
struct Search<'a> {
    label: i64,
    polled: PollState<'a>,
    /// The column of the time that is searched for, and its index.
    column: &'static str,
    index: &'static str,
    /// Whether to search only so far back as the state's reach.
    reaches: bool,
    /// The records that are overlooked.
    but: &'a str,
}

impl<'a> Poll<'a> {
    /// `None` if there is nothing to poll for.
    fn new(states: PollStates<'a>) -> Option<Self> {
        let of = |group: PollGroup<'a>, column, index, reaches| {
            let search = move |polled: &PollState<'a>| {
                let label = i64::try_from(polled.label).unwrap_or(i64::MAX);
                Search { label, polled: *polled, column, index, reaches, but: group.but }
            };
            group.states.iter().map(search).collect::<Vec<_>>()
        };
        let mut searches = of(states.sources, "due_at", "flowstate_flows_due", true);
        searches.extend(of(states.running, "leased_until", "flowstate_flows_lease", false));
        searches.extend(of(states.timed, "deadline_at", "flowstate_flows_deadline", false));
        (!searches.is_empty()).then_some(Self { searches })
    }
}

/// The label of a row that is there if the session begins a transaction with each statement, and ends
/// it with none: `autocommit = 0`, which may be a server's default.
const NO_AUTOCOMMIT: &str = "autocommit";

impl QueryId for Poll<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Poll<'_> {
    type SqlType = CountColumns;
}

impl<Conn> RunQueryDsl<Conn> for Poll<'_> {}

impl QueryFragment<Mysql> for Poll<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Mysql>) -> QueryResult<()> {
        out.push_sql(
            "SELECT label, TIMESTAMPDIFF(MICROSECOND, since, UTC_TIMESTAMP(6)) DIV 1000 FROM (",
        );
        for (at, search) in self.searches.iter().enumerate() {
            let Search { label, polled, column, index, reaches, but } = search;
            out.push_sql(if at == 0 { "(SELECT CAST(" } else { " UNION ALL (SELECT CAST(" });
            out.push_bind_param::<BigInt, _>(label)?;
            out.push_sql(" AS CHAR) AS label, ");
            out.push_sql(column);
            out.push_sql(" AS since FROM flowstate_flows FORCE INDEX (");
            out.push_sql(index);
            out.push_sql(") WHERE flow = ");
            out.push_bind_param::<Text, _>(polled.flow)?;
            out.push_sql(" AND state = ");
            out.push_bind_param::<Text, _>(polled.state)?;
            if *reaches {
                out.push_sql(" AND due_at >= UTC_TIMESTAMP(6) - INTERVAL ");
                out.push_bind_param::<BigInt, _>(&polled.reach)?;
                out.push_sql(" MICROSECOND");
            }
            out.push_sql(" AND NOT JSON_CONTAINS(");
            out.push_bind_param::<Text, _>(but)?;
            for sql in [
                ", CAST(id AS CHAR)) AND ",
                column,
                " <= UTC_TIMESTAMP(6) ORDER BY ",
                column,
                " LIMIT 1)",
            ] {
                out.push_sql(sql);
            }
        }
        out.push_sql(" UNION ALL (SELECT '");
        out.push_sql(NO_AUTOCOMMIT);
        out.push_sql("' AS label, UTC_TIMESTAMP(6) AS since FROM DUAL WHERE @@autocommit = 0)");
        out.push_sql(") AS seen");
        Ok(())
    }
}
