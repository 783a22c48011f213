//! P11, P12: what happens to the server, and what claims cost it.

use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use flowstate_diesel::{Worker, claim_next, prelude::*, transaction};
use serde_json::json;

use crate::check::{self, clean};
use crate::database::server::Served;
use crate::flows::{Response, Sync};
use crate::gate::Gate;
use crate::own_server::OwnServer;
use crate::statement_probe::Probe;
use crate::steps::{leased, picked, waiting_at};
use crate::{Database, fetch_step, save_step};

/// P11: the server is killed and started again under running workers: handlers that were under way
/// finish, the workers connect again, and every flow gets to its end.
pub fn p11_a_restarted_server_costs_no_flow<D: Served>() {
    const FLOWS: i64 = 40;
    let mut server = OwnServer::start(D::KIND);
    let url = server.url();
    let conn = &mut D::connect_to(&url);
    flowstate_diesel::migrate(conn).expect("migrated");
    check::make_effects(conn);
    for n in 0..FLOWS {
        picked::<D>(conn, &format!("{n}"));
    }
    let gate = Gate::new();
    let running = Worker::new(D::probed_pool(&url, 3, Probe::new(|_| {})))
        .step(fetch_step!(), waiting_at(&gate))
        .transactional_step(save_step!(), |claim, _, conn| {
            Ok(conn.batch_execute(&format!("INSERT INTO effects VALUES ('{}')", claim.id()))?)
        })
        .threads(3)
        .poll(Duration::from_millis(100))
        .start()
        .expect("started");
    gate.wait_for(3);
    server.crash();
    // what they have done meets a server that is not there
    gate.open();
    server.restart();
    let conn = &mut D::connect_to(&url);
    let done = "SELECT COUNT(*) FROM flowstate_flows WHERE state = 'completed'";
    let begun = Instant::now();
    while D::number(conn, done) < FLOWS && begun.elapsed() < Duration::from_mins(1) {
        thread::sleep(Duration::from_millis(50));
    }
    let stats = running.shutdown(Duration::from_mins(1)).expect("stopped");
    assert_eq!(D::number(conn, done), FLOWS, "{stats:?}");
    assert_eq!((stats.failed, stats.lost, stats.reaped), (0, 0, 0), "no try was lost");
    assert_eq!(check::rows::<D>(conn, "effects"), FLOWS);
    assert_eq!(leased::<D>(conn), 0);
    clean(conn);
}

/// The statement that finds what is due, with its binds put in.
fn due_statement<D: Database>(database: &D) -> String {
    let conn = &mut database.connect();
    let (probe, kept) = Probe::recording();
    probe.over(conn);
    let step = fetch_step!();
    if let Some(claim) = claim_next(&step, conn).expect("no error") {
        claim.release(conn).expect("released");
    }
    let kept = kept.take();
    let text = kept.iter().find(|text| text.contains("SKIP LOCKED")).expect("a claim");
    let (text, _) = text.split_once(" -- ").expect("its binds");
    // one statement claims on PostgreSQL; what it reads is its first part
    let part = text.strip_prefix("WITH due AS (").and_then(|text| text.split_once("), moved AS"));
    let text = part.map_or(text, |(due, _)| due);
    ["'sync'", "'picked'", "60000000", "'[]'", "1"].iter().enumerate().fold(
        text.to_owned(),
        |text, (at, value)| {
            let bind = format!("${}", at + 1);
            let bind = if text.contains(&bind) { bind } else { "?".to_owned() };
            text.replacen(&bind, value, 1)
        },
    )
}

/// P12: however many rows are finished, a claim reads the beginning of its index and sorts nothing.
pub fn p12_a_claim_reads_its_index<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    finished::<D>(conn, 500);
    let analyze = |conn: &mut D::Conn| match D::FOLDER {
        "mysql" => conn.batch_execute("ANALYZE TABLE flowstate_flows"),
        _ => conn.batch_execute("ANALYZE flowstate_flows"),
    };
    analyze(conn).expect("analyzed");
    picked::<D>(conn, "first");
    let plan = plan::<D>(conn, &due_statement(&database));
    assert!(plan.contains("flowstate_flows_due"), "{plan}");
    assert!(!plan.contains("Seq Scan") && !plan.contains("\"ALL\""), "{plan}");
    let sorts = ["\"Sort\"", "\"Sort:", "filesort"];
    assert!(!sorts.iter().any(|sort| plan.contains(sort)), "{plan}");
}

fn plan<D: Database>(conn: &mut D::Conn, statement: &str) -> String {
    let explained = if D::FOLDER != "mysql" {
        D::text(conn, &format!("EXPLAIN (FORMAT JSON) {statement}"))
    } else if check::is_mariadb::<D>(conn) {
        D::text(conn, &format!("EXPLAIN FORMAT=JSON {statement}"))
    } else {
        // MySQL 9 prepares no EXPLAIN that gives rows
        let explain = format!("EXPLAIN FORMAT=JSON INTO @plan {statement}");
        conn.batch_execute(&explain).expect("explained");
        D::text(conn, "SELECT @plan")
    };
    explained.expect("a plan")
}

/// P12: however many rows are finished, or wait for nothing, a look for work reads only what it
/// finds.
pub fn p12_a_look_reads_what_it_finds<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let row = |state: &str| {
        format!(
            "INSERT INTO flowstate_flows \
             (flow, state, seq, props, attempts, created_at, updated_at) \
             VALUES ('sync', '{state}', 0, '{{}}', 0, '2026-01-01', '2026-01-01')"
        )
    };
    for state in ["completed", "failed_to_fetch", "fetching"] {
        conn.batch_execute(&row(state)).expect("a row");
    }
    // three of them, and twice as many each time: 24,576
    let again = "INSERT INTO flowstate_flows \
         (flow, state, seq, props, attempts, created_at, updated_at) \
         SELECT flow, state, seq, props, attempts, created_at, updated_at FROM flowstate_flows";
    for _ in 0..13 {
        conn.batch_execute(again).expect("twice as many");
    }
    picked::<D>(conn, "due");

    let (probe, kept) = Probe::recording();
    let pool = D::probed_pool(&database.url(), 1, probe);
    let worker = Worker::new(pool.clone()).step(fetch_step!(), |_, ()| Ok(Response(json!(1))));
    assert_eq!(worker.run_until_idle().expect("idle").finished, 1);
    let kept = kept.take();
    let looks = |text: &&String| text.contains("UNION ALL") && text.contains("leased_until <= ");
    assert!(kept.iter().filter(looks).count() >= 2, "{kept:?}");
    let read = if D::FOLDER == "mysql" {
        check::rows_read::<D>(&mut pool.get().expect("the worker's connection"))
    } else {
        let look = kept.iter().find(looks).expect("a look");
        blocks_read::<D>(conn, look)
    };
    assert!(read < 500, "{read}");
}

/// How many blocks a look reads on PostgreSQL.
fn blocks_read<D: Database>(conn: &mut D::Conn, look: &str) -> i64 {
    let (text, _) = look.split_once(" -- ").expect("its binds");
    let asked = [
        "'[]'",
        r#"'[["0","sync","picked",9000000000],["1","sync","failed_to_fetch",9000000000]]'"#,
        "'[]'",
        r#"'[["2","sync","fetching"]]'"#,
        "'[]'",
        r#"'[["3","sync","picked"]]'"#,
    ];
    let filled = (1..).zip(asked);
    let text =
        filled.fold(text.to_owned(), |text, (at, json)| text.replace(&format!("${at}"), json));
    check::blocks::<D>(conn, &text)
}

/// Records that have come through the state and left it.
fn finished<D: Database>(conn: &mut D::Conn, rows: u32) {
    transaction(conn, |conn| {
        for _ in 0..rows {
            let mut flow = Sync::new("x").create(conn)?;
            flow.transition(Sync::PICK, conn).run()?;
            flow.transition(Sync::START_FETCH, conn).run()?;
        }
        Ok::<_, flowstate_diesel::Error>(())
    })
    .expect("finished");
    let sql = "UPDATE flowstate_flows SET due_at = NULL WHERE state = 'fetching'";
    conn.batch_execute(sql).expect("finished");
}
