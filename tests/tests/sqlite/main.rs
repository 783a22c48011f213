//! What concerns SQLite alone.

mod busy;
mod ended;
mod faults;
mod full;
mod group;
mod reading;
mod schema;
mod statements;

use flowstate_tests::require::{crash, crowd, stress, worker};
use flowstate_tests::{Database, RollbackJournal, Sqlite};

/// The hidden test that is the body of child processes.
#[test]
fn child_process() {
    if !faults::child() && !group::child() {
        flowstate_tests::require::child_process::<Sqlite>();
        flowstate_tests::require::child_process::<RollbackJournal>();
    }
}

#[test]
fn s05_processes_lose_and_double_nothing_with_a_rollback_journal() {
    stress::s05_processes_lose_and_double_nothing::<RollbackJournal>();
}

#[test]
fn threads_lose_and_double_nothing_with_a_rollback_journal() {
    stress::threads_lose_and_double_nothing::<RollbackJournal>();
}

#[test]
fn eight_threads_lose_nothing_with_a_rollback_journal() {
    crowd::eight_threads_lose_nothing::<RollbackJournal>();
}

#[test]
fn a11_a25_crash_keeps_all_or_nothing_with_a_rollback_journal() {
    crash::a11_a25_crash_keeps_all_or_nothing::<RollbackJournal>();
}

#[test]
fn every_commit_to_the_file_is_seen_with_a_rollback_journal() {
    worker::listen::every_commit_to_the_file_is_seen::<RollbackJournal>();
}

/// The journal mode that was asked for is the one in the file.
#[test]
fn the_journal_mode_is_kept() {
    fn mode<D: Database>(conn: &mut D::Conn) -> Option<String> {
        D::text(conn, "SELECT journal_mode FROM pragma_journal_mode")
    }
    let (wal, delete) = (Sqlite::migrated(), RollbackJournal::migrated());
    assert_eq!(mode::<Sqlite>(&mut wal.connect()).as_deref(), Some("wal"));
    assert_eq!(mode::<RollbackJournal>(&mut delete.connect()).as_deref(), Some("delete"));
}
