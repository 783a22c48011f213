//! M08 to M10: what the tables hold, and how they are made.

use diesel::connection::SimpleConnection;
use flowstate_diesel::prelude::*;
use flowstate_tests::check;
use flowstate_tests::flows::{Job, JobRecord};

use super::Server;

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
    assert_eq!(D::number(conn, columns), 9);
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
    assert_eq!(statements.len(), 5);
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
