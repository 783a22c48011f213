//! Many threads and killed processes: what was told is what is there.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

use flowstate_diesel::prelude::*;
use flowstate_diesel::{Error, Result};
use flowstate_tests::child::{self, Running};
use flowstate_tests::flows::{Job, JobRecord, JobState, Note};
use flowstate_tests::race::race;
use flowstate_tests::{Database, RollbackJournal, Sqlite, check};
use serde_json::json;

use super::meeting::{fail, work};

/// 30 threads: what each is told is what is there, of records of its own and of shared ones.
fn crowd<D: Database<Conn = SqliteConnection>>() {
    const ROUNDS: i64 = 40;
    let database = D::migrated();
    let conn = &mut database.connect();
    let shared = Job::create_many((0..3).map(|_| Job::new("shared")), conn).expect("created");
    let told = race(30, |thread, barrier| {
        let conn = &mut database.connect();
        let mut own = Job::new("own").create(conn).expect("created");
        let mut shared: Vec<JobRecord> = shared.clone();
        barrier.wait();
        let (mut moved, mut created) = ([0; 3], Vec::new());
        for round in 0..ROUNDS {
            if round % 8 == 0 {
                created.push(Job::new("another").create(conn).expect("created"));
            }
            let step = if own.state() == JobState::Working { fail } else { work };
            step(&mut own, conn).expect("nobody else moves it");
            assert_eq!(own.seq(), round + 1);
            let at = (thread + usize::try_from(round).expect("few")) % 3;
            let job = &mut shared[at];
            let step = if job.state() == JobState::Working { fail } else { work };
            match step(job, conn) {
                Ok(()) => moved[at] += 1,
                Err(Error::InvalidTransition { .. }) => {}
                Err(error) => panic!("not foretold: {error:?}"),
            }
        }
        (own, moved, created)
    });
    let mut moved = [0; 3];
    for (own, of_shared, created) in told {
        for job in created {
            let found = Job::find(job.id(), conn).expect("found");
            assert_eq!((&*found.name, found.seq()), ("another", 0));
        }
        assert_eq!(Job::find(own.id(), conn).expect("found").seq(), ROUNDS);
        moved.iter_mut().zip(of_shared).for_each(|(all, one)| *all += one);
    }
    let seqs: Vec<_> =
        shared.iter().map(|job| Job::find(job.id(), conn).expect("found").seq()).collect();
    assert_eq!(seqs, moved, "as many as were told");
    check::clean(conn);
}

#[test]
fn thirty_threads_are_told_what_is_there() {
    crowd::<Sqlite>();
    crowd::<RollbackJournal>();
}

/// What a thread of a child knows of its record: it is told of each move when it is committed.
fn say(job: &JobRecord, seq: i64) {
    child::say(&format!("{} {seq}", job.id()));
}

/// Eight threads, each with a record of its own, until `move_on` fails or the process is killed.
fn eight<D: Database<Conn = SqliteConnection>>(
    url: &str,
    move_on: fn(&mut JobRecord, &mut SqliteConnection) -> Result<()>,
    failed: fn(&str, &JobRecord, Error),
) {
    race(8, |_, barrier| {
        let conn = &mut D::connect_to(url);
        let mut job = Job::new("own").create(conn).expect("created");
        barrier.wait();
        let error = loop {
            match move_on(&mut job, conn) {
                Ok(()) => say(&job, job.seq()),
                Err(error) => break error,
            }
        };
        failed(url, &job, error);
    });
}

/// `kill -9`: what was told is there, and of what was not told all or nothing.
fn killed<D: Database<Conn = SqliteConnection>>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    for _ in 0..8 {
        let child = Running::start(child::command::<D>("group killed", &database.url()));
        let ended = child.kill_after(300);
        assert_eq!(ended.status.signal(), Some(9), "{ended:?}");
        for (id, told) in told(&ended.said) {
            let seq = Job::find(id, conn).expect("found").seq();
            assert!((told..=told + 1).contains(&seq), "record {id}: {seq}, and {told} was told");
        }
        check::clean(conn);
    }
}

/// The last `seq` that was told of each record.
fn told(said: &[String]) -> BTreeMap<i64, i64> {
    let number = |text: &str| text.parse().expect("a number");
    let told = said.iter().filter_map(|line| line.split_once(' '));
    told.map(|(id, seq)| (number(id), number(seq))).collect()
}

#[test]
fn a_killed_process_has_kept_what_it_told() {
    killed::<Sqlite>();
    killed::<RollbackJournal>();
}

/// A COMMIT that fails with an I/O error, because the file may not grow: each finds out by itself.
fn cut_off<D: Database<Conn = SqliteConnection>>() {
    let database = D::migrated();
    let inner = child::command::<D>("group cut_off", &database.url());
    let mut command = Command::new("bash");
    // SIGXFSZ ignored, a write beyond the limit fails
    command.args(["-c", "trap '' XFSZ; ulimit -f 300; exec \"$0\" \"$@\""]);
    command.arg(inner.get_program()).args(inner.get_args());
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ended = Running::start(command).end();
    assert!(ended.status.success(), "{ended:?}");
    let conn = &mut database.connect();
    let told = told(&ended.said);
    assert_eq!(told.len(), 8);
    for (id, seq) in told {
        assert_eq!(Job::find(id, conn).expect("found").seq(), seq, "what was told, and no more");
    }
    check::clean(conn);
}

#[test]
fn a12_unknown_outcomes_of_a_group_are_resolved() {
    cut_off::<Sqlite>();
    cut_off::<RollbackJournal>();
}

fn note(job: &mut JobRecord, conn: &mut SqliteConnection) -> Result<()> {
    match job.state() {
        JobState::Open => work(job, conn),
        _ => job.transition(Job::NOTE, conn).persist(Note(json!("x".repeat(3_000)))).run(),
    }
}

/// Does the job of a child, if it is one of this file.
pub(crate) fn child() -> bool {
    fn turn(job: &mut JobRecord, conn: &mut SqliteConnection) -> Result<()> {
        if job.state() == JobState::Working { fail(job, conn) } else { work(job, conn) }
    }
    fn run<D: Database<Conn = SqliteConnection>>() -> bool {
        let Some(job) = child::job::<D>() else { return false };
        match &*job.words.iter().map(String::as_str).collect::<Vec<_>>() {
            ["group", "killed"] => eight::<D>(&job.url, turn, |_, _, error| panic!("{error:?}")),
            ["group", "cut_off"] => eight::<D>(&job.url, note, |url, job, error| {
                let committed = match error {
                    Error::OutcomeUnknown(unconfirmed) => {
                        let conn = &mut D::connect_to(url);
                        unconfirmed.resolve(conn).expect("resolved").expect("told by its row")
                    }
                    // refused before COMMIT
                    Error::Database { .. } => false,
                    error => panic!("not foretold: {error:?}"),
                };
                say(job, job.seq() + i64::from(committed));
            }),
            _ => return false,
        }
        true
    }
    run::<Sqlite>() || run::<RollbackJournal>()
}
