//! The question for work: a text as long as the list of states that are asked for.
//!
//! Were it one subquery over a table of states, its conditions would not be constants, by which
//! alone an index is searched for a range: with `flow` and `state` from such a table all entries of
//! the flow were read at each look, finished or not
//! <https://mariadb.com/kb/en/range-optimization/>. Nor is the index left to the optimizer.

use diesel::QueryResult;
use diesel::mysql::Mysql;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Text};

use crate::dialect::due::{Asked, Asking};
use crate::dialect::rows::CountColumns;

/// Diesel caches it by its text: a worker asks for the same states each time.
#[derive(Debug)]
pub(super) struct Scout<'a> {
    questions: Vec<Question<'a>>,
}

#[derive(Debug)]
struct Question<'a> {
    label: i64,
    asked: Asked<'a>,
    /// The time that is asked for, and its index.
    column: &'static str,
    index: &'static str,
    /// Whether to look only so far back.
    reaches: bool,
}

impl<'a> Scout<'a> {
    /// `None` if there is nothing to ask.
    pub(super) fn new(asking: Asking<'a>) -> Option<Self> {
        let of = |asked: &[Asked<'a>], column, index, reaches| {
            let question = move |asked: &Asked<'a>| {
                let label = i64::try_from(asked.label).unwrap_or(i64::MAX);
                Question { label, asked: *asked, column, index, reaches }
            };
            asked.iter().map(question).collect::<Vec<_>>()
        };
        let mut questions = of(asking.sources, "due_at", "flowstate_flows_due", true);
        questions.extend(of(asking.running, "leased_until", "flowstate_flows_lease", false));
        questions.extend(of(asking.timed, "deadline_at", "flowstate_flows_deadline", false));
        (!questions.is_empty()).then_some(Self { questions })
    }
}

/// The label of a row that is there if the session begins a transaction with each statement, and ends
/// it with none: `autocommit = 0`, which may be a server's default.
pub(super) const NO_AUTOCOMMIT: &str = "autocommit";

impl QueryId for Scout<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Scout<'_> {
    type SqlType = CountColumns;
}

impl<Conn> diesel::RunQueryDsl<Conn> for Scout<'_> {}

impl QueryFragment<Mysql> for Scout<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Mysql>) -> QueryResult<()> {
        out.push_sql(
            "SELECT label, TIMESTAMPDIFF(MICROSECOND, since, UTC_TIMESTAMP(6)) DIV 1000 FROM (",
        );
        for (at, question) in self.questions.iter().enumerate() {
            let Question { label, asked, column, index, reaches } = question;
            out.push_sql(if at == 0 { "(SELECT CAST(" } else { " UNION ALL (SELECT CAST(" });
            out.push_bind_param::<BigInt, _>(label)?;
            out.push_sql(" AS CHAR) AS label, ");
            out.push_sql(column);
            out.push_sql(" AS since FROM flowstate_flows FORCE INDEX (");
            out.push_sql(index);
            out.push_sql(") WHERE flow = ");
            out.push_bind_param::<Text, _>(asked.flow)?;
            out.push_sql(" AND state = ");
            out.push_bind_param::<Text, _>(asked.state)?;
            if *reaches {
                out.push_sql(" AND due_at >= UTC_TIMESTAMP(6) - INTERVAL ");
                out.push_bind_param::<BigInt, _>(&asked.reach)?;
                out.push_sql(" MICROSECOND");
            }
            for sql in [" AND ", column, " <= UTC_TIMESTAMP(6) ORDER BY ", column, " LIMIT 1)"] {
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
