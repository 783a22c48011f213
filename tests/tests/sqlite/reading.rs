//! Reading needs neither the right to write nor its turn.

use std::time::Duration;

use diesel::RunQueryDsl;
use diesel::connection::SimpleConnection;
use flowstate_diesel::operator::{Filter, failures, lately, list, numbers};
use flowstate_diesel::prelude::*;
use flowstate_diesel::{Error, Purge, Worker, claim_next, transaction};
use flowstate_tests::flows::{Job, Note, Response, Round};
use flowstate_tests::statement_probe::{Probe, sent};
use flowstate_tests::{Database, RollbackJournal, Sqlite, fetch_step, round_step};
use serde_json::json;

/// A job with some history.
fn job(conn: &mut SqliteConnection) {
    let mut job = Job::new("a").create(conn).expect("created");
    job.transition(Job::WORK, conn).run().expect("working");
    job.transition(Job::NOTE, conn).persist(Note(json!(1))).run().expect("noted");
}

fn audited(conn: &mut SqliteConnection) {
    let audit = flowstate_diesel::audit(conn).expect("the audit ran");
    assert!(audit.is_clean() && audit.flows == 1, "{audit}");
}

#[test]
fn an_audit_goes_on_beside_a_writer() {
    let database = Sqlite::migrated();
    let writer = &mut database.connect();
    let conn = &mut database.impatient();
    job(writer);
    transaction(writer, |writer| {
        Job::new("b").create(writer)?;
        audited(conn);
        Ok::<_, Error>(())
    })
    .expect("committed");
    writer.batch_execute("BEGIN IMMEDIATE; DELETE FROM flowstate_transitions").expect("another's");
    let audit = flowstate_diesel::audit(conn).expect("the audit ran");
    assert!(audit.is_clean() && audit.flows == 2, "what is committed: {audit}");
    writer.batch_execute("ROLLBACK").expect("ended");
}

fn of_a_file_that_is_only_read<D: Database<Conn = SqliteConnection>>() {
    let database = D::migrated();
    // it stays open: with a write-ahead log readers share its memory
    let writer = &mut database.connect();
    job(writer);
    let url = format!("file:{}?mode=ro", database.url());
    let conn = &mut SqliteConnection::establish(&url).expect("a connection");
    audited(conn);
    // in a transaction of the caller's too
    conn.transaction(|conn| {
        audited(conn);
        Ok::<_, Error>(())
    })
    .expect("ended");
    Job::new("b").create(conn).map(|job| job.id()).expect_err("it may only be read");
}

#[test]
fn a_file_that_may_only_be_read_is_audited() {
    of_a_file_that_is_only_read::<Sqlite>();
    of_a_file_that_is_only_read::<RollbackJournal>();
}

#[derive(diesel::QueryableByName)]
struct PlanRow {
    #[diesel(sql_type = diesel::sql_types::Text)]
    detail: String,
}

/// A look for work searches an index for each state that it asks for, to the column of the time.
#[test]
fn p12_a_look_reads_what_it_finds() {
    let database = Sqlite::migrated();
    let conn = &mut database.connect();
    let (probe, kept) = Probe::recording();
    let worker = Worker::new(Sqlite::probed_pool(&database.url(), 1, probe));
    let worker = worker.step(fetch_step!(), |_, ()| Ok(Response(json!(1))));
    worker.run_until_idle().expect("idle");
    let kept = kept.take();
    let look = kept.iter().find(|text| text.contains("UNION ALL")).expect("a look");
    let (text, _) = look.split_once(" -- ").expect("its binds");
    let plan = diesel::sql_query(format!("EXPLAIN QUERY PLAN {text}"));
    let plan: Vec<PlanRow> = plan.load(conn).expect("a plan");
    // older versions say `SEARCH TABLE`, and some of it twice
    let mut searches: Vec<_> = plan
        .iter()
        .map(|row| row.detail.replace("SEARCH TABLE ", "SEARCH "))
        .filter(|step| step.contains("flowstate_flows"))
        .collect();
    searches.dedup();
    let index = |name: &str, end: &str| {
        format!("SEARCH flowstate_flows USING COVERING INDEX {name} (flow=? AND state=? AND {end})")
    };
    assert_eq!(
        searches,
        [
            index("flowstate_flows_due", "due_at>?"),
            index("flowstate_flows_lease", "leased_until<?"),
            index("flowstate_flows_deadline", "deadline_at<?"),
        ]
    );
    assert!(plan.iter().all(|row| !row.detail.contains("TEMP B-TREE")), "nothing is sorted");
}

/// A claim of a step that repeats searches a bounded part of the record's history.
#[test]
fn a_claim_searches_a_part_of_the_history() {
    let database = Sqlite::migrated();
    let conn = &mut database.connect();
    Round::new().create(conn).expect("created");
    let (sent, claim) = sent(conn, |conn| claim_next(round_step!(), conn));
    drop(claim.expect("no error").expect("a claim"));
    let search = sent.iter().find(|text| text.contains("COALESCE(visit, seq)")).expect("a search");
    let plan: Vec<PlanRow> =
        diesel::sql_query(format!("EXPLAIN QUERY PLAN {search}")).load(conn).expect("a plan");
    let plan: Vec<_> =
        plan.iter().map(|row| row.detail.replace("SEARCH TABLE ", "SEARCH ")).collect();
    let search = "SEARCH flowstate_transitions USING PRIMARY KEY (flow_id=? AND seq>?)";
    assert!(plan.iter().any(|step| step == search), "{plan:?}");
    assert!(plan.iter().all(|step| !step.contains("TEMP B-TREE")), "nothing is sorted: {plan:?}");
}

/// A purge searches the index of what is completed, flow by flow, and sorts nothing.
#[test]
fn p12_a_purge_reads_what_it_deletes() {
    let database = Sqlite::migrated();
    let conn = &mut database.connect();
    job(conn);
    let purge = Purge::older_than(Duration::from_hours(24));
    let (sent, purged) = sent(conn, |conn| purge.run(conn));
    assert_eq!(purged.expect("purged"), 0);
    let search = sent.iter().find(|text| text.contains("completed_at >= ")).expect("a search");
    let plan = diesel::sql_query(format!("EXPLAIN QUERY PLAN {search}"));
    let plan: Vec<PlanRow> = plan.load(conn).expect("a plan");
    let plan: Vec<_> =
        plan.iter().map(|row| row.detail.replace("SEARCH TABLE ", "SEARCH ")).collect();
    let index = "flowstate_flows_completed (flow=? AND completed_at>? AND completed_at<?)";
    assert_eq!(plan, [format!("SEARCH flowstate_flows USING COVERING INDEX {index}")]);
}

/// Pages of operators search indexes and scan no table: neither one by one nor to the end.
#[test]
fn pages_search_indexes() {
    let database = Sqlite::migrated();
    let conn = &mut database.connect();
    flowstate_tests::require::pages::fill::<Sqlite>(conn);
    let (probe, kept) = Probe::recording();
    probe.over(conn);
    let of_lane = |flow: &str| Filter {
        flow: Some(flow.to_owned()),
        states: vec!["shipped".to_owned()],
        ..Filter::default()
    };
    let stuck = Filter { stuck: true, ..Filter::default() };
    let failed = Filter { error: Some("x".to_owned()), ..Filter::default() };
    for filter in [Filter::default(), of_lane("parcel"), stuck, failed] {
        list(&filter, None, 50, conn).expect("listed");
    }
    numbers(None, 100, conn).expect("counted");
    numbers(Some("parcel"), 100, conn).expect("counted");
    failures(None, conn).expect("grouped");
    lately("parcel", conn).expect("counted");
    flowstate_diesel::instrument(conn, |_: diesel::connection::InstrumentationEvent<'_>| ());
    let kept = kept.take();
    let looks: Vec<_> = kept.iter().filter(|text| text.contains("flowstate_flows")).collect();
    assert!(looks.len() > 10, "{looks:?}");
    for text in looks {
        let (text, _) = text.split_once(" -- ").expect("its binds");
        let plan: Vec<PlanRow> =
            diesel::sql_query(format!("EXPLAIN QUERY PLAN {text}")).load(conn).expect("a plan");
        for step in &plan {
            let is_scan = step.detail.starts_with("SCAN flowstate_");
            assert!(!is_scan, "{text}: {}", step.detail);
        }
    }
}
