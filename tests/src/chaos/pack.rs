//! The worker processes, and what is done to them.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::WORKER;
use super::verdict::Count;

/// So long a process is stopped, more than two leases: its claims are lost meanwhile.
const STOPPED: Duration = Duration::from_millis(2_500);

/// The worker processes.
pub(super) struct Pack<'a> {
    database: &'a str,
    urls: &'a [String],
    visits: &'a Path,
    workers: Vec<Worker>,
    pub(super) kills: u32,
    pub(super) stops: u32,
    /// Of those that killed themselves.
    pub(super) deaths: u32,
}

struct Worker {
    process: Child,
    stopped: Option<Instant>,
}

impl<'a> Pack<'a> {
    /// Starts so many, in turn on each of the URLs.
    pub(super) fn start(
        count: usize,
        database: &'a str,
        urls: &'a [String],
        visits: &'a Path,
    ) -> Self {
        let workers = Vec::new();
        let mut pack = Self { database, urls, visits, workers, kills: 0, stops: 0, deaths: 0 };
        pack.workers = (0..count).map(|at| pack.worker(at)).collect();
        pack
    }

    fn worker(&self, at: usize) -> Worker {
        let program = std::env::current_exe().expect("the program's path");
        let mut command = Command::new(program);
        let url = &self.urls[at % self.urls.len()];
        command.args([WORKER, self.database, url]).arg(self.visits);
        // their panics are part of the play
        command.env("RUST_BACKTRACE", "0").stdin(Stdio::piped());
        let command = command.stdout(Stdio::null()).stderr(Stdio::null());
        Worker { process: command.spawn().expect("a worker"), stopped: None }
    }

    /// Kills one, or stops one for a while.
    pub(super) fn harm_one(&mut self) {
        self.replace_the_dead();
        self.resume(STOPPED);
        let at = fastrand::usize(..self.workers.len());
        if fastrand::u8(..).is_multiple_of(4) && self.workers[at].stopped.is_none() {
            self.workers[at].signal("-STOP");
            self.workers[at].stopped = Some(Instant::now());
            self.stops += 1;
            return;
        }
        let worker = self.worker(at);
        let mut killed = std::mem::replace(&mut self.workers[at], worker);
        killed.process.kill().expect("killed");
        killed.process.wait().expect("its end");
        self.kills += 1;
    }

    /// Lets those go on that have been stopped for so long.
    pub(super) fn resume(&mut self, after: Duration) {
        for worker in &mut self.workers {
            if worker.stopped.is_some_and(|since| since.elapsed() >= after) {
                worker.signal("-CONT");
                worker.stopped = None;
            }
        }
    }

    pub(super) fn replace_the_dead(&mut self) {
        for at in 0..self.workers.len() {
            if self.workers[at].process.try_wait().is_ok_and(|ended| ended.is_some()) {
                self.workers[at] = self.worker(at);
                self.deaths += 1;
            }
        }
    }

    /// The numbers of the processes that are there now.
    #[cfg(all(feature = "postgres", feature = "mysql"))]
    pub(super) fn processes(&self) -> Vec<u32> {
        self.workers.iter().map(|worker| worker.process.id()).collect()
    }

    pub(super) fn tell(&self, begun: Instant, count: Count) {
        println!(
            "{:3} s: {} completed, {} given up, {} open; {} kills, {} stops, {} aborts",
            begun.elapsed().as_secs(),
            count.completed,
            count.given_up,
            count.open,
            self.kills,
            self.stops,
            self.deaths
        );
    }

    /// Ends all by the end of their input. `false` if one had to be killed.
    pub(super) fn stop(&mut self) -> bool {
        self.resume(Duration::ZERO);
        for worker in &mut self.workers {
            drop(worker.process.stdin.take());
        }
        let begun = Instant::now();
        let mut all = true;
        for worker in &mut self.workers {
            while worker.process.try_wait().is_ok_and(|ended| ended.is_none()) {
                if begun.elapsed() > Duration::from_mins(1) {
                    all = false;
                    let _ = worker.process.kill();
                }
                thread::sleep(Duration::from_millis(20));
            }
        }
        all
    }
}

impl Worker {
    fn signal(&self, signal: &str) {
        let pid = self.process.id().to_string();
        let told = Command::new("kill").args([signal, &pid]).status();
        assert!(told.is_ok_and(|status| status.success()), "no signal could be sent");
    }
}
