//! What only MySQL and MariaDB do: the rows M01 to M10 of the failure matrix at every isolation
//! level, and how many statements a call takes.
#![cfg(feature = "mysql")]

mod certification;
mod deadlock;
mod half_way;
mod haproxy;
mod locks;
mod schema;
mod sessions;
mod snapshot;
mod statements;
mod stored;

use diesel::MysqlConnection;
use flowstate_tests::Mysql;
use flowstate_tests::database::isolated::{
    Isolated, ReadCommitted, ReadUncommitted, Serializable, StrictSnapshot,
};
use flowstate_tests::database::server::Served;

/// MySQL or MariaDB, at some level.
trait Server: Served<Conn = MysqlConnection> {}

impl<D: Served<Conn = MysqlConnection>> Server for D {}

/// `rows!(level, database; module: a b c;)` makes the tests `level::a` and so on.
macro_rules! rows {
    ($level:ident, $database:ty; $($module:ident: $($test:ident)*;)*) => {
        mod $level {
            use super::*;
            $($(#[test] fn $test() { $module::$test::<$database>(); })*)*
        }
    };
}

macro_rules! at {
    ($level:ident, $database:ty) => {
        rows! { $level, $database;
            statements: the_fast_path_is_four_statements;
            snapshot:
                m01_only_the_locking_read_counts
                m01_a_key_is_found_behind_an_old_snapshot
                m07_sessions_are_at_the_level
                m07_what_is_undone_is_not_loaded;
            deadlock:
                m02_deadlock_is_retried
                m02_deadlock_over_records_is_retried
                m03_nothing_is_committed_after_a_deadlock
                m03_nothing_is_committed_after_a_deadlock_in_a_savepoint
                m03_an_unseen_deadlock_commits_nothing
                m03_nothing_is_committed_where_a_rollback_fails;
            certification:
                m11_what_certification_refuses_is_made_again
                m11_a_conflict_on_a_lost_node_is_one;
            locks:
                m04_lock_wait_timeout_is_rolled_back_whole
                m05_creating_and_claiming_do_not_collide
                m05_starts_with_the_same_keys_do_not_collide;
        }
    };
}

at!(usual, Mysql);
at!(read_uncommitted, Isolated<Mysql, ReadUncommitted>);
at!(read_committed, Isolated<Mysql, ReadCommitted>);
at!(strict_snapshot, Isolated<Mysql, StrictSnapshot>);
at!(serializable, Isolated<Mysql, Serializable>);

// only there do reads lock
rows! { serializable_only, Isolated<Mysql, Serializable>;
    deadlock: m03_nothing_is_committed_after_a_read_in_deadlock;
}

// what no level touches
rows! { any_level, Mysql;
    statements: another_language_serves;
    sessions:
        a_worker_without_autocommit_sees_new_work
        safe_updates_are_refused
        what_began_without_autocommit_is_refused
        an_outcome_is_asked_of_a_node_that_caught_up
        a_mode_that_does_not_serve_is_refused;
    half_way:
        a_query_that_failed_half_way_runs_again
        a_closure_whose_query_failed_half_way_runs_again;
    stored:
        m06_an_old_server_is_refused
        m08_keys_differ_in_case_accents_and_blanks
        a_column_without_a_default_refuses_all
        m09_microseconds_are_kept
        m10_a_migration_that_died_is_run_again;
}

/// A server that stands still, behind a balancer.
#[test]
fn a_frozen_server_holds_no_call() {
    haproxy::a_frozen_server_holds_no_call();
}

/// A connection that a balancer has ended.
#[test]
fn an_idle_connection_is_replaced() {
    haproxy::an_idle_connection_is_replaced();
}
