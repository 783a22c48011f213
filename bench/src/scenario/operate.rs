//! What operators look at: pages of the list and of the dashboard, over twenty flows.

use std::time::Instant;

use flowstate_diesel::operator::{Filter, Stuck, failures, lately, list, numbers, registry, show};

use super::Extent;
use super::latency::micros;
use crate::database::Database;
use crate::report::{Figure, Report, Target};

/// A page may take so many milliseconds.
const PAGE_MILLIS: f64 = 50.0;

const FLOWS: usize = 20;

/// Of a thousand records of a flow: the state, how many, and when they are due, claimed until,
/// completed and failed.
const STATES: [(&str, usize, &str); 6] = [
    ("open", 100, "NOW, NULL, NULL, NULL"),
    ("working", 10, "NULL, LATER, NULL, NULL"),
    ("broken", 50, "NULL, NULL, NULL, NOW"),
    ("waiting", 40, "NOW, NULL, NULL, NULL"),
    ("done", 700, "NULL, NULL, NOW, NULL"),
    ("cancelled", 100, "NULL, NULL, NOW, NULL"),
];

/// What a program would have left of each flow.
const GRAPH: &str = r#"{"format": 1, "initial": "open", "states": [{"name": "open"},
    {"name": "working"}, {"name": "broken", "error": true}, {"name": "waiting"},
    {"name": "done", "completed": true}, {"name": "cancelled", "completed": true}],
    "steps": [{"name": "work", "from": ["open", "broken"], "running": "working"}]}"#;

/// Reads what a page shows.
type Load<'a, C> = Box<dyn Fn(&mut C) + 'a>;

pub(crate) fn run<D: Database>(database: &D, extent: &Extent, report: &mut Report) {
    let conn = &mut database.connect();
    let records = fill(database, extent.backlog);
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
    let pages: Vec<(&str, Load<'_, D::Conn>)> = vec![
        (
            "overview",
            Box::new(|conn| {
                registry(conn).expect("read");
                numbers(None, 1_000, conn).expect("counted");
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
        ("a record", Box::new(move |conn| drop(show(one, conn).expect("shown")))),
        ("failures", Box::new(|conn| drop(failures(None, conn).expect("grouped")))),
        ("all records", listed(Filter::default())),
        ("records of a flow", listed(of("flow_13", &[]))),
        ("records of a state", listed(of("flow_13", &["done"]))),
        ("stuck records", listed(stuck)),
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
        report.add(figure.target(Target::AtMost(1.0)));
    }
}

/// So many records, as many of each flow, with a row of history each.
fn fill<D: Database>(database: &D, count: usize) -> usize {
    let columns = "flow, state, seq, props, attempts, due_at, leased_until, completed_at, \
                   last_errored_at, leased_by, created_at, updated_at";
    let (now, later) = ("'2026-01-01 00:00:00.000000'", "'2999-01-01 00:00:00.000000'");
    for flow in 0..FLOWS {
        database.run(&format!(
            "INSERT INTO flowstate_definitions \
             (flow, hash, definition, program, first_seen_at, last_seen_at) \
             VALUES ('flow_{flow:02}', 'none', '{GRAPH}', 'bench', {now}, {now})"
        ));
        for (state, share, times) in STATES {
            let times = times.replace("NOW", now).replace("LATER", later);
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
    database.settle();
    count
}
