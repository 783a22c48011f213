//! Callers and workers on a cluster that is harmed, and what must hold all the same.

mod caller;
mod galera;
mod judge;
mod options;
mod replicas;
mod setup;
mod tally;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use diesel::Connection as _;
use diesel::connection::SimpleConnection as _;
use flowstate_diesel::prelude::*;

use self::caller::{Call, Place};
use self::galera::Galera;
use self::judge::Kept;
use self::options::{HELP, Options};
use self::replicas::Replicas;
use self::setup::{Cluster, Elsewhere, TakeOver};
use self::tally::Tally;
use super::errand::{Errand, Temper};
use super::pack::Pack;
use super::verdict::{self, Count};
use super::visits::{self, Told};
use super::{WORKER, work};
use crate::{Database, Mysql, Postgres};

/// So long and a call that has not come back never will.
const STUCK: Duration = Duration::from_mins(2);

/// The program: either the one who harms, or a worker.
pub fn main(arguments: impl Iterator<Item = String>) -> ExitCode {
    let arguments: Vec<_> = arguments.collect();
    if let [worker, database, url, visits] = &arguments[..]
        && worker == WORKER
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
    let elsewhere = || Box::new(Elsewhere(options.urls.clone()));
    match (options.urls.is_empty(), &*options.setup, &*options.database) {
        (true, "galera", _) => run::<Mysql>(&options, Box::new(Galera::start())),
        (true, "replicas", _) => {
            run::<Postgres>(&options, Box::new(Replicas::start(!options.asynchronous)))
        }
        (false, _, "postgres") => run::<Postgres>(&options, elsewhere()),
        (false, _, "mysql") => run::<Mysql>(&options, elsewhere()),
        _ => {
            eprintln!("there is no such set-up; see `--help`");
            ExitCode::from(2)
        }
    }
}

fn run<D: Database>(options: &Options, cluster: Box<dyn Cluster>) -> ExitCode {
    let folder = tempfile::tempdir().expect("a folder");
    let seen = folder.path().join("visits");
    drop(visits::open(&seen));
    let urls = cluster.urls("errands");
    let keeps_all = cluster.keeps_all();
    let place = prepare::<D>(&*cluster);
    println!("{} callers a place, {} workers on {urls:?}", options.callers, options.workers);
    let database = if D::FOLDER == Mysql::FOLDER { "mysql" } else { "postgres" };
    let mut pack = Pack::start(options.workers, database, &urls, &seen);
    let (callers, answers) = callers::<D>(options, &place);
    let feeder = feeder::<D>(options, urls.clone());
    let harm = harm(options, cluster);
    let mut findings = Vec::new();

    let begun = Instant::now();
    while begun.elapsed() < options.time || !harm.is_finished() {
        thread::sleep(Duration::from_millis(100));
        pack.replace_the_dead();
    }
    place.is_over.store(true, Ordering::Relaxed);
    // it is under way until everything is judged
    let (_cluster, took_over) = harm.join().expect("the cluster recovered");
    if !wait_until(|| callers.iter().all(JoinHandle::is_finished), || ()) {
        findings.push("a call has not come back".to_owned());
    }
    let settled = wait_until(
        || feeder.is_finished() && open_errands::<D>(&urls) == Some(0),
        || pack.replace_the_dead(),
    );
    if !settled {
        findings.push(format!("flows did not settle: {:?} are open", open_errands::<D>(&urls)));
    }
    let alive = pack.processes();
    if !pack.stop() {
        findings.push("a worker did not stop in a minute".to_owned());
    }

    let calls: Vec<_> = answers.try_iter().collect();
    judge::tell(&calls);
    let visited = Told::read(&seen);
    if let Some(TakeOver { led, .. }) = took_over {
        findings.extend(judge::resumed(&visited.resumed(led, &alive)));
    }
    let kept = took_over.filter(|_| !keeps_all).map_or(Kept::All, Kept::but_the_last);
    for (tally, errands) in place.urls.iter().zip(&urls) {
        let mut conn = up_to_date::<D>(tally);
        findings.extend(judge::findings::<D>(&calls, kept, &mut conn));
        let mut conn = up_to_date::<D>(errands);
        findings.extend(if keeps_all {
            verdict::findings::<D>(options.flows, &visited, &mut conn)
        } else {
            println!("{} of {} flows are there", Count::read::<D>(&mut conn).all(), options.flows);
            verdict::findings_of_what_is_left::<D>(&visited, &mut conn)
        });
    }
    if findings.is_empty() {
        println!("every answer was right, and nothing was lost, doubled or left over");
        return ExitCode::SUCCESS;
    }
    for finding in findings {
        println!("FOUND: {finding}");
    }
    ExitCode::FAILURE
}

/// Makes the databases, and the records that callers move.
fn prepare<D: Database>(cluster: &dyn Cluster) -> Arc<Place> {
    let is_mysql = D::FOLDER == Mysql::FOLDER;
    // Galera wants a primary key
    let key = if is_mysql { "id BIGINT AUTO_INCREMENT PRIMARY KEY, " } else { "" };
    let maker = if is_mysql { "flows" } else { "postgres" };
    for (database, table) in [
        ("tally", "effects (K name VARCHAR(64) NOT NULL)"),
        ("errands", "bookings (K flow_id BIGINT NOT NULL)"),
    ] {
        // where somebody else runs the cluster they are there
        if let Ok(mut conn) = D::Conn::establish(&cluster.urls(maker)[0]) {
            conn.batch_execute(&format!("CREATE DATABASE {database}")).unwrap_or_default();
        }
        let conn = &mut D::connect_to(&cluster.urls(database)[0]);
        flowstate_diesel::migrate(conn).expect("migrated");
        conn.batch_execute(&format!("CREATE TABLE {}", table.replace("K ", key))).expect("a table");
    }
    let urls = cluster.urls("tally");
    let mut conn = D::connect_to(&urls[0]);
    let create = |number| {
        let tally = Tally { name: format!("moved {number}") };
        tally.create(&mut conn).expect("created").id()
    };
    let ids = (0..24).map(create).collect();
    // what is there on one node is there on all
    for url in &urls {
        drop(up_to_date::<D>(url));
    }
    Arc::new(Place { urls, ids, is_over: AtomicBool::new(false) })
}

/// Callers, and the answers they get. They are threads that may be left behind.
fn callers<D: Database>(
    options: &Options,
    place: &Arc<Place>,
) -> (Vec<JoinHandle<()>>, Receiver<Call>) {
    let (sender, answers): (Sender<Call>, _) = channel();
    let start = |number| {
        let (place, sender) = (Arc::clone(place), sender.clone());
        thread::spawn(move || caller::call::<D>(number, &place, &sender))
    };
    ((0..options.callers * place.urls.len()).map(start).collect(), answers)
}

/// Gives the workers flows evenly over the time, each under a key: what is not known to be there is made
/// again. After an outage it makes up for it, so that there is work for everybody.
fn feeder<D: Database>(options: &Options, urls: Vec<String>) -> JoinHandle<()> {
    let (flows, pause) = (options.flows, options.time / u32::try_from(options.flows).expect("few"));
    thread::spawn(move || {
        let (begun, mut conn) = (Instant::now(), None);
        for number in 0..flows {
            let errand = Errand { temper: Temper::of(number) };
            loop {
                if let Some(open) = &mut conn
                    && errand.clone().create_once(&format!("errand {number}"), open).is_ok()
                {
                    break;
                }
                thread::sleep(Duration::from_millis(50));
                conn = D::Conn::establish(&urls[fastrand::usize(..urls.len())]).ok();
            }
            let next = pause * u32::try_from(number + 1).expect("few");
            thread::sleep(next.saturating_sub(begun.elapsed()));
        }
    })
}

/// A cluster, and when another of its servers took over.
type Harmed = (Box<dyn Cluster>, Option<TakeOver>);

/// Does harm after a quarter of the time.
fn harm(options: &Options, mut cluster: Box<dyn Cluster>) -> JoinHandle<Harmed> {
    let (fault, pause) = (options.fault, options.time / 4);
    thread::spawn(move || {
        thread::sleep(pause);
        let took_over = cluster.harm(fault);
        (cluster, took_over)
    })
}

/// `None` if nobody answers.
fn open_errands<D: Database>(urls: &[String]) -> Option<i64> {
    let mut conn = D::Conn::establish(&urls[0]).ok()?;
    Some(Count::read::<D>(&mut conn).open)
}

fn wait_until(mut is_so: impl FnMut() -> bool, mut meanwhile: impl FnMut()) -> bool {
    let begun = Instant::now();
    while !is_so() {
        if begun.elapsed() > STUCK {
            return false;
        }
        meanwhile();
        thread::sleep(Duration::from_millis(200));
    }
    true
}

/// A connection that sees what the other nodes have confirmed.
fn up_to_date<D: Database>(url: &str) -> D::Conn {
    let mut conn = D::connect_to(url);
    if D::FOLDER == Mysql::FOLDER {
        // MySQL has no such setting, and needs none
        conn.batch_execute("SET SESSION wsrep_sync_wait = 15").unwrap_or_default();
    }
    // such a connection waits when it reads
    D::number(&mut conn, "SELECT COUNT(*) FROM flowstate_flows");
    conn
}
