//! A creation whose answer is lost.

use std::thread;

use diesel::connection::SimpleConnection as _;
use flowstate_diesel::prelude::*;
use flowstate_tests::check;
use flowstate_tests::flows::Job;

use super::Server;

/// A12: a creation that the server is still at is waited for, though nobody can see its row.
pub(crate) fn a12_a_creation_under_way_can_be_waited_for<D: Server>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let block = "SELECT pg_advisory_lock(hashtext(current_schema()))";
    let slow = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                PERFORM pg_advisory_xact_lock(hashtext(current_schema())); RETURN NEW; END $$";
    let on_insert = "CREATE TRIGGER slow AFTER INSERT ON flowstate_transitions \
                     FOR EACH ROW EXECUTE FUNCTION slow()";
    for sql in [slow, on_insert, block] {
        conn.batch_execute(sql).expect(sql);
    }
    thread::scope(|scope| {
        let creating = scope.spawn(|| Job::new("a").create(&mut database.connect()));
        let waits = "SELECT COUNT(*) FROM pg_locks AS mine JOIN pg_locks AS its USING (pid) \
                     WHERE mine.locktype = 'advisory' AND NOT mine.granted \
                     AND mine.objid = hashtext(current_schema())::bigint::bit(32)::bigint::oid \
                     AND its.locktype = 'advisory' AND its.granted";
        while D::number(conn, waits) == 0 {
            assert!(!creating.is_finished(), "{:?}", creating.join());
            thread::yield_now();
        }
        assert_eq!(D::number(conn, "SELECT COUNT(*) FROM flowstate_flows"), 0);
        conn.batch_execute("SELECT pg_advisory_unlock_all()").expect("let go");
        creating.join().expect("no panic").expect("created");
    });
    check::clean(conn);
}
