//! Statements of operators, who know flows by name, and the rows that they give.

use diesel::sql_types::{BigInt, Integer, Nullable, Text};
use diesel::{QueryResult, Queryable, RunQueryDsl};

use super::rows::{CountRow, FlowRow};
use super::sql::statement::{Bind, Bound, Statement};
use super::sql::{check, lanes, operator};
use super::statements::Statements;

/// Where a record of any flow stands.
#[derive(Debug, Clone, Queryable)]
pub struct StandingRow {
    pub id: i64,
    pub flow: String,
    pub state: String,
    pub seq: i64,
    pub key: Option<String>,
    pub attempts: i32,
    pub due_at: Option<String>,
    pub leased_until: Option<String>,
    pub leased_by: Option<String>,
    pub deadline_at: Option<String>,
    pub completed_at: Option<String>,
    pub last_errored_at: Option<String>,
    pub created_at: String,
    pub updated_at: String,
    pub props_version: i64,
}

type StandingColumns = (
    BigInt,
    Text,
    Text,
    BigInt,
    Nullable<Text>,
    Integer,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Text>,
    Text,
    Text,
    BigInt,
);

/// A flow and a state of it that has records.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct LaneRow {
    pub flow: String,
    pub state: String,
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
type LaneColumns = (Text, Text);

/// The numbers of one state of a flow, each up to a limit.
#[derive(Debug, Clone, Default, Queryable)]
pub struct NumbersRow {
    pub flow: String,
    pub state: String,
    pub due: i64,
    pub claimed: i64,
    /// Neither due nor claimed.
    pub rest: i64,
    pub expired: i64,
    pub overdue: i64,
    pub oldest_due_at: Option<String>,
    /// The state of the flow that follows by name, on MySQL.
    pub next_state: Option<String>,
}

type NumbersColumns =
    (Text, Text, BigInt, BigInt, BigInt, BigInt, BigInt, Nullable<Text>, Nullable<Text>);

/// A row of `flowstate_definitions`.
#[derive(Debug, Queryable)]
pub struct DefinitionRow {
    pub flow: String,
    pub hash: String,
    pub definition: String,
    pub program: String,
    pub first_seen_at: String,
    pub last_seen_at: String,
}

type DefinitionColumns = (Text, Text, Text, Text, Text, Text);

/// A row of `flowstate_workers`.
#[derive(Debug, Queryable)]
pub struct WorkerRow {
    pub id: String,
    pub program: String,
    pub version: String,
    pub host: String,
    pub pid: i64,
    pub started_at: String,
    pub seen_at: String,
    pub serves: String,
    pub threads: i64,
    pub running: i64,
}

type WorkerColumns = (Text, Text, Text, Text, BigInt, Text, Text, Text, BigInt, BigInt);

/// A label of a record: its name and its value.
#[derive(Debug, Queryable)]
pub struct LabelRow {
    pub name: String,
    pub value: String,
    pub id: i64,
}

type LabelColumns = (Text, Text, BigInt);

/// The newest payload of a record by one name.
#[derive(Debug, Queryable)]
pub struct PayloadRow {
    pub id: i64,
    pub name: String,
    pub seq: i64,
    pub payload: String,
    pub version: i64,
}

type PayloadColumns = (BigInt, Text, BigInt, Text, BigInt);

/// What operators ask of a database.
pub trait Operate: Statements {
    /// Keeps a definition, or notes that it was seen again.
    fn note_definition(&mut self, binds: &[Bind<'_>]) -> QueryResult<usize>;
    /// Keeps a worker, or notes that it was seen again.
    fn note_worker(&mut self, binds: &[Bind<'_>]) -> QueryResult<usize>;

    fn standings<S: Statement>(&mut self, binds: &[Bind<'_>]) -> QueryResult<Vec<StandingRow>>;
    /// Of a lane what is neither due nor claimed, by id, after an id.
    fn standings_rest(&mut self, binds: &[Bind<'_>]) -> QueryResult<Vec<StandingRow>>;
    /// The errors of the newest records in a state, and how many have each.
    fn errors_in_state(&mut self, binds: &[Bind<'_>]) -> QueryResult<Vec<CountRow>>;
    /// How many of the first records of an error state nothing will move.
    fn given_up_in_state(&mut self, binds: &[Bind<'_>]) -> QueryResult<Vec<CountRow>>;
    /// How often the newest records of each flow have moved of late.
    fn moved_lately(&mut self, binds: &[Bind<'_>]) -> QueryResult<Vec<CountRow>>;
    /// The transitions that the newest records have taken of late, among the last 50 of each.
    fn taken_lately(&mut self, binds: &[Bind<'_>]) -> QueryResult<Vec<CountRow>>;
    /// The flows and states that have records, in order; only of `flow`, if one is given. Skips from
    /// one to the next in the indexes.
    fn lanes(&mut self, flow: Option<&str>) -> QueryResult<Vec<LaneRow>>;
    /// The numbers of one of them, none counted further than `most`. What is over for `patience`
    /// microseconds is expired, or overdue.
    fn numbers_of(&mut self, lane: &LaneRow, most: i64, patience: i64) -> QueryResult<NumbersRow>;

    /// The numbers of each of them.
    fn numbers(
        &mut self,
        flow: Option<&str>,
        most: i64,
        patience: i64,
    ) -> QueryResult<Vec<NumbersRow>> {
        self.lanes(flow)?.iter().map(|lane| self.numbers_of(lane, most, patience)).collect()
    }
    fn definitions(&mut self) -> QueryResult<Vec<DefinitionRow>>;
    fn workers(&mut self) -> QueryResult<Vec<WorkerRow>>;
    /// Those of these records that are of this flow. `ids` is a JSON array.
    fn flows_among(&mut self, flow: &str, ids: &str) -> QueryResult<Vec<FlowRow>>;
    fn labels(&mut self, id: i64) -> QueryResult<Vec<LabelRow>>;
    /// The newest payloads of these records, by record and `seq`. `ids` is a JSON array.
    fn payloads(&mut self, ids: &str) -> QueryResult<Vec<PayloadRow>>;
    /// Why the newest transition of each of these records failed, if it did. `ids` is a JSON array.
    fn errors(&mut self, ids: &str) -> QueryResult<Vec<CountRow>>;
}

/// Diesel's bounds can only be met for a concrete connection.
macro_rules! operates {
    ($connection:ty, $statements:path, $numbers:ty, $number_binds:expr, $($lanes:item),+) => {
        const _: () = {
            use $statements as statements;

            impl Operate for $connection {
                fn note_definition(&mut self, binds: &[Bind<'_>]) -> QueryResult<usize> {
                    self.run::<statements::NoteDefinition>(binds)
                }

                fn note_worker(&mut self, binds: &[Bind<'_>]) -> QueryResult<usize> {
                    self.run::<statements::NoteWorker>(binds)
                }

                fn standings<S: Statement>(
                    &mut self,
                    binds: &[Bind<'_>],
                ) -> QueryResult<Vec<StandingRow>> {
                    Bound::<S, StandingColumns>::new(binds).load(self)
                }

                fn standings_rest(&mut self, binds: &[Bind<'_>]) -> QueryResult<Vec<StandingRow>> {
                    self.standings::<statements::StandingsRest>(binds)
                }

                fn errors_in_state(&mut self, binds: &[Bind<'_>]) -> QueryResult<Vec<CountRow>> {
                    self.counts::<statements::ErrorsInState>(binds)
                }

                fn given_up_in_state(&mut self, binds: &[Bind<'_>]) -> QueryResult<Vec<CountRow>> {
                    self.counts::<statements::GivenUpInState>(binds)
                }

                fn moved_lately(&mut self, binds: &[Bind<'_>]) -> QueryResult<Vec<CountRow>> {
                    self.counts::<statements::MovedLately>(binds)
                }

                fn taken_lately(&mut self, binds: &[Bind<'_>]) -> QueryResult<Vec<CountRow>> {
                    self.counts::<statements::TakenLately>(binds)
                }

                $($lanes)+

                fn numbers_of(
                    &mut self,
                    lane: &LaneRow,
                    most: i64,
                    patience: i64,
                ) -> QueryResult<NumbersRow> {
                    let [most, patience] = [most, patience].map(Bind::Int);
                    let names = [&lane.flow, &lane.state].map(|name| Bind::Text(name));
                    let binds = $number_binds(names, most, patience);
                    Bound::<$numbers, NumbersColumns>::new(&binds).get_result(self)
                }

                fn definitions(&mut self) -> QueryResult<Vec<DefinitionRow>> {
                    Bound::<operator::Definitions, DefinitionColumns>::new(&[]).load(self)
                }

                fn workers(&mut self) -> QueryResult<Vec<WorkerRow>> {
                    Bound::<operator::Workers, WorkerColumns>::new(&[]).load(self)
                }

                fn errors(&mut self, ids: &str) -> QueryResult<Vec<CountRow>> {
                    self.counts::<statements::ErrorsOf>(&[Bind::Text(ids)])
                }

                fn payloads(&mut self, ids: &str) -> QueryResult<Vec<PayloadRow>> {
                    Bound::<check::PayloadsAmong, PayloadColumns>::new(&[Bind::Text(ids)]).load(self)
                }

                fn flows_among(&mut self, flow: &str, ids: &str) -> QueryResult<Vec<FlowRow>> {
                    self.flows::<statements::FlowsAmong>(&[Bind::Text(ids), Bind::Text(flow)])
                }

                fn labels(&mut self, id: i64) -> QueryResult<Vec<LabelRow>> {
                    Bound::<operator::LabelsOf, LabelColumns>::new(&[Bind::Int(id)]).load(self)
                }
            }
        };
    };
}

/// One statement walks along the indexes.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
macro_rules! operates_at_once {
    ($connection:ty, $statements:path, $numbers:path) => {
        operates!(
            $connection,
            $statements,
            $numbers,
            |[flow, state]: [_; 2], most, patience| [
                most, most, most, patience, most, patience, most, flow, state,
            ],
            fn lanes(&mut self, flow: Option<&str>) -> QueryResult<Vec<LaneRow>> {
                Bound::<lanes::Lanes, LaneColumns>::new(&of_flow(flow)).load(self)
            }
        );
    };
}

/// Three parts of a table are asked for the first flow; the empty name stands for all flows.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
fn of_flow(flow: Option<&str>) -> [Bind<'_>; 6] {
    [Bind::Text(flow.unwrap_or_default()); 6]
}

#[cfg(feature = "sqlite")]
operates_at_once!(
    diesel::SqliteConnection,
    crate::dialect::sql::operator,
    lanes::on_sqlite::Numbers
);
#[cfg(feature = "postgres")]
operates_at_once!(
    diesel::PgConnection,
    crate::dialect::sql::operator::on_postgres,
    lanes::on_postgres::Numbers
);
// MariaDB's subqueries do not see the row round them through a limit
// <https://mariadb.com/kb/en/subquery-limitations/>.
#[cfg(feature = "mysql")]
operates!(
    diesel::MysqlConnection,
    crate::dialect::sql::operator::on_mysql,
    lanes::on_mysql::Numbers,
    |[flow, state]: [_; 2], most, patience| [
        flow, state, flow, state, most, flow, state, patience, most, patience, flow, state, flow,
        state, flow, state, most,
    ],
    fn lanes(&mut self, flow: Option<&str>) -> QueryResult<Vec<LaneRow>> {
        let mut all = Vec::new();
        each_flow(self, flow, |conn, flow| {
            let mut at = next_state(conn, flow, "")?;
            while let Some(state) = at {
                at = next_state(conn, flow, &state)?;
                all.push(LaneRow { flow: flow.to_owned(), state });
            }
            Ok(())
        })?;
        Ok(all)
    },
    // each lane's numbers tell which one follows, which spares as many statements
    fn numbers(
        &mut self,
        flow: Option<&str>,
        most: i64,
        patience: i64,
    ) -> QueryResult<Vec<NumbersRow>> {
        let mut all = Vec::new();
        each_flow(self, flow, |conn, flow| {
            let mut at = next_state(conn, flow, "")?;
            while let Some(state) = at.take() {
                let lane = LaneRow { flow: flow.to_owned(), state };
                let row = conn.numbers_of(&lane, most, patience)?;
                at.clone_from(&row.next_state);
                all.push(row);
            }
            Ok(())
        })?;
        Ok(all)
    }
);

/// Visits the flow, or each that has records.
#[cfg(feature = "mysql")]
fn each_flow(
    conn: &mut diesel::MysqlConnection,
    flow: Option<&str>,
    mut visit: impl FnMut(&mut diesel::MysqlConnection, &str) -> QueryResult<()>,
) -> QueryResult<()> {
    if let Some(flow) = flow {
        return visit(conn, flow);
    }
    let mut last = String::new();
    loop {
        let binds = [Bind::Text(&last)];
        let next = Bound::<lanes::on_mysql::NextFlow, Nullable<Text>>::new(&binds);
        let Some(flow) = next.get_result::<Option<String>>(conn)? else { return Ok(()) };
        visit(conn, &flow)?;
        last = flow;
    }
}

/// The state of the flow that follows by name.
#[cfg(feature = "mysql")]
fn next_state(
    conn: &mut diesel::MysqlConnection,
    flow: &str,
    state: &str,
) -> QueryResult<Option<String>> {
    let binds = [flow, state].map(Bind::Text);
    Bound::<lanes::on_mysql::NextState, Nullable<Text>>::new(&binds).get_result(conn)
}
