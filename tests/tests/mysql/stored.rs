//! M06 and M08 to M10: what the tables hold, and how they are made.

use diesel::connection::SimpleConnection;
use flowstate_diesel::prelude::*;
use flowstate_diesel::{Error, Unfit, Worker, claim_next};
use flowstate_tests::flows::{Job, JobRecord};
use flowstate_tests::own_server::{OwnServer, ServerKind};
use flowstate_tests::statement_probe::Probe;
use flowstate_tests::{check, fetch_step, refused};

use super::Server;

/// M06: a server without SKIP LOCKED is refused wherever something would need it, with copied
/// migrations too. (A newer one that says it is older; which versions are refused is a unit test of
/// the dialect.)
pub(crate) fn m06_an_old_server_is_refused<D: Server>() {
    let server = OwnServer::start_with(ServerKind::MariaDb, &["--version=10.5.29-MariaDB"]);
    let conn = &mut D::connect_to(&server.url());
    let up = include_str!("../../../migrations/mysql/2026-11-23-000000_create_flowstate/up.sql");
    conn.batch_execute(up).expect("copied");
    let pool = D::probed_pool(&server.url(), 1, Probe::new(|_| {}));
    let worker = Worker::new(pool).step(fetch_step!(), |_, ()| unreachable!());
    for refused in [
        flowstate_diesel::migrate(conn).map(drop),
        claim_next(fetch_step!(), conn).map(drop),
        worker.start().map(drop),
    ] {
        let unfit = refused!(refused, Error::Unfit(unfit) => unfit);
        let told = "MariaDB 10.5.29-MariaDB";
        assert!(matches!(&unfit, Unfit::TooOld { found, .. } if found == told), "{unfit}");
    }
}

/// M08: names and keys are compared byte by byte.
pub(crate) fn m08_keys_differ_in_case_accents_and_blanks<D: Server>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let keys = ["Émile", "emile", "Emile", "a", "A", "a ", "ａ"];
    for (at, key) in keys.into_iter().enumerate() {
        let once = Job::new(&at.to_string()).create_once(key, conn).expect("created");
        assert!(once.is_created(), "{key}");
    }
    for (at, key) in keys.into_iter().enumerate() {
        let found = Job::find_by_key(key, conn).expect("read").expect("found");
        assert_eq!((found.key(), &*found.name), (Some(key), &*at.to_string()));
    }
    let others = "SELECT COUNT(*) FROM information_schema.columns \
                  WHERE table_schema = DATABASE() AND table_name LIKE 'flowstate%' \
                  AND collation_name <> 'utf8mb4_bin'";
    assert_eq!(D::number(conn, others), 0);
}

/// M09: times have microseconds.
pub(crate) fn m09_microseconds_are_kept<D: Server>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let columns = "SELECT COUNT(*) FROM information_schema.columns \
                   WHERE table_schema = DATABASE() AND table_name LIKE 'flowstate%' \
                   AND data_type IN ('datetime', 'timestamp')";
    assert!(D::number(conn, columns) > 8);
    let coarse = format!("{columns} AND datetime_precision <> 6");
    assert_eq!(D::number(conn, &coarse), 0);
    let jobs = Job::create_many((0..20).map(|_| Job::new("a")), conn).expect("created");
    let fine = |job: &JobRecord| !job.created_at().timestamp_subsec_micros().is_multiple_of(1_000);
    assert!(jobs.iter().any(fine));
}

/// M10: a migration that died between two of its statements is run again.
pub(crate) fn m10_a_migration_that_died_is_run_again<D: Server>() {
    let up = include_str!("../../../migrations/mysql/2026-11-23-000000_create_flowstate/up.sql");
    let statements: Vec<_> = up.split_inclusive(";\n").collect();
    assert!(statements.len() > 4, "the whole file");
    for done in 0..statements.len() {
        let database = D::empty();
        let conn = &mut database.connect();
        for statement in &statements[..done] {
            conn.batch_execute(statement).expect(statement);
        }
        let migrated = flowstate_diesel::migrate(conn).expect("run again");
        assert_eq!(migrated.len(), 1, "after {done} statements");
        assert_eq!(flowstate_diesel::migrate(conn).expect("nothing to do").len(), 0);
        Job::new("a").create(conn).expect("created");
        check::clean(conn);
    }
}

/// A column of the user's own that has no default refuses every new record, and with a key too.
pub(crate) fn a_column_without_a_default_refuses_all<D: Server>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    conn.batch_execute("ALTER TABLE flowstate_flows ADD COLUMN tenant INT NOT NULL")
        .expect("added");
    for refused in [
        Job::new("a").create(conn).map(drop),
        Job::new("a").create_once("key", conn).map(drop),
        Job::create_many([Job::new("a")], conn).map(drop),
    ] {
        let source = refused!(refused, Error::Database { source, .. } => source);
        assert!(source.to_string().contains("tenant"), "{source}");
    }
    assert_eq!(check::sizes::<D>(conn), [0, 0, 0]);
}
