//! Fetch a response from a third party, keep it, then save it: as durable flows in a database.
//!
//! `cargo run --example sync_third_party_api`, and `-- --help` for what it can be told. Kill it
//! half-way and run it again: it first finishes what was left.
//!
//! Two plain threads drive the flows (`drivers`), or, with `--workers 4`, a worker (`workers`).

mod app;
mod args;
mod client;
mod database;
mod drivers;
mod flow;
mod leftovers;
mod my_records;
mod progress;
mod queue;
mod report;
mod server;
mod workers;

use std::error::Error;
use std::process::ExitCode;

use app::App;
use args::Args;
use clap::Parser as _;
use client::Client;
use database::Database;
use drivers::Drivers;
use flowstate_diesel::{BoxError, prelude::*};
use server::Server;
use workers::Workers;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", chain(&*error));
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), BoxError> {
    let url = args.url()?;
    match url.split_once("://").map(|(scheme, _)| scheme) {
        None => run_on::<SqliteConnection>(&url, args),
        #[cfg(feature = "postgres")]
        Some("postgres" | "postgresql") => run_on::<PgConnection>(&url, args),
        #[cfg(feature = "mysql")]
        Some("mysql") => run_on::<MysqlConnection>(&url, args),
        Some(scheme) => Err(database::refusal(scheme).into()),
    }
}

fn run_on<C: Database>(url: &str, args: &Args) -> Result<(), BoxError> {
    // one for each thread, and some for those that look on
    let connections = args.workers.unwrap_or(2) + 2;
    let app = App::<C>::open(url, connections, args.access())?;
    let server = Server::start()?;
    let client = Client::new(server.address());
    println!("the database is {}", database::shown(url));
    println!("the third party answers at http://{}", server.address());
    match args.workers {
        None => by_plain_threads(&app, &client, args),
        Some(threads) => by_workers(&app, client, threads, args),
    }
}

fn by_plain_threads<C: Database>(
    app: &App<C>,
    client: &Client,
    args: &Args,
) -> Result<(), BoxError> {
    let drivers = Drivers::new(app, client);
    let conn = &mut *app.connection()?;
    let left = leftovers::take_over(args.access(), conn)?;
    if !left.is_empty() {
        println!("an earlier run left {} unfinished flows, which come first", left.len());
        let settled = drivers.drive(&left)?;
        let finished = report::check(&settled, conn)?;
        println!("finished {finished} flows that were left");
    }
    let new = app.order(args.flows)?;
    let settled = drivers.drive(&new)?;
    report::print(&settled, conn)
}

fn by_workers<C: Database>(
    app: &App<C>,
    client: Client,
    threads: u32,
    args: &Args,
) -> Result<(), BoxError> {
    let workers = Workers::start(app.pool(), client, threads)?;
    let conn = &mut *app.connection()?;
    let left = leftovers::take_over(args.access(), conn)?;
    if !left.is_empty() {
        println!("other runs have {} unfinished flows, which come first", left.len());
    }
    let mut settled = workers.drive(&left, conn)?;
    if settled.is_some() {
        report::check(&left, conn)?;
        let new = app.order(args.flows)?;
        settled = workers.drive(&new, conn)?;
    }
    let stats = workers.stop()?;
    println!(
        "the workers finished {} steps, failed {} tries and took over {} claims of dead runs",
        stats.finished, stats.failed, stats.reaped
    );
    let Some(settled) = settled else {
        println!("stopped: the next run goes on from here");
        return Ok(());
    };
    report::print(&settled, conn)
}

/// An error and its causes, in one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| (*error).source()).take(16);
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
