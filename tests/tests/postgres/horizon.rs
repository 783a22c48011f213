//! P12: a transaction that stays open keeps the index entries of all that was claimed since.

use diesel::connection::SimpleConnection;
use flowstate_diesel::Worker;
use flowstate_diesel::prelude::*;
use flowstate_tests::flows::Sync;
use flowstate_tests::statement_probe::Probe;
use flowstate_tests::{Database, Postgres, check, fetch_step};

/// Claims stay flat: a worker begins where the oldest due record was, not at the oldest entry.
#[test]
fn p12_what_a_snapshot_keeps_is_not_walked() {
    let database = Postgres::migrated();
    let (conn, idle) = (&mut database.connect(), &mut database.connect());
    let run = |conn: &mut PgConnection, sql: &str| conn.batch_execute(sql).expect("run");
    run(idle, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM flowstate_flows");
    run(
        conn,
        "INSERT INTO flowstate_flows \
         (flow, state, seq, props, attempts, due_at, created_at, updated_at) \
         SELECT 'elsewhere', 'picked', 0, '{}', 0, now() - interval '1 hour', now(), now() \
         FROM generate_series(1, 20000); \
         UPDATE flowstate_flows SET flow = 'sync' WHERE flow = 'elsewhere'; \
         UPDATE flowstate_flows SET flow = 'elsewhere', due_at = NULL WHERE flow = 'sync'; \
         ANALYZE flowstate_flows",
    );
    let mut flow = Sync::new("a").create(conn).expect("created");
    flow.transition(Sync::PICK, conn).run().expect("picked");

    let (probe, kept) = Probe::recording();
    let worker = Worker::new(Postgres::probed_pool(&database.url(), 1, probe));
    let worker = worker.step(fetch_step!(), |_, ()| Ok(flowstate_tests::flows::Response(0.into())));
    assert_eq!(worker.run_until_idle().expect("ran").finished, 1);
    let statements = kept.take();
    let claim = statements.iter().find(|text| text.starts_with("WITH due")).expect("a claim");
    let (_, binds) = claim.split_once("binds: [").expect("its binds");
    let reach: i64 = binds.split(", ").nth(2).expect("a reach").parse().expect("microseconds");
    assert!(reach < 60_000_000, "{claim}");

    let mut buffers = |reach: i64| {
        let sql = format!(
            "SELECT id FROM flowstate_flows \
             WHERE flow = 'sync' AND state = 'picked' AND due_at <= statement_timestamp() \
             AND due_at >= statement_timestamp() - {reach} * interval '1 microsecond' \
             ORDER BY due_at LIMIT 1"
        );
        check::blocks::<Postgres>(conn, &sql)
    };
    let (all, near) = (buffers(2 * 3_600_000_000), buffers(reach));
    assert!(all > 100 && near < 20, "{all} blocks from the beginning, {near} from there");
    run(idle, "ROLLBACK");
}
