//! The tables of the library and those of its host.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::sync::Mutex;

use diesel::Connection;
use diesel::connection::SimpleConnection as _;
use diesel_migrations::{FileBasedMigrations, MigrationHarness};
use flowstate_diesel::prelude::*;
use flowstate_diesel::{Error, migrate, transaction};

use crate::flows::Job;
use crate::race::race;
use crate::require::crash::crash_at;
use crate::statement_probe::Probe;
use crate::{Database, check, child, refused};

/// The tables work, and there is nothing left to do.
fn works<D: Database>(conn: &mut D::Conn) {
    assert_eq!(migrate(conn).expect("migrated"), [""; 0]);
    let mut job = Job::new("a").create(conn).expect("created");
    job.transition(Job::WORK, conn).run().expect("working");
    check::clean(conn);
}

/// Without its tables the library says what to do.
pub fn missing_tables_are_named<D: Database>() {
    let database = D::empty();
    let conn = &mut database.connect();
    refused!(Job::new("a").create(conn), Error::NotMigrated { .. });
    refused!(Job::new("a").create_once("key", conn), Error::NotMigrated { .. });
    refused!(Job::find(1, conn), Error::NotMigrated { .. });
    refused!(Job::count_by_state(u32::MAX, conn), Error::NotMigrated { .. });
    refused!(flowstate_diesel::audit(conn), Error::NotMigrated { .. });
    let error = Job::find(1, conn).expect_err("no tables");
    assert!(error.to_string().contains("flowstate_diesel::migrate(&mut conn)"), "{error}");
    assert!(!migrate(conn).expect("migrated").is_empty());
    works::<D>(conn);
}

/// A26: of three processes one migrates, the others wait.
pub fn a26_one_of_three_processes_migrates<D: Database>() {
    let database = D::empty();
    let ended = child::run_together::<D>(&["migrate 0"; 3], &database.url());
    let applied: Vec<_> = ended.iter().map(|child| child.said.concat()).collect();
    assert_eq!(applied.iter().filter(|said| *said != "applied []").count(), 1, "{applied:?}");
    works::<D>(&mut database.connect());
}

/// A26: of eight threads one migrates, the others wait.
pub fn a26_one_of_eight_threads_migrates<D: Database>() {
    let database = D::empty();
    let applied = race(8, |_, barrier| {
        let conn = &mut database.connect();
        barrier.wait();
        migrate(conn).expect("migrated").len()
    });
    assert_eq!(applied.iter().sum::<usize>(), 1, "{applied:?}");
    works::<D>(&mut database.connect());
}

/// A26: what another process makes before this one is let in is seen to be there, and not made again: in a new database, and in one with nothing but the table of versions.
pub fn a26_what_another_made_meanwhile_is_seen<D: Database>() {
    let time = match D::FOLDER {
        "mysql" => "DATETIME(6)",
        "postgresql" => "TIMESTAMPTZ",
        _ => "TEXT",
    };
    let versions = format!(
        "CREATE TABLE flowstate_migrations \
         (version VARCHAR(64) NOT NULL PRIMARY KEY, applied_at {time} NOT NULL)"
    );
    let sessions: &[&str] = match D::FOLDER {
        "mysql" => &["SET autocommit = 1", "SET autocommit = 0"],
        _ => &["SELECT 1"],
    };
    for (half_made, session) in sessions.iter().flat_map(|&of| [(false, of), (true, of)]) {
        let database = D::empty();
        let conn = &mut database.connect();
        if half_made {
            conn.batch_execute(&versions).expect("the table");
        }
        conn.batch_execute(session).expect("as it may be");
        let other = Mutex::new(Some(database.connect()));
        let probe = Probe::new(move |seen| {
            let lock = ["GET_LOCK", "pg_advisory_xact_lock", "BEGIN IMMEDIATE"];
            let asks = lock.iter().any(|lock| seen.starts(&[lock]));
            let other = asks.then(|| other.lock().expect("no panic").take());
            if let Some(mut other) = other.flatten() {
                assert_eq!(migrate(&mut other).expect("migrated").len(), 1);
            }
        });
        probe.over(conn);
        assert_eq!(migrate(conn).expect("migrated"), [""; 0], "{half_made}, {session}");
        works::<D>(conn);
    }
}

/// Tables that are there though no version says so are not taken for missing ones: they are completed
/// where each is made if it is missing, and else the database says what is in the way.
pub fn tables_without_a_version_are_told<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    conn.batch_execute("DELETE FROM flowstate_migrations").expect("as a dump without rows");
    match migrate(conn) {
        Ok(applied) => assert_eq!((applied.len(), D::FOLDER), (1, "mysql")),
        Err(Error::Database { source, .. }) => {
            assert!(source.to_string().contains("already exists"), "{source}");
            assert_ne!(D::FOLDER, "mysql", "{source}");
        }
        Err(error) => panic!("another error: {error:?}"),
    }
}

/// A26, A11: killed at every statement boundary, it can be run again.
pub fn a26_a_killed_migration_can_be_run_again<D: Database>() {
    let mut crashes = 0;
    loop {
        let database = D::empty();
        crashes += 1;
        let jobs = [&*format!("migrate {crashes}"), "migrate 0", "migrate 0"];
        let ended = child::run_together::<D>(&jobs, &database.url());
        assert!(ended[1].status.success() && ended[2].status.success(), "{ended:?}");
        works::<D>(&mut database.connect());
        if ended[0].status.success() {
            break;
        }
        assert_eq!(ended[0].status.signal(), Some(6), "{ended:?}");
    }
    assert!(crashes > 4, "killed {crashes} times");
}

/// The child of the former.
pub fn migrate_in_child<D: Database>(event: u32, url: &str) {
    let conn = &mut D::connect_to(url);
    crash_at::<D>(event, conn);
    child::wait_for_go();
    child::say(&format!("applied {:?}", migrate(conn).expect("migrated")));
}

/// Inside a transaction that is rolled back, nothing of it is kept: it joins, or is refused where a
/// `CREATE TABLE` would commit what came before. So with tables that are there already.
pub fn a_migration_commits_nothing_of_its_callers<D: Database>() {
    for migrated in [false, true] {
        let database = if migrated { D::migrated() } else { D::empty() };
        let conn = &mut database.connect();
        check::make_effects(conn);
        for ours in [false, true] {
            let mut ended = None;
            let mut body = |conn: &mut D::Conn| {
                conn.batch_execute("INSERT INTO effects VALUES ('before')")?;
                ended = Some(migrate(conn));
                Err::<(), Error>(diesel::result::Error::RollbackTransaction.into())
            };
            let undone =
                if ours { transaction(conn, &mut body) } else { conn.transaction(&mut body) };
            refused!(undone, Error::Database { .. });
            assert_eq!(check::rows::<D>(conn, "effects"), 0);
            match ended.expect("tried") {
                Err(Error::MigrateInTransaction) if D::FOLDER == "mysql" => {}
                ended => assert_eq!(ended.expect("joined").is_empty(), migrated),
            }
        }
        migrate(conn).expect("migrated");
        works::<D>(conn);
    }
}

type Backend<D> = <<D as Database>::Conn as Connection>::Backend;

/// A migration of the host application, in a folder.
fn host_migration(folder: &Path) {
    let folder = folder.join("2020-01-01-000000_host");
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("up.sql"), "CREATE TABLE host (id INTEGER NOT NULL)").expect("written");
    fs::write(folder.join("down.sql"), "DROP TABLE host").expect("written");
}

/// A27: the host's own Diesel migrations, before ours, after them, and reverted.
pub fn a27_host_migrations_stay_apart<D: Database>()
where
    D::Conn: MigrationHarness<Backend<D>>,
{
    let folder = tempfile::tempdir().expect("a folder");
    host_migration(folder.path());
    let host = || FileBasedMigrations::from_path(folder.path()).expect("migrations");
    for host_is_first in [true, false] {
        let database = D::empty();
        let conn = &mut database.connect();
        if host_is_first {
            conn.run_pending_migrations(host()).expect("the host's");
        }
        assert!(!migrate(conn).expect("ours").is_empty());
        conn.run_pending_migrations(host()).expect("the host's");
        assert_eq!(check::rows::<D>(conn, "host"), 0);
        works::<D>(conn);
        conn.revert_all_migrations(host()).expect("reverted");
        works::<D>(conn);
        conn.run_pending_migrations(host()).expect("and again");
        works::<D>(conn);
    }
}

/// A27: our files copied into the host's own folder.
pub fn a27_copied_migrations_record_themselves<D: Database>()
where
    D::Conn: MigrationHarness<Backend<D>>,
{
    let folder = tempfile::tempdir().expect("a folder");
    host_migration(folder.path());
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations").join(D::FOLDER);
    for migration in fs::read_dir(ours).expect("our migrations") {
        let migration = migration.expect("a folder").path();
        let copy = folder.path().join(migration.file_name().expect("a name"));
        fs::create_dir(&copy).expect("a folder");
        for file in ["up.sql", "down.sql"] {
            fs::copy(migration.join(file), copy.join(file)).expect("copied");
        }
    }
    let all = || FileBasedMigrations::from_path(folder.path()).expect("migrations");
    let database = D::empty();
    let conn = &mut database.connect();
    conn.run_pending_migrations(all()).expect("all");
    works::<D>(conn);
    conn.revert_all_migrations(all()).expect("reverted");
    refused!(Job::find(1, conn), Error::NotMigrated { .. });
    conn.run_pending_migrations(all()).expect("all again");
    works::<D>(conn);
    conn.revert_all_migrations(all()).expect("reverted");
    assert!(!migrate(conn).expect("by the library").is_empty());
    works::<D>(conn);
}
