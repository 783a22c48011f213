//! A11 and A25: the process is aborted at every statement boundary. Before COMMIT nothing is
//! there, after it everything, and every flow still reaches its end.

use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use diesel::connection::{Instrumentation, InstrumentationEvent, SimpleConnection};
use flowstate::Flow as _;
use flowstate_diesel::prelude::*;
use flowstate_diesel::{Page, Purge, Result, transaction};
use serde_json::{Value, json};

use crate::flows::{Job, JobRecord, JobState, Note};
use crate::{Database, check, child};

const SIGABRT: i32 = 6;

/// Aborts the process at the n-th event, and says whether a COMMIT has been answered.
pub(super) struct Crash {
    left: u32,
    open: bool,
    committed: bool,
}

impl Instrumentation for Crash {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        let (query, finished) = match &event {
            InstrumentationEvent::StartQuery { query, .. } => (query.to_string(), false),
            InstrumentationEvent::FinishQuery { query, .. } => (query.to_string(), true),
            _ => return,
        };
        self.see(&query, finished);
    }
}

impl Crash {
    /// At the n-th event from now on; never for 0.
    pub(super) fn at(event: u32) -> Self {
        Self { left: event, open: false, committed: false }
    }

    /// One event: a statement begins or has finished.
    pub(super) fn see(&mut self, query: &str, finished: bool) {
        let word = query.split_whitespace().next().unwrap_or_default().to_uppercase();
        let word = word.trim_end_matches(';');
        match word {
            "BEGIN" | "START" => self.open = true,
            // MySQL's way
            "SET" if query.starts_with("SET autocommit = 0") => self.open = true,
            "COMMIT" if finished => self.committed = true,
            "SET" if finished && query.starts_with("SET autocommit = 1") => self.committed = true,
            // what is recursive only reads
            "WITH" if query.starts_with("WITH RECURSIVE") => {}
            "INSERT" | "UPDATE" | "DELETE" | "WITH" if finished && !self.open => {
                self.committed = true;
            }
            _ => {}
        }
        self.left = self.left.wrapping_sub(1);
        if self.left == 0 {
            let answered = if finished { "after" } else { "before" };
            child::say(if self.committed { "committed" } else { "uncommitted" });
            child::say(&format!("{answered} {query}"));
            std::process::abort();
        }
    }
}

/// Makes a connection abort the process at its n-th event from now on; never for 0.
pub fn crash_at<D: Database>(event: u32, conn: &mut D::Conn) {
    flowstate_diesel::instrument(conn, Crash::at(event));
}

/// The name of the record that the parent has prepared or that the child creates.
type Act<D> = fn(&str, Option<JobRecord>, &mut <D as Database>::Conn) -> Result<()>;

/// What a child does when it is killed, and in which state the parent leaves the record to it.
struct Scene<D: Database> {
    name: &'static str,
    start: Option<JobState>,
    act: Act<D>,
}

fn scenes<D: Database>() -> [Scene<D>; 12] {
    let scene = |name, start, act: Act<D>| Scene { name, start, act };
    [
        scene("create", None, |name, _, conn| Job::new(name).create(conn).map(drop)),
        scene("create_once", None, |name, _, conn| {
            Job::new(name).create_once(name, conn).map(drop)
        }),
        scene("create_many", None, |name, _, conn| {
            Job::create_many([Job::new(name), Job::new(name), Job::new(name)], conn).map(drop)
        }),
        scene("fast", Some(JobState::Open), |_, job, conn| {
            given(job).transition(Job::WORK, conn).run()
        }),
        scene("persist", Some(JobState::Working), |_, job, conn| {
            given(job).transition(Job::NOTE, conn).persist(Note(json!("note"))).run()
        }),
        scene("load", Some(JobState::Half), |_, job, conn| {
            given(job).transition(Job::READ, conn).run().map(drop)
        }),
        scene("slow", Some(JobState::Working), |name, job, conn| {
            given(job)
                .transition(Job::NOTE, conn)
                .persist(Note(json!("note")))
                .guard("it is", |job, _| !job.name.is_empty())
                .update(|job| job.payload = json!("changed"))
                .within(|_, conn| Ok(effect(name, conn)?))
                .then(Job::FINISH)
                .run()
        }),
        scene("together", Some(JobState::Open), |name, job, conn| {
            let mut job = given(job);
            transaction(conn, |conn| {
                job.transition(Job::WORK, conn).run()?;
                effect(name, conn)?;
                Job::new(name).create(conn)?;
                job.transition(Job::NOTE, conn).persist(Note(json!("note"))).run()
            })
        }),
        scene("complete", Some(JobState::Half), |_, job, conn| {
            given(job).transition(Job::FINISH, conn).run()
        }),
        scene("a25", Some(JobState::Half), |name, job, conn| {
            let within = |_: &_, conn: &mut _| Ok(effect(name, conn)?);
            given(job).transition(Job::ABANDON, conn).within(within).run()
        }),
        scene("destroy", Some(JobState::Half), |_, job, conn| given(job).destroy(conn)),
        scene("purge", Some(JobState::Done), |_, _, conn| {
            Purge::older_than(Duration::ZERO).run(conn).map(drop)
        }),
    ]
}

fn given(job: Option<JobRecord>) -> JobRecord {
    job.expect("prepared by the parent")
}

fn effect<C: SimpleConnection>(name: &str, conn: &mut C) -> diesel::QueryResult<()> {
    conn.batch_execute(&format!("INSERT INTO effects VALUES ('{name}')"))
}

/// Everything that there is of a name.
#[derive(Debug, PartialEq)]
struct Found {
    records: Vec<FoundRecord>,
    effects: i64,
}

#[derive(Debug, PartialEq)]
struct FoundRecord {
    state: JobState,
    seq: i64,
    payload: Value,
    history: Vec<String>,
    artefacts: Vec<String>,
}

fn named<D: Database>(name: &str, conn: &mut D::Conn) -> Vec<JobRecord> {
    let all = Job::DEFINITION.states.iter().map(|state| state.name.parse().expect("a state"));
    let mut records = Job::list(all, Page::first(10_000), conn).expect("listed");
    records.retain(|job| job.name == name);
    records
}

fn look<D: Database>(name: &str, conn: &mut D::Conn) -> Found {
    let mut records = Vec::new();
    for job in named::<D>(name, conn) {
        let history = job.history(conn).expect("the history");
        let artefacts = job.artefacts(conn).expect("the artefacts");
        let history = history.into_iter().map(|row| row.transition).collect();
        let artefacts = artefacts.into_iter().map(|row| row.name).collect();
        let (state, seq, payload) = (job.state(), job.seq(), job.payload.clone());
        records.push(FoundRecord { state, seq, payload, history, artefacts });
    }
    let effects = D::number(conn, &format!("SELECT COUNT(*) FROM effects WHERE name = '{name}'"));
    Found { records, effects }
}

/// Takes a record to a state, from wherever it is.
fn drive<D: Database>(job: &mut JobRecord, to: JobState, conn: &mut D::Conn) {
    while job.state() != to && !job.is_completed() {
        match job.state() {
            JobState::Working => {
                job.transition(Job::NOTE, conn).persist(Note(Value::Null)).run().expect("noted");
            }
            JobState::Half => job.transition(Job::FINISH, conn).run().expect("finished"),
            _ => job.transition(Job::WORK, conn).run().expect("working"),
        }
    }
}

/// A11, A25: every scene, killed at every statement boundary until one survives.
pub fn a11_a25_crash_keeps_all_or_nothing<D: Database>() {
    for scene in scenes::<D>() {
        let database = D::migrated();
        let conn = &mut database.connect();
        check::make_effects(conn);
        let mut crashes = Vec::new();
        let mut survivor = None;
        for event in 1..100 {
            let name = format!("{}-{event}", scene.name);
            if let Some(start) = scene.start {
                let mut job = Job::new(&name).create(conn).expect("created");
                drive::<D>(&mut job, start, conn);
            }
            let before = look::<D>(&name, conn);
            let ended = child::run::<D>(&format!("crash {} {event}", scene.name), &database.url());
            let after = look::<D>(&name, conn);
            check::clean(conn);
            for mut job in named::<D>(&name, conn) {
                drive::<D>(&mut job, JobState::Done, conn);
                assert!(job.is_completed(), "{name}: driven to its end");
                check::clean(conn);
                job.destroy(conn).expect("no work for the next child");
            }
            if ended.status.success() {
                assert_ne!(before, after, "{name}: the act does something");
                survivor = Some(after);
                break;
            }
            assert_eq!(ended.status.signal(), Some(SIGABRT), "{name}: {ended:?}");
            let committed = ended.said[0] == "committed";
            if !committed {
                assert_eq!(before, after, "{name}: nothing, {}", ended.said[1]);
            }
            crashes.push((name, committed, after, ended.said));
        }
        let survivor = survivor.expect("a child survives");
        for (name, committed, found, said) in &crashes {
            assert!(!committed || *found == survivor, "{name}: all of it, {said:?}\n{found:?}");
        }
        let kept = crashes.iter().filter(|(_, committed, ..)| *committed).count();
        assert!(kept > 0 && kept < crashes.len(), "{}: killed on both sides", scene.name);
    }
}

/// The child of the former.
pub fn crash_in_child<D: Database>(scene: &str, event: u32, url: &str) {
    let conn = &mut D::connect_to(url);
    let name = format!("{scene}-{event}");
    let job = named::<D>(&name, conn).pop();
    let scene = scenes::<D>().into_iter().find(|known| known.name == scene).expect("a scene");
    crash_at::<D>(event, conn);
    (scene.act)(&name, job, conn).expect("survived");
}
