//! P11, P12: what happens to the server, and what claims cost it.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use flowstate_diesel::{Worker, claim_next, prelude::*, transaction};
use serde_json::json;

use crate::check::{self, clean};
use crate::flows::{Response, Sync};
use crate::gate::Gate;
use crate::private::Server;
use crate::steps::{leased, picked};
use crate::watch::Watch;
use crate::{Database, fetch_step, save_step};

/// P11: the server is killed and started again under running workers: handlers that were under way
/// finish, the workers connect again, and every flow gets to its end.
pub fn p11_a_restarted_server_costs_no_flow<D: Database>() {
    const FLOWS: i64 = 40;
    let Some(kind) = D::SERVER else { return };
    let mut server = Server::start(kind);
    let url = server.url();
    let conn = &mut D::connect_to(&url);
    flowstate_diesel::migrate(conn).expect("migrated");
    check::make_effects(conn);
    for n in 0..FLOWS {
        picked::<D>(conn, &format!("{n}"));
    }
    let gate = Gate::new();
    let running = Worker::new(D::watched_pool(&url, 3, Watch::new(|_| {})))
        .step(fetch_step!(), {
            let gate = Arc::clone(&gate);
            move |_, ()| {
                gate.pass();
                Ok(Response(json!(1)))
            }
        })
        .transactional_step(save_step!(), |claim, _, conn| {
            conn.batch_execute(&format!("INSERT INTO effects VALUES ('{}')", claim.id()))
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
    let (watch, kept) = Watch::keeping();
    watch.over(conn);
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
    ["'sync'", "'picked'", "60000000", "1"].iter().enumerate().fold(
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
    if D::SERVER.is_none() {
        return;
    }
    let database = D::migrated();
    let conn = &mut database.connect();
    finished::<D>(conn, 500);
    let analyze = |conn: &mut D::Conn| match D::FOLDER {
        "mysql" => conn.batch_execute("ANALYZE TABLE flowstate_flows"),
        _ => conn.batch_execute("ANALYZE flowstate_flows"),
    };
    analyze(conn).expect("analyzed");
    picked::<D>(conn, "first");
    let explain = match D::FOLDER {
        "mysql" => "EXPLAIN FORMAT=JSON",
        _ => "EXPLAIN (FORMAT JSON)",
    };
    let statement = due_statement(&database);
    let plan = D::text(conn, &format!("{explain} {statement}")).expect("a plan");
    assert!(plan.contains("flowstate_flows_due"), "{plan}");
    assert!(!plan.contains("Seq Scan") && !plan.contains("\"ALL\""), "{plan}");
    assert!(!plan.contains("\"Sort\"") && !plan.contains("filesort"), "{plan}");
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
