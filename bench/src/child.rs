//! What runs in a process of its own.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use diesel::connection::Connection;
use diesel::r2d2::{ConnectionManager, Pool, R2D2Connection};
use flowstate_diesel::{Announcer, Store, prelude::*};

use crate::args::{Child, WhichSide};
use crate::floor::{self, Floor};
use crate::flow::Chore;
use crate::race::Watch;
use crate::scenario::{fast, worker};

pub(crate) fn run(child: &Child) {
    let (Child::Create { url, .. } | Child::Work { url, .. } | Child::Flows { url, .. }) = child;
    if url.starts_with("postgres") {
        #[cfg(feature = "postgres")]
        on::<PgConnection>(child, |_| {}, |url| Box::new(floor::postgres::Postgres::open(url)));
    } else if url.starts_with("mysql") {
        #[cfg(feature = "mysql")]
        on::<MysqlConnection>(child, |_| {}, |url| Box::new(floor::mysql::Mysql::open(url)));
    } else {
        let set = |conn: &mut SqliteConnection| {
            let level = flowstate_diesel::sqlite::Synchronous::Normal;
            crate::database::sqlite::customizer(level).apply(conn).expect("the pragmas");
        };
        on(child, set, |url| Box::new(floor::sqlite::Sqlite::open(url, "NORMAL")));
    }
}

fn on<C: Store + R2D2Connection + Send + 'static>(
    child: &Child,
    set: fn(&mut C),
    open: fn(&str) -> Box<dyn Floor>,
) {
    let connect = |url: &str| {
        let mut conn = <C as Connection>::establish(url).expect("a connection");
        set(&mut conn);
        conn
    };
    match child {
        Child::Create { url, count, pause, announced } => {
            let _announcer = announced.then(|| {
                let pool = Pool::builder().max_size(1).build(ConnectionManager::<C>::new(url));
                Announcer::start(pool.expect("a pool")).expect("started")
            });
            create(&mut connect(url), *count, Duration::from_millis(*pause));
        }
        Child::Work { url, threads } => work::<C>(url, *threads),
        Child::Flows { url, side, count } => {
            let mut side = match side {
                WhichSide::Ours => fast::ours(connect(url)),
                WhichSide::Floor => fast::floor(open(url)),
            };
            (0..*count).for_each(|_| side.once(&mut Watch::default()));
        }
    }
}

fn create<C: Store>(conn: &mut C, count: usize, pause: Duration) {
    for _ in 0..count {
        Chore::new().create(conn).expect("created");
        let committed = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        println!("{}", committed.as_micros());
        std::thread::sleep(pause);
    }
}

fn work<C: Store + R2D2Connection + 'static>(url: &str, threads: usize) {
    let manager = ConnectionManager::<C>::new(url);
    let size = u32::try_from(threads).expect("a few") + 1;
    let pool = Pool::builder().max_size(size).build(manager).expect("a pool");
    let worker = worker::worker(pool, threads, 32).start().expect("a worker");
    std::thread::sleep(Duration::from_secs(3));
    worker.shutdown(Duration::from_secs(5)).expect("stopped");
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    println!("{}", peak.trim().trim_end_matches(" kB"));
}
