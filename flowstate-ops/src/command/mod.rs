//! The command `flowstate`, also as a part of a program's own.

mod admin;
mod change;
mod check;
mod output;
mod problem;
mod read;
mod select;
mod settle;
mod why;

use std::io::Write;

use clap::Subcommand;
use flowstate_diesel::{AsStore, Store};

use crate::operator::Flows;

pub(crate) use admin::check_schema;
pub use admin::{Migrate, Purge};
pub use change::{Change, Force, Release, Retry, Take};
pub use check::Check;
pub use output::Format;
pub use problem::{Exit, Problem};
pub use read::{Failures, GraphOf, List, Of, OfFlow, Show};
pub use select::{Selection, Targets};
pub use why::Why;

/// What `flowstate` can do with a database.
///
/// Flatten it into the commands of a program of yours:
///
/// ```
/// # use clap::Parser;
/// #[derive(Parser)]
/// enum Cli {
///     /// Serves the shop.
///     Serve,
///     #[command(flatten)]
///     Ops(flowstate_ops::Commands),
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use flowstate_diesel::prelude::*;
/// # let mut conn = SqliteConnection::establish(":memory:")?;
/// match Cli::try_parse_from(["shop", "migrate"])? {
///     Cli::Serve => {}
///     Cli::Ops(command) => {
///         let exit = command.run(&mut conn, &mut std::io::stdout())?;
///         assert_eq!(exit, flowstate_ops::Exit::Done);
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Subcommand)]
pub enum Commands {
    /// Lists records, by flow and state, the oldest first
    List(List),
    /// Shows one record: where it stands, its history, its artefacts
    Show(Show),
    /// Prints the history of one record
    History(Of),
    /// Groups the failed records by their errors
    Failures(Failures),
    /// Makes failed records due now, with all their tries anew
    Retry(Retry),
    /// Takes a transition that the graph declares `operator`
    Take(Take),
    /// Puts records into any state, whatever the graph says of the way there
    Force(Force),
    /// Gives back claims whose holder is gone
    Release(Release),
    /// Deletes records that were completed long ago
    Purge(Purge),
    /// Looks for what must never be; reads every row
    Audit(Format),
    /// Says whether a version of a program can go on with the records that are there
    Check(Check),
    /// Prints the graph of a flow as a diagram
    Graph(GraphOf),
    /// Counts the records by flow and state
    Stats(OfFlow),
    /// Lists the workers
    Workers(Format),
    /// Lists the graphs that programs have left
    Definitions(Format),
    /// Creates or updates the tables
    Migrate(Migrate),
}

impl Commands {
    /// Does it, and says so on `out`.
    ///
    /// # Errors
    /// [`Problem`], which knows the [exit code](Problem::exit) that it deserves.
    pub fn run<S: AsStore>(&self, conn: &mut S, out: &mut dyn Write) -> Result<Exit, Problem> {
        let conn = conn.as_store();
        self.refuse_other_tables(conn)?;
        self.run_on(conn, out)
    }

    /// [`Commands::run`], for a program with flows of its own: `check` reads every value as their
    /// types and knows their lock files, and `force` leads into states that this program knows.
    ///
    /// ```
    /// # use flowstate_diesel::prelude::*;
    /// # #[derive(flowstate::Flow, serde::Serialize, serde::Deserialize)]
    /// # #[state(Open, Paid)]
    /// # #[initial(Open)]
    /// # #[completed(Paid)]
    /// # #[transition(pay: Open => Paid)]
    /// # struct Order { cents: i64 }
    /// # #[derive(clap::Parser)]
    /// # enum Cli {
    /// #     #[command(flatten)]
    /// #     Ops(flowstate_ops::Commands),
    /// # }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut conn = SqliteConnection::establish(":memory:")?;
    /// # flowstate_diesel::migrate(&mut conn)?;
    /// use clap::Parser as _;
    ///
    /// let Cli::Ops(command) = Cli::try_parse_from(["shop", "check"])?;
    /// let exit = command.run_for::<(Order,)>(&mut conn, &mut std::io::stdout())?;
    /// assert_eq!(exit, flowstate_ops::Exit::Done);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Commands::run`].
    pub fn run_for<F: Flows>(
        &self,
        conn: &mut impl AsStore,
        out: &mut dyn Write,
    ) -> Result<Exit, Problem> {
        let conn = conn.as_store();
        self.refuse_other_tables(conn)?;
        match self {
            Self::Check(check) => check.run_for::<F, _>(conn, out),
            Self::Force(force) => force.run_for(&check::Known::of::<F>().graphs, conn, out),
            other => other.run_on(conn, out),
        }
    }

    fn refuse_other_tables<C: Store>(&self, conn: &mut C) -> Result<(), Problem> {
        if matches!(self, Self::Migrate(_)) { Ok(()) } else { check_schema(conn) }
    }

    fn run_on<C: Store>(&self, conn: &mut C, out: &mut dyn Write) -> Result<Exit, Problem> {
        match self {
            Self::List(list) => list.run(conn, out),
            Self::Show(show) => show.run(conn, out),
            Self::History(history) => history.run(conn, out),
            Self::Failures(failures) => failures.run(conn, out),
            Self::Retry(retry) => retry.run(conn, out),
            Self::Take(take) => take.run(conn, out),
            Self::Force(force) => force.run(conn, out),
            Self::Release(release) => release.run(conn, out),
            Self::Purge(purge) => purge.run(conn, out),
            Self::Audit(format) => admin::audit(*format, conn, out),
            Self::Check(check) => check.run(conn, out),
            Self::Graph(graph) => graph.run(conn, out),
            Self::Stats(stats) => stats.run(conn, out),
            Self::Workers(format) => read::workers(*format, conn, out),
            Self::Definitions(format) => read::definitions(*format, conn, out),
            Self::Migrate(migrate) => migrate.run(conn, out),
        }
    }
}
