//! Workers that are killed at random, and what must hold all the same.

mod errand;
mod options;
mod verdict;

use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use flowstate_diesel::prelude::*;

use crate::private::Server;
use crate::{Database, Sqlite};
use errand::{Errand, Temper};
use options::{HELP, Options};
use verdict::{Count, findings};

/// The first argument of a worker process, before the database and its URL.
const WORKER: &str = "worker";

/// The program: either the one who kills, or a worker.
pub fn main(arguments: impl Iterator<Item = String>) -> ExitCode {
    let arguments: Vec<_> = arguments.collect();
    if let [WORKER, database, url] = *arguments.iter().map(String::as_str).collect::<Vec<_>>() {
        match database {
            #[cfg(feature = "postgres")]
            "postgres" => errand::work::<crate::Postgres>(url),
            #[cfg(feature = "mysql")]
            "mysql" => errand::work::<crate::Mysql>(url),
            _ => errand::work::<Sqlite>(url),
        }
        return ExitCode::SUCCESS;
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
        "postgres" => on_server::<crate::Postgres>(&options, crate::private::Kind::Postgres),
        #[cfg(feature = "mysql")]
        "mysql" => on_server::<crate::Mysql>(&options, crate::private::Kind::MariaDb),
        other => {
            eprintln!("no database `{other}` here: is its feature on?");
            ExitCode::from(2)
        }
    }
}

#[cfg(any(feature = "postgres", feature = "mysql"))]
fn on_server<D: Database>(options: &Options, kind: crate::private::Kind) -> ExitCode {
    println!("starting a server of its own");
    let server = Server::start(kind);
    let url = server.url();
    run::<D>(options, &url, Some(server))
}

fn run<D: Database>(options: &Options, url: &str, mut server: Option<Server>) -> ExitCode {
    prepare::<D>(options, url);
    println!("{} flows, {} worker processes on {}", options.flows, options.workers, url);
    let mut pack = Pack::start(options, url);
    let begun = Instant::now();
    let (mut told, mut restarts) = (begun, 0);
    while begun.elapsed() < options.time {
        thread::sleep(options.kill_every);
        pack.kill_one();
        if restarts == 0 && begun.elapsed() > options.time / 2 {
            if let Some(server) = &mut server {
                server.crash();
                // an outage, with the workers dying on
                thread::sleep(options.kill_every);
                pack.kill_one();
                server.restart();
                println!("the server was killed and started again");
            }
            restarts = 1;
        }
        if told.elapsed() > Duration::from_secs(5) {
            told = Instant::now();
            pack.tell(begun, Count::read::<D>(&mut D::connect_to(url)));
        }
    }
    let settled = settle::<D>(&mut pack, begun, url);
    let stopped = pack.stop();
    let conn = &mut D::connect_to(url);
    let mut found = findings::<D>(options.flows, conn);
    if !settled {
        found.push("the flows did not settle in five minutes".to_owned());
    }
    if !stopped {
        found.push("a worker did not stop in a minute".to_owned());
    }
    if found.is_empty() {
        println!("nothing was lost, doubled or left over");
        return ExitCode::SUCCESS;
    }
    for finding in found {
        println!("FOUND: {finding}");
    }
    ExitCode::FAILURE
}

fn prepare<D: Database>(options: &Options, url: &str) {
    let conn = &mut D::connect_to(url);
    flowstate_diesel::migrate(conn).expect("migrated");
    conn.batch_execute("CREATE TABLE bookings (flow_id BIGINT NOT NULL)").expect("a table");
    let errands = (0..options.flows).map(|number| Errand { temper: Temper::of(number) });
    Errand::create_many(errands, conn).expect("created");
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

/// The worker processes.
struct Pack<'a> {
    options: &'a Options,
    url: &'a str,
    workers: Vec<Child>,
    kills: u32,
    deaths: u32,
}

impl<'a> Pack<'a> {
    fn start(options: &'a Options, url: &'a str) -> Self {
        let mut pack = Self { options, url, workers: Vec::new(), kills: 0, deaths: 0 };
        pack.workers = (0..options.workers).map(|_| pack.worker()).collect();
        pack
    }

    fn worker(&self) -> Child {
        let program = std::env::current_exe().expect("the program's path");
        let mut command = Command::new(program);
        command.args([WORKER, &self.options.database, self.url]).env("RUST_BACKTRACE", "0");
        // their panics are part of the play
        let command = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("a worker")
    }

    fn kill_one(&mut self) {
        self.replace_the_dead();
        let at = fastrand::usize(..self.workers.len());
        let worker = self.worker();
        let mut killed = std::mem::replace(&mut self.workers[at], worker);
        killed.kill().expect("killed");
        killed.wait().expect("its end");
        self.kills += 1;
    }

    fn replace_the_dead(&mut self) {
        for at in 0..self.workers.len() {
            if self.workers[at].try_wait().is_ok_and(|ended| ended.is_some()) {
                self.workers[at] = self.worker();
                self.deaths += 1;
            }
        }
    }

    fn tell(&self, begun: Instant, count: Count) {
        println!(
            "{:3} s: {} completed, {} given up, {} open; {} kills, {} aborts",
            begun.elapsed().as_secs(),
            count.completed,
            count.given_up,
            count.open,
            self.kills,
            self.deaths
        );
    }

    /// Ends all by the end of their input. `false` if one had to be killed.
    fn stop(mut self) -> bool {
        for worker in &mut self.workers {
            drop(worker.stdin.take());
        }
        let begun = Instant::now();
        let mut all = true;
        for worker in &mut self.workers {
            while worker.try_wait().is_ok_and(|ended| ended.is_none()) {
                if begun.elapsed() > Duration::from_mins(1) {
                    all = false;
                    let _ = worker.kill();
                }
                thread::sleep(Duration::from_millis(20));
            }
        }
        all
    }
}
