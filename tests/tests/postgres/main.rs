//! What only PostgreSQL does: the rows P01 to P10 of the failure matrix at every isolation level, and
//! how many statements a call takes.
#![cfg(feature = "postgres")]

mod creation;
mod failures;
mod horizon;
mod locks;
mod pgbouncer;
mod schema;
mod setup;
mod snapshot;
mod standby;
mod statements;

use diesel::PgConnection;
use flowstate_tests::Postgres;
use flowstate_tests::database::isolated::{Isolated, RepeatableRead, Serializable};
use flowstate_tests::database::server::Served;

/// PostgreSQL, at some level. (READ UNCOMMITTED is READ COMMITTED there.)
trait Server: Served<Conn = PgConnection> {}

impl<D: Served<Conn = PgConnection>> Server for D {}

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
            creation: a12_a_creation_under_way_can_be_waited_for;
            statements: the_fast_path_is_one_statement the_slow_path_is_four_statements;
            setup: the_way_back_leaves_nothing;
            snapshot:
                sessions_are_at_the_level
                what_is_loaded_after_a_wait_is_the_newest
                p02_only_the_locking_read_counts
                p03_old_snapshot_wants_the_whole_transaction
                p04_write_skew_is_retried;
            locks:
                a28_the_url_bounds_the_wait
                p05_deadlock_is_classified
                p06_child_rows_do_not_wait
                p07_lock_timeout_is_classified
                p07_a_statement_timeout_is_a_wait;
            failures:
                p01_swallowed_failure_is_an_error
                p08_idle_timeout_is_known_not_committed
                p09_failed_transaction_is_named;
        }
    };
}

at!(usual, Postgres);
rows! { usual_plans, Postgres; statements: held_claims_are_looked_up_by_their_ids; }
at!(repeatable_read, Isolated<Postgres, RepeatableRead>);
at!(serializable, Isolated<Postgres, Serializable>);

/// P10: through a pooler that gives each transaction another session.
#[test]
fn p10_no_session_state_is_relied_on() {
    pgbouncer::every_session_serves();
}

/// P10, with a pooler that keeps the named statements.
#[test]
fn p10_named_statements_serve() {
    pgbouncer::named_statements_are_kept();
}

/// A server that stands still, behind a pooler.
#[test]
fn a_frozen_server_holds_no_call() {
    pgbouncer::a_frozen_server_holds_no_call();
}

/// Workers on a standby.
#[test]
fn a_standby_is_named_and_served_when_promoted() {
    standby::a_worker_waits_for_the_promotion();
}
