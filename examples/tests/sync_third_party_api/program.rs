//! The program, as its users start it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::database::{COMPLETED, Database};

pub(crate) fn run(database: &impl Database, arguments: &[&str]) -> Output {
    command(database, arguments).output().expect("it ran")
}

pub(crate) fn start(database: &impl Database, arguments: &[&str]) -> Child {
    command(database, arguments).stdout(Stdio::null()).spawn().expect("it started")
}

pub(crate) fn command(database: &impl Database, arguments: &[&str]) -> Command {
    let mut command = Command::new(program("sync_third_party_api"));
    command.args(database.arguments()).args(arguments).current_dir(database.folder());
    command
}

/// Cargo builds examples before it runs tests, but tells tests only where binaries are.
fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test has a path");
    let profile = test.ancestors().nth(2).expect("<profile>/deps/<test>");
    let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    let program = profile.join("examples").join(name);
    let there = Path::exists(&program);
    assert!(there, "run `cargo build --examples` first: there is no {}", program.display());
    program
}

/// What it printed, of a run that ended well.
pub(crate) fn told(output: &Output) -> String {
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{told}\n{}", errors(output));
    told
}

pub(crate) fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Starts the program and kills it (SIGKILL) at the moment when the query gives so many.
pub(crate) fn kill_when(database: &impl Database, arguments: &[&str], query: &str, at_least: i64) {
    let before = if query == COMPLETED { database.try_number(query).unwrap_or(0) } else { 0 };
    let mut child = start(database, arguments);
    wait_for(&mut child, database, query, before + at_least);
    stop(child);
}

pub(crate) fn wait_for(child: &mut Child, database: &impl Database, query: &str, at_least: i64) {
    let started = Instant::now();
    // the database and the tables may not be there yet
    while database.try_number(query).is_none_or(|found| found < at_least) {
        assert!(started.elapsed() < Duration::from_mins(1), "{query} did not reach {at_least}");
        assert!(
            child.try_wait().expect("asked").is_none(),
            "it ended before {query} was {at_least}"
        );
        thread::sleep(Duration::from_millis(2));
    }
}

pub(crate) fn stop(mut child: Child) {
    child.kill().expect("killed");
    child.wait().expect("waited for");
}
