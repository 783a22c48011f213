//! Workers that are killed at random, and what must hold all the same.

#[cfg(all(feature = "postgres", feature = "mysql"))]
pub mod cluster;
mod errand;
mod options;
mod pack;
mod trouble;
mod verdict;
mod visits;

use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
#[cfg(any(feature = "postgres", feature = "mysql"))]
use diesel::r2d2::{ConnectionManager, Pool};
use flowstate_diesel::prelude::*;

use crate::own_server::OwnServer;
use crate::statement_probe::Probe;
use crate::{Database, Sqlite};
use errand::{Errand, Temper};
use options::{HELP, Options};
use pack::Pack;
use trouble::Troubles;
use verdict::{Count, findings};
use visits::Told;

/// The first argument of a worker process, before the database, its URL and the file of visits.
const WORKER: &str = "worker";

/// The program: either the one who kills, or a worker.
pub fn main(arguments: impl Iterator<Item = String>) -> ExitCode {
    let arguments: Vec<_> = arguments.collect();
    if let [WORKER, database, url, visits] =
        *arguments.iter().map(String::as_str).collect::<Vec<_>>()
    {
        return work(database, url, visits);
    }
    let options = match Options::read(arguments.into_iter()) {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::from(2);
        }
    };
    match &*options.database {
        "sqlite" => {
            let database = Sqlite::empty();
            run::<Sqlite>(&options, &database.url(), None)
        }
        #[cfg(feature = "postgres")]
        "postgres" => {
            on_server::<crate::Postgres>(&options, crate::own_server::ServerKind::Postgres)
        }
        #[cfg(feature = "mysql")]
        "mysql" => on_server::<crate::Mysql>(&options, crate::own_server::ServerKind::MariaDb),
        other => {
            eprintln!("no database `{other}` here: is its feature on?");
            ExitCode::from(2)
        }
    }
}

/// A worker process.
fn work(database: &str, url: &str, visits: &str) -> ExitCode {
    let visits = visits::open(Path::new(visits));
    match database {
        #[cfg(feature = "postgres")]
        "postgres" => errand::work::<crate::Postgres>(pool(url), visits),
        #[cfg(feature = "mysql")]
        "mysql" => errand::work::<crate::Mysql>(pool(url), visits),
        _ => errand::work::<Sqlite>(Sqlite::probed_pool(url, 2, Probe::new(|_| {})), visits),
    }
    ExitCode::SUCCESS
}

/// A pool that tries each half second to reach a server that is away, as the documentation says.
#[cfg(any(feature = "postgres", feature = "mysql"))]
fn pool<C: diesel::r2d2::R2D2Connection + 'static>(url: &str) -> Pool<ConnectionManager<C>> {
    Pool::builder()
        .max_size(2)
        .connection_timeout(Duration::from_secs(1))
        .build_unchecked(ConnectionManager::new(url))
}

#[cfg(any(feature = "postgres", feature = "mysql"))]
fn on_server<D: Database>(options: &Options, kind: crate::own_server::ServerKind) -> ExitCode {
    println!("starting a server of its own");
    let server = OwnServer::start(kind);
    let url = server.url();
    run::<D>(options, &url, Some(server))
}

fn run<D: Database>(options: &Options, url: &str, mut server: Option<OwnServer>) -> ExitCode {
    let folder = tempfile::tempdir().expect("a folder");
    let visits = folder.path().join("visits");
    drop(visits::open(&visits));
    prepare::<D>(url);
    let mut troubles = Troubles::new::<D>(url);
    println!("{} flows, {} worker processes on {}", options.flows, options.workers, url);
    let urls = [url.to_owned()];
    let mut pack = Pack::start(options.workers, &options.database, &urls, &visits);
    let begun = Instant::now();
    let (mut told, mut fed, mut at_restart) = (begun, 0, None);
    // longer where a slow machine has not yet made every trouble there is
    while begun.elapsed() < options.time || troubles.missing::<D>().next().is_some() {
        feed::<D>(options, begun.elapsed(), &mut fed, url);
        thread::sleep(options.kill_every);
        pack.harm_one();
        troubles.make_some::<D>();
        if at_restart.is_none() && begun.elapsed() > options.time / 2 {
            let open = Count::read::<D>(&mut D::connect_to(url)).open;
            if let Some(server) = &mut server {
                troubles.see_through();
                server.crash();
                // an outage, with the workers dying on
                thread::sleep(options.kill_every);
                pack.harm_one();
                server.restart();
                println!("the server was killed with {open} flows open, and started again");
            }
            at_restart = Some(open);
        }
        if told.elapsed() > Duration::from_secs(5) {
            told = Instant::now();
            pack.tell(begun, Count::read::<D>(&mut D::connect_to(url)));
        }
    }
    pack.resume(Duration::ZERO);
    troubles.see_through();
    println!("with {}", troubles.told());
    while fed < options.flows {
        feed::<D>(options, options.time, &mut fed, url);
    }
    let settled = settle::<D>(&mut pack, begun, url);
    let stopped = pack.stop();
    let seen = Told::read(&visits);
    println!("{} handlers began, {} of them came too late", seen.begun, seen.late);
    let mut found = findings::<D>(options.flows, &seen, &mut D::connect_to(url));
    for (is_so, finding) in [
        (!settled, "the flows did not settle in five minutes"),
        (!stopped, "a worker did not stop in a minute"),
        (pack.kills == 0, "no worker was killed: it shows nothing"),
        (pack.deaths == 0, "no worker aborted: it shows nothing"),
        (at_restart.is_none_or(|open| open == 0), "nothing was open half-way: it shows nothing"),
    ] {
        found.extend(is_so.then(|| finding.to_owned()));
    }
    found.extend(troubles.missing::<D>());
    if found.is_empty() {
        println!("nothing was lost, doubled or left over");
        return ExitCode::SUCCESS;
    }
    for finding in found {
        println!("FOUND: {finding}");
    }
    ExitCode::FAILURE
}

fn prepare<D: Database>(url: &str) {
    let conn = &mut D::connect_to(url);
    flowstate_diesel::migrate(conn).expect("migrated");
    conn.batch_execute("CREATE TABLE bookings (flow_id BIGINT NOT NULL)").expect("a table");
}

/// Creates flows: some at once, and the others evenly over the time, so that there is work to the
/// end.
fn feed<D: Database>(options: &Options, elapsed: Duration, fed: &mut usize, url: &str) {
    let part = (0.1 + elapsed.as_secs_f64() / options.time.as_secs_f64()).min(1.0);
    #[expect(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "a part of them")]
    #[expect(clippy::cast_precision_loss, reason = "few")]
    let due = (options.flows as f64 * part).ceil() as usize;
    let numbers = *fed..due.min(options.flows);
    let errands = numbers.clone().map(|number| Errand { temper: Temper::of(number) });
    // somebody who was stopped may hold the database: later
    if Errand::create_many(errands, &mut D::connect_to(url)).is_ok() {
        *fed = numbers.end.max(*fed);
    }
}

/// Waits until nothing is open any more; the workers that abort are still replaced.
fn settle<D: Database>(pack: &mut Pack<'_>, begun: Instant, url: &str) -> bool {
    let from = Instant::now();
    let conn = &mut D::connect_to(url);
    let mut told = from;
    loop {
        let count = Count::read::<D>(conn);
        if told.elapsed() > Duration::from_secs(5) || count.open == 0 {
            told = Instant::now();
            pack.tell(begun, count);
        }
        if count.open == 0 {
            return true;
        }
        if from.elapsed() > Duration::from_mins(5) {
            return false;
        }
        thread::sleep(Duration::from_millis(100));
        pack.replace_the_dead();
    }
}
