//! The speed of flowstate, against the same work by hand. See `docs/performance.md`.

mod args;
mod child;
mod compile;
mod database;
mod databases;
mod floor;
mod flow;
mod instructions;
mod race;
mod report;
mod scenario;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser as _, ValueEnum as _};

use args::{Cli, Command};
use database::Database;
use databases::{Visit, visit};
use race::Pace;
use report::Report;
use scenario::{Extent, Scenario};

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(asked) => run(&asked).map(|()| true),
        Command::Instructions(asked) => instructions::run(&asked),
        Command::Compile { rounds } => compile::run(rounds).map(|()| true),
        Command::Child(child) => {
            child::run(&child);
            Ok(true)
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(asked: &args::Run) -> std::io::Result<()> {
    let pace = Pace { rounds: asked.rounds, length: Duration::from_millis(asked.millis) };
    let (threads, river) = (asked.threads.clone(), asked.river.clone());
    let extent = Extent { pace, threads, backlog: asked.backlog, river };
    let all = Scenario::value_variants();
    let scenarios = if asked.scenarios.is_empty() { all } else { &asked.scenarios };
    let mut report = Report::default();
    for kind in &asked.databases {
        for &scenario in scenarios {
            // tables of its own for each
            let mut one = One { scenario, extent: &extent, report: &mut report };
            visit(*kind, asked.folder.as_deref(), &asked.servers, &mut one);
        }
    }
    println!("{report}");
    asked.json.as_ref().map_or(Ok(()), |path| report.write(path))
}

struct One<'a> {
    scenario: Scenario,
    extent: &'a Extent,
    report: &'a mut Report,
}

impl Visit for One<'_> {
    fn visit<D: Database>(&mut self, database: &D) {
        self.scenario.run(database, self.extent, self.report);
    }
}
