//! What operators look at: pages of the list and of the dashboard, over twenty flows.

use std::time::Instant;

use flowstate_diesel::Store;
use flowstate_diesel::operator::{
    Action, Cursor, Filter, MAX_PLANNED, Stuck, failures, lately, list, numbers, plan, registry,
    show_artefact, show_without_payloads, throughput,
};

use super::Extent;
use super::latency::micros;
use crate::database::Database;
use crate::report::{Figure, Report, Target};

/// A page may take so many milliseconds.
const PAGE_MILLIS: f64 = 50.0;

/// The page before a wish for all that a filter finds looks at 10,000 records, and so takes longer: so
/// many times as long it may.
const OF_A_PLAN: f64 = 4.0;

const FLOWS: usize = 20;

/// Of a thousand records of a flow: the state, how many, and when they are due, claimed until,
/// completed and failed. `JUST` is within the last hour.
const STATES: [(&str, usize, &str); 6] = [
    ("open", 100, "NOW, NULL, NULL, NULL"),
    ("working", 10, "NULL, LATER, NULL, NULL"),
    ("broken", 50, "NULL, NULL, NULL, NOW"),
    ("waiting", 40, "NOW, NULL, NULL, NULL"),
    ("done", 700, "NULL, NULL, NOW, NULL"),
    ("cancelled", 100, "NULL, NULL, JUST, NULL"),
];

/// What a program would have left of each flow.
const GRAPH: &str = r#"{"format": 1, "initial": "open", "states": [{"name": "open"},
    {"name": "working"}, {"name": "broken", "error": true}, {"name": "waiting"},
    {"name": "done", "completed": true}, {"name": "cancelled", "completed": true}],
    "steps": [{"name": "work", "from": ["open", "broken"], "running": "working"}]}"#;

const LONG_AGO: &str = "'2026-01-01 00:00:00.000000'";

/// The page that looks at more than others.
const A_PLAN: &str = "a plan for 10,000 records";

/// Reads what a page shows.
type Load<'a, C> = Box<dyn Fn(&mut C) + 'a>;

pub(crate) fn run<D: Database>(database: &D, extent: &Extent, report: &mut Report) {
    let conn = &mut database.connect();
    let just = registry(conn).expect("read").now.format("'%Y-%m-%d %H:%M:%S%.6f'").to_string();
    let records = fill(database, &just, extent.backlog);
    let of = |flow: &str, states: &[&str]| Filter {
        flow: Some(flow.to_owned()),
        states: states.iter().map(|&state| state.to_owned()).collect(),
        ..Filter::default()
    };
    let because = |why| Filter { stuck_because: Some(why), ..Filter::default() };
    let stuck = Filter { stuck: true, ..Filter::default() };
    let error = Filter { error: Some("of nobody".to_owned()), ..Filter::default() };
    let listed = |filter: Filter| -> Load<'_, D::Conn> {
        Box::new(move |conn| drop(list(&filter, None, 50, conn).expect("listed")))
    };
    let one = list(&Filter::default(), None, 1, conn).expect("listed").records[0].id;
    let long = grow(database, conn);
    let later = deep(&of("flow_13", &["done"]), conn);
    let broken = Filter { states: vec!["broken".to_owned()], ..Filter::default() };
    let planned_at_once = plan(&broken, Action::Retry, conn).expect("planned").moves.len();
    assert_eq!(planned_at_once, MAX_PLANNED.min(records / 20), "what its name says");
    let label = Some(("merchant".to_owned(), "42".to_owned()));
    let (of_label, of_key) = (
        Filter { label, ..of("flow_07", &[]) },
        Filter { key: Some("of nobody".to_owned()), ..of("flow_07", &[]) },
    );
    let shown = |id| -> Load<'_, D::Conn> {
        Box::new(move |conn| drop(show_without_payloads(id, conn).expect("shown")))
    };
    let planned = |filter: Filter| -> Load<'_, D::Conn> {
        Box::new(move |conn| drop(plan(&filter, Action::Retry, conn).expect("planned")))
    };
    let pages: Vec<(&str, Load<'_, D::Conn>)> = vec![
        (
            "overview",
            Box::new(|conn| {
                registry(conn).expect("read");
                let counted = numbers(None, 1_000, conn).expect("counted");
                let mut flows: Vec<_> = counted.iter().map(|state| &*state.flow).collect();
                flows.dedup();
                throughput(&flows, conn).expect("counted");
            }),
        ),
        (
            "a flow",
            Box::new(|conn| {
                registry(conn).expect("read");
                numbers(Some("flow_07"), 10_000, conn).expect("counted");
                lately("flow_07", conn).expect("counted");
            }),
        ),
        ("workers", Box::new(|conn| drop(registry(conn).expect("read")))),
        ("a record", shown(one)),
        ("a record with a long history", shown(long)),
        (
            "an artefact of it",
            Box::new(move |conn| {
                assert!(show_artefact(long, "receipt", 1, conn).expect("shown").is_some());
            }),
        ),
        ("a plan for one record", planned(Filter { ids: vec![long], ..Filter::default() })),
        (A_PLAN, planned(broken)),
        ("failures", Box::new(|conn| drop(failures(None, conn).expect("grouped")))),
        ("all records", listed(Filter::default())),
        ("records of a flow", listed(of("flow_13", &[]))),
        ("records of a state", listed(of("flow_13", &["done"]))),
        (
            "records of a state, further on",
            Box::new(move |conn| {
                let filter = of("flow_13", &["done"]);
                drop(list(&filter, Some(&later), 50, conn).expect("listed"));
            }),
        ),
        ("records with a label", listed(of_label)),
        ("a record by its key", listed(of_key)),
        ("stuck records", listed(stuck)),
        ("records that nobody serves", listed(because(Stuck::Unserved))),
        ("records in an unknown state", listed(because(Stuck::UnknownState))),
        ("records that gave up", listed(because(Stuck::GaveUp))),
        ("leases that are over", listed(because(Stuck::LeaseOver))),
        ("an error that nobody has", listed(error)),
    ];
    for (name, page) in pages {
        page(conn);
        let times = (0..extent.pace.rounds).map(|_| {
            let start = Instant::now();
            page(conn);
            [PAGE_MILLIS, micros(start.elapsed()) / 1_000.0]
        });
        let pairs: Vec<_> = times.collect();
        let scenario = format!("operators, {name}, of {records}");
        let figure = Figure::new(scenario, database.name(), "ms", &pairs);
        let most = if name == A_PLAN { OF_A_PLAN } else { 1.0 };
        report.add(figure.target(Target::AtMost(most)));
    }
}

/// The cursor behind some thousand records.
fn deep<C: Store>(filter: &Filter, conn: &mut C) -> Cursor {
    let mut at = None;
    for _ in 0..10 {
        let page = list(filter, at.as_ref(), 1_000, conn).expect("listed");
        match page.next {
            Some(next) => at = Some(next),
            None => break,
        }
    }
    at.expect("more than a page")
}

/// Gives the newest record a long history and artefacts, and returns its id.
fn grow<D: Database>(database: &D, conn: &mut D::Conn) -> i64 {
    let newest = Filter { states: vec!["waiting".to_owned()], ..Filter::default() };
    let id = list(&newest, None, 1, conn).expect("listed").records[0].id;
    let numbers = "WITH RECURSIVE numbers (number) AS (SELECT 1 UNION ALL \
                   SELECT number + 1 FROM numbers WHERE number < 900)";
    for part in 0..5 {
        let seq = format!("{part} * 900 + number");
        database.run(&format!(
            "INSERT INTO flowstate_transitions (flow_id, seq, transition, from_state, to_state, \
             attempt, token, created_at) {numbers} SELECT {id}, {seq}, 'work', 'waiting', 'waiting', \
             1, 'none', {LONG_AGO} FROM numbers"
        ));
    }
    database.run(&format!(
        "INSERT INTO flowstate_artefacts (flow_id, name, seq, payload) \
         {numbers} SELECT {id}, 'receipt', number, '{{\"cents\":100}}' FROM numbers"
    ));
    database.run(&format!("UPDATE flowstate_flows SET seq = 4500 WHERE id = {id}"));
    id
}

/// So many records, as many of each flow, with a row of history each. `just` is the time.
fn fill<D: Database>(database: &D, just: &str, count: usize) -> usize {
    let columns = "flow, state, seq, props, attempts, due_at, leased_until, completed_at, \
                   last_errored_at, leased_by, created_at, updated_at";
    let (now, later) = (LONG_AGO, "'2999-01-01 00:00:00.000000'");
    for flow in 0..FLOWS {
        database.run(&format!(
            "INSERT INTO flowstate_definitions \
             (flow, hash, definition, program, first_seen_at, last_seen_at) \
             VALUES ('flow_{flow:02}', 'none', '{GRAPH}', 'bench', {now}, {now})"
        ));
        for (state, share, times) in STATES {
            let times = times.replace("NOW", now).replace("LATER", later).replace("JUST", just);
            let holder = if state == "working" { "'nobody'" } else { "NULL" };
            let row = format!(
                "'flow_{flow:02}', '{state}', 0, '{{\"name\":\"of some length\"}}', 0, {times}, \
                 {holder}, {now}, {now}"
            );
            let rows = count * share / 1_000 / FLOWS;
            let numbers = "WITH RECURSIVE numbers (number) AS (SELECT 1 UNION ALL \
                           SELECT number + 1 FROM numbers WHERE number < 500)";
            let mut made = 0;
            while made < rows {
                let some = (rows - made).min(500);
                database.run(&format!(
                    "INSERT INTO flowstate_flows ({columns}) \
                     {numbers} SELECT {row} FROM numbers WHERE number <= {some}"
                ));
                made += some;
            }
        }
    }
    database.run(
        "INSERT INTO flowstate_transitions \
         (flow_id, seq, transition, to_state, attempt, error, token, created_at) \
         SELECT id, 0, 'flow.create', state, 1, \
         CASE WHEN state = 'broken' THEN 'the bank says no' END, 'none', created_at \
         FROM flowstate_flows",
    );
    database.run(
        "INSERT INTO flowstate_labels (flow_id, name, flow, value) \
         SELECT id, 'merchant', flow, CASE WHEN id % 2 = 0 THEN '42' ELSE '43' END \
         FROM flowstate_flows WHERE flow = 'flow_07'",
    );
    for worker in 0..100 {
        database.run(&format!(
            "INSERT INTO flowstate_workers VALUES ('worker {worker}', 'bench', '1', 'host', 7, \
             {now}, {now}, '{{\"flow_07\":[\"open\",\"broken\"]}}', 4, 0)"
        ));
    }
    database.settle();
    count
}
