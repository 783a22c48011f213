//! The command `flowstate`, also as a part of a program's own.

mod admin;
mod change;
mod output;
mod problem;
mod read;
mod select;

use std::io::Write;

use clap::Subcommand;
use flowstate_diesel::{AsStore, Store};

pub use admin::Purge;
pub use change::{Change, Force, Release, Retry, Take};
pub use output::Format;
pub use problem::{Exit, Problem};
pub use read::{Failures, GraphOf, List, Of, OfFlow, Show};
pub use select::{Selection, Targets};

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
    Audit,
    /// Prints the graph of a flow as a diagram
    Graph(GraphOf),
    /// Counts the records by flow and state
    Stats(OfFlow),
    /// Lists the workers
    Workers(Format),
    /// Lists the graphs that programs have left
    Definitions(Format),
    /// Creates or updates the tables
    Migrate,
}

impl Commands {
    /// Does it, and says so on `out`.
    ///
    /// # Errors
    /// [`Problem`], which knows the [exit code](Problem::exit) that it deserves.
    pub fn run<S: AsStore>(&self, conn: &mut S, out: &mut dyn Write) -> Result<Exit, Problem> {
        let conn = conn.as_store();
        if !matches!(self, Self::Migrate) {
            admin::check_schema(conn)?;
        }
        self.run_on(conn, out)
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
            Self::Audit => admin::audit(conn, out),
            Self::Graph(graph) => graph.run(conn, out),
            Self::Stats(stats) => stats.run(conn, out),
            Self::Workers(format) => read::workers(*format, conn, out),
            Self::Definitions(format) => read::definitions(*format, conn, out),
            Self::Migrate => admin::migrate(conn, out),
        }
    }
}
