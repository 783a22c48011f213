//! From a commit to the start of the handler that takes it up.

use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use diesel::r2d2::ConnectionManager;
use flowstate::Flow as _;
use flowstate_diesel::{Announcer, Worker, prelude::*};

use super::Extent;
use crate::database::Database;
use crate::floor::Claim;
use crate::flow::{Account, Chore};
use crate::report::{Figure, Report, Spread, Target};

/// How many records are created one by one in a round.
const SAMPLES: usize = 40;
/// In which time another process that listens should have picked a record up, in microseconds.
const PICKED_UP: f64 = 5_000.0;
/// The pause between two records, for a process that listens.
const PAUSE: Duration = Duration::from_millis(50);
/// As long as the longest pause between two polls, and a little more.
const LONGER_THAN_A_POLL: Duration = Duration::from_millis(1_300);
const WRITERS: usize = 8;

pub(crate) fn run<D: Database>(database: &D, extent: &Extent, report: &mut Report) {
    let mut same = Vec::new();
    for _ in 0..extent.pace.rounds {
        same.push([claim_by_hand(database), same_process(database)]);
    }
    let figure = Figure::new("pick-up, same process", database.name(), "µs, median", &same);
    let trip = round_trip(database);
    let figure = figure.target(Target::AtMost(1.5));
    report.add(figure.note(format!("floor: one durable claim; a plain SELECT takes {trip:.0} µs")));
    let other = Spread::of(other_process(database, None));
    let pairs: Vec<_> = same.iter().map(|pair| [pair[0], other.median]).collect();
    let figure = Figure::new("pick-up, other process", database.name(), "µs, median", &pairs);
    let longest = other.max / 1e3;
    report.add(figure.note(format!("polls every second at most; longest {longest:.0} ms")));
    if database.name().starts_with("Maria") {
        // it tells other processes nothing
        return;
    }
    let listening: Vec<_> = (0..extent.pace.rounds)
        .map(|_| [PICKED_UP, Spread::of(other_process(database, Some(PAUSE))).median])
        .collect();
    let name = "pick-up, other process that listens";
    let figure = Figure::new(name, database.name(), "µs, median", &listening);
    report.add(figure.target(Target::AtMost(1.0)).note("floor: the target"));
    let announced: Vec<_> = (0..extent.pace.rounds)
        .map(|_| [creations(database, false), creations(database, true)])
        .collect();
    let name = "creations, announced";
    let figure = Figure::new(name, database.name(), "records/s", &announced).threads(WRITERS);
    report.add(figure.target(Target::AtLeast(1.0 / 1.5)));
}

/// How many a second are created by several threads, with or without an announcer beside them.
fn creations<D: Database>(database: &D, announced: bool) -> f64 {
    const EACH: u32 = 250;
    let _announcer = announced.then(|| Announcer::start(database.pool(1)).expect("started"));
    let connections: Vec<_> = (0..WRITERS).map(|_| database.connect()).collect();
    let start = Instant::now();
    std::thread::scope(|scope| {
        for mut conn in connections {
            scope.spawn(move || {
                for _ in 0..EACH {
                    Account::new().create(&mut conn).expect("created");
                }
            });
        }
    });
    f64::from(EACH) * f64::from(u32::try_from(WRITERS).expect("few"))
        / start.elapsed().as_secs_f64()
}

/// The median of a read by hand.
fn round_trip<D: Database>(database: &D) -> f64 {
    let mut conn = database.connect();
    let times = (0..SAMPLES * 5).map(|_| {
        let start = Instant::now();
        D::allows(&mut conn).expect("asked");
        micros(start.elapsed())
    });
    Spread::of(times).median
}

/// The least that must happen between a commit and a handler: a claim that is committed.
fn claim_by_hand<D: Database>(database: &D) -> f64 {
    let (mut conn, mut floor) = (database.connect(), database.floor());
    let (flow, from, transition, to) = (Chore::NAME, "waiting", "start_work", "working");
    let times = (0..SAMPLES).map(|_| {
        Chore::new().create(&mut conn).expect("created");
        let start = Instant::now();
        let claimed = floor.claim(&Claim { flow, from, transition, to, limit: 1 });
        let spent = start.elapsed();
        assert_eq!(claimed.len(), 1);
        micros(spent)
    });
    Spread::of(times).median
}

fn same_process<D: Database>(database: &D) -> f64 {
    let (worker, started) = start(database, false);
    let mut conn = database.connect();
    let times: Vec<_> = (0..SAMPLES)
        .map(|_| {
            Chore::new().create(&mut conn).expect("created");
            let committed = SystemTime::now();
            let begun = started.recv_timeout(Duration::from_secs(10)).expect("picked up");
            // the handler may begin before `create` has returned here
            let pause = begun.duration_since(committed).unwrap_or_default();
            std::thread::sleep(Duration::from_millis(3));
            micros(pause)
        })
        .collect();
    worker.shutdown(Duration::from_secs(5)).expect("stopped");
    Spread::of(times).median
}

/// With `listened` for a pause between two records, the worker listens, and the other process
/// announces.
fn other_process<D: Database>(database: &D, listened: Option<Duration>) -> Vec<f64> {
    let (worker, started) = start(database, listened.is_some());
    let (records, pause) = match listened {
        Some(pause) => (SAMPLES, pause),
        None => (12, LONGER_THAN_A_POLL),
    };
    let [records, pause] = [records.to_string(), pause.as_millis().to_string()];
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["child", "create", &database.url(), &records, &pause]);
    if listened.is_some() {
        command.arg("--announced");
    }
    let child = command.stdout(Stdio::piped()).spawn().expect("a child");
    let output = child.wait_with_output().expect("the child's times");
    let text = String::from_utf8(output.stdout).expect("text");
    let times = text.lines().map(|line| {
        let committed = UNIX_EPOCH + Duration::from_micros(line.parse().expect("a time"));
        let begun = started.recv_timeout(Duration::from_secs(10)).expect("picked up");
        micros(begun.duration_since(committed).unwrap_or_default())
    });
    let times = times.collect();
    worker.shutdown(Duration::from_secs(5)).expect("stopped");
    times
}

type Running<D> = flowstate_diesel::Running<ConnectionManager<<D as Database>::Conn>>;

/// A worker that tells when a handler starts.
fn start<D: Database>(database: &D, listens: bool) -> (Running<D>, Receiver<SystemTime>) {
    let (tell, started) = channel();
    let step = Chore::WORK;
    let mut worker = Worker::new(database.pool(3)).step(step, move |_, ()| {
        tell.send(SystemTime::now())?;
        Ok(())
    });
    if listens {
        worker = worker.listen(ConnectionManager::<D::Conn>::new(database.url()));
    }
    let worker = worker.start().expect("a worker");
    std::thread::sleep(Duration::from_millis(50));
    (worker, started)
}

pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
