//! What is said of a program that was killed at work.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use flowstate::Flow;
use flowstate_diesel::diesel::connection::SimpleConnection as _;
use flowstate_diesel::diesel::r2d2::{ConnectionManager, Pool};
use flowstate_diesel::operator::registry;
use flowstate_diesel::{StepError, Worker, prelude::*, sqlite};
use serde::{Deserialize, Serialize};

use crate::office::Office;

/// Takes a parcel to somebody.
#[derive(Flow, Serialize, Deserialize)]
#[state(Packed, OnTheWay, Lost(error), There)]
#[initial(Packed)]
#[completed(There)]
#[step(carry: Packed | Lost => OnTheWay => There, fail(Lost))]
struct Parcel {}

/// Names the file on which the program works.
const FILE: &str = "FLOWSTATE_TEST_OF_A_KILLED_WORKER";

/// The program: its worker claims a parcel, says so, and goes on for ever. It runs in a process of the
/// test below, and nowhere else.
#[test]
fn the_program() {
    let Ok(file) = std::env::var(FILE) else { return };
    let pool = Pool::builder()
        .max_size(3)
        .connection_customizer(Box::new(sqlite::Customizer::default()))
        .build(ConnectionManager::<SqliteConnection>::new(file))
        .expect("a pool");
    let carry = |_: &_, ()| -> Result<(), StepError> {
        println!("\nclaimed");
        loop {
            thread::park();
        }
    };
    let worker = Worker::new(pool).program("depot", "2").step(Parcel::CARRY, carry);
    let _running = worker.start().expect("started");
    loop {
        thread::park();
    }
}

/// Runs the program until it has claimed a parcel and is known, and kills it. Its process id.
fn killed(file: &Path, conn: &mut SqliteConnection) -> u32 {
    let mut program = Command::new(std::env::current_exe().expect("this test"));
    program.args(["--exact", "killed::the_program", "--nocapture"]).env(FILE, file);
    let mut program = program.stdout(Stdio::piped()).spawn().expect("it started");
    let said = BufReader::new(program.stdout.take().expect("its output")).lines();
    let is_claimed = said.map_while(Result::ok).any(|line| line == "claimed");
    let until = Instant::now() + Duration::from_mins(1);
    while registry(conn).expect("read").workers.is_empty() && Instant::now() < until {
        thread::yield_now();
    }
    program.kill().and_then(|()| program.wait()).expect("killed");
    assert!(is_claimed, "it has claimed nothing");
    program.id()
}

/// The worker is said to be gone, and what it had claimed to be stuck.
#[test]
fn a_killed_worker_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("depot.db");
    let conn = SqliteConnection::establish(&file.display().to_string()).expect("a connection");
    let mut office = Office::on(conn);
    let id = Parcel {}.create(&mut office.conn).expect("created").id();
    let process = killed(&file, &mut office.conn);
    let row = format!("<td class=\"n\">{process}</td>");
    assert!(office.page("/workers").contains(&row), "it has said nothing at its end");

    // what half a minute and the end of the lease come to
    let later = "UPDATE flowstate_workers SET seen_at = '2026-01-01 00:00:00.000000'; \
                 UPDATE flowstate_flows SET leased_until = '2026-01-01 00:00:00.000000'";
    office.conn.batch_execute(later).expect("later");
    let overview = office.page("/");
    assert!(overview.contains("0 workers live, 1 gone"), "{overview}");
    assert!(overview.contains("<strong id=\"stuck\">1</strong>"), "{overview}");
    let workers = office.page("/workers");
    assert!(workers.contains(&row) && workers.contains("gone"), "{workers}");
    assert!(office.page("/records?stuck=1").contains("lease over"));
    let flow = office.page("/flow?name=parcel");
    assert!(flow.contains("depot 2") && flow.contains("gone"), "{flow}");
    let record = office.page(&format!("/record?id={id}"));
    assert!(record.contains("lease over") && record.contains("Release"), "{record}");
}
