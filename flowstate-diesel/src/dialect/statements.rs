//! Running the statements of this crate on a connection, and what their failures mean.

use diesel::QueryResult;
use diesel::connection::Connection;

use super::fault::Fault;
use super::rows::{ArtefactRow, CountRow, FlowRow, HistoryRow};
use super::sql::statement::{Bind, Statement};

/// Runs statements, cached: the methods that take a [`Statement`] differ only in the rows they give.
pub trait Statements: Connection {
    /// Says what a failure of this database means.
    fn classify(error: &diesel::result::Error) -> Fault;

    fn run<S: Statement>(&mut self, binds: &[Bind<'_>]) -> QueryResult<usize>;
    fn flows<S: Statement>(&mut self, binds: &[Bind<'_>]) -> QueryResult<Vec<FlowRow>>;
    fn history<S: Statement>(&mut self, binds: &[Bind<'_>]) -> QueryResult<Vec<HistoryRow>>;
    fn artefacts<S: Statement>(&mut self, binds: &[Bind<'_>]) -> QueryResult<Vec<ArtefactRow>>;
    fn counts<S: Statement>(&mut self, binds: &[Bind<'_>]) -> QueryResult<Vec<CountRow>>;

    /// After a query that failed: lets go of prepared statements that cannot be run again.
    fn forget_statements(&mut self) {}
}

/// Passes on what a query gave; the statement of one that failed is not run again as it is.
pub(super) fn or_forget<C: Statements, R>(conn: &mut C, rows: QueryResult<R>) -> QueryResult<R> {
    if rows.is_err() {
        conn.forget_statements();
    }
    rows
}

/// The methods of [`Statements`] that run one: their bodies are the same for every connection, but
/// Diesel's bounds can only be met for a concrete one.
macro_rules! runs_statements {
    () => {
        fn run<S: Statement>(&mut self, binds: &[Bind<'_>]) -> QueryResult<usize> {
            RunQueryDsl::execute(Bound::<S>::new(binds), self)
        }

        fn flows<S: Statement>(&mut self, binds: &[Bind<'_>]) -> QueryResult<Vec<FlowRow>> {
            let rows = RunQueryDsl::load(Bound::<S, FlowColumns>::new(binds), self);
            or_forget(self, rows)
        }

        fn history<S: Statement>(&mut self, binds: &[Bind<'_>]) -> QueryResult<Vec<HistoryRow>> {
            let rows = RunQueryDsl::load(Bound::<S, HistoryColumns>::new(binds), self);
            or_forget(self, rows)
        }

        fn artefacts<S: Statement>(&mut self, binds: &[Bind<'_>]) -> QueryResult<Vec<ArtefactRow>> {
            let rows = RunQueryDsl::load(Bound::<S, ArtefactColumns>::new(binds), self);
            or_forget(self, rows)
        }

        fn counts<S: Statement>(&mut self, binds: &[Bind<'_>]) -> QueryResult<Vec<CountRow>> {
            let rows = RunQueryDsl::load(Bound::<S, CountColumns>::new(binds), self);
            or_forget(self, rows)
        }
    };
}
pub(super) use runs_statements;
