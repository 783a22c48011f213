//! Statements of operators, who know flows by name, and the rows that they give.

use diesel::sql_types::{BigInt, Integer, Nullable, Text};
use diesel::{QueryResult, Queryable, RunQueryDsl};

use super::sql::operator;
use super::sql::statement::{Bind, Bound, Statement};
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
);

/// The numbers of one state of a flow.
#[derive(Debug, Clone, Default, Queryable)]
pub struct NumbersRow {
    pub records: i64,
    pub expired: i64,
    pub overdue: i64,
    pub oldest_due_at: Option<String>,
}

type NumbersColumns = (BigInt, BigInt, BigInt, Nullable<Text>);

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

/// What operators ask of a database.
pub trait Operate: Statements {
    /// Keeps a definition, or notes that it was seen again.
    fn note_definition(&mut self, binds: &[Bind<'_>]) -> QueryResult<usize>;
    /// Keeps a worker, or notes that it was seen again.
    fn note_worker(&mut self, binds: &[Bind<'_>]) -> QueryResult<usize>;

    fn standings<S: Statement>(&mut self, binds: &[Bind<'_>]) -> QueryResult<Vec<StandingRow>>;
    fn numbers<S: Statement>(&mut self, binds: &[Bind<'_>]) -> QueryResult<Vec<NumbersRow>>;
    fn definitions(&mut self) -> QueryResult<Vec<DefinitionRow>>;
    fn workers(&mut self) -> QueryResult<Vec<WorkerRow>>;
    fn labels(&mut self, id: i64) -> QueryResult<Vec<LabelRow>>;
}

/// Diesel's bounds can only be met for a concrete connection.
macro_rules! operates {
    ($connection:ty, $statements:path) => {
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

                fn numbers<S: Statement>(
                    &mut self,
                    binds: &[Bind<'_>],
                ) -> QueryResult<Vec<NumbersRow>> {
                    Bound::<S, NumbersColumns>::new(binds).load(self)
                }

                fn definitions(&mut self) -> QueryResult<Vec<DefinitionRow>> {
                    Bound::<operator::Definitions, DefinitionColumns>::new(&[]).load(self)
                }

                fn workers(&mut self) -> QueryResult<Vec<WorkerRow>> {
                    Bound::<operator::Workers, WorkerColumns>::new(&[]).load(self)
                }

                fn labels(&mut self, id: i64) -> QueryResult<Vec<LabelRow>> {
                    Bound::<operator::LabelsOf, LabelColumns>::new(&[Bind::Int(id)]).load(self)
                }
            }
        };
    };
}

#[cfg(feature = "sqlite")]
operates!(diesel::SqliteConnection, crate::dialect::sql::operator);
#[cfg(feature = "postgres")]
operates!(diesel::PgConnection, crate::dialect::sql::operator);
#[cfg(feature = "mysql")]
operates!(diesel::MysqlConnection, crate::dialect::sql::operator::on_mysql);
