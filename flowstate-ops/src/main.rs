//! The command `flowstate`.

#[cfg(not(any(feature = "mysql", feature = "postgres", feature = "sqlite")))]
compile_error!("the command needs a database: enable `sqlite`, `postgres` or `mysql`");

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser};
use clap_complete::Shell;
use flowstate_ops::database::Database;
use flowstate_ops::{Commands, Exit, Problem};

/// Looks at flowstate workflows and moves what is stuck, without the program that wrote them
#[derive(Parser)]
#[command(name = "flowstate", version, after_help = EXIT_CODES)]
struct Cli {
    /// Where the flows are: postgres://…, mysql://…, or the path of an SQLite file
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, global = true)]
    database_url: Option<String>,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 not understood, 3 something was found \
                          (audit, check), 4 no such record, 5 refused";

#[expect(clippy::large_enum_variant, reason = "there is one, for a moment")]
#[derive(clap::Subcommand)]
enum Command {
    #[command(flatten)]
    Ops(Commands),
    /// Serves the dashboard on this machine, to look and not to touch
    #[cfg(feature = "dashboard")]
    Dashboard {
        /// On which port of 127.0.0.1
        #[arg(long, default_value_t = 8311)]
        port: u16,
    },
    /// Prints what completes this command in a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
}

fn main() -> ExitCode {
    let exit = run(&Cli::parse(), &mut std::io::stdout().lock());
    let exit = exit.unwrap_or_else(|problem| match &problem {
        // whoever reads has enough
        Problem::Io(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Exit::Done,
        _ => {
            // nothing can be said if this fails
            writeln!(std::io::stderr(), "error: {}", problem.in_one_line()).unwrap_or_default();
            problem.exit()
        }
    });
    exit.code().into()
}

fn run(cli: &Cli, out: &mut dyn Write) -> Result<Exit, Problem> {
    let url = || {
        cli.database_url.as_deref().ok_or_else(|| {
            Problem::Usage("say where the flows are: `--database-url` or DATABASE_URL".to_owned())
        })
    };
    match &cli.command {
        Command::Ops(command) => {
            let creates = matches!(command, Commands::Migrate(migrate) if migrate.creates());
            Database::open(url()?, creates)?.run(command, out)
        }
        #[cfg(feature = "dashboard")]
        Command::Dashboard { port } => {
            let mut database = Database::open(url()?, false)?;
            database.check_tables()?;
            let server = tiny_http::Server::http(("127.0.0.1", *port));
            let server = server.map_err(|error| Problem::Connection(error.to_string()))?;
            writeln!(out, "http://{}/", server.server_addr())?;
            database.serve(&server)?;
            Ok(Exit::Done)
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "flowstate", &mut script);
            out.write_all(&script)?;
            Ok(Exit::Done)
        }
    }
}
