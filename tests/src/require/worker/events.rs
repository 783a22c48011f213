//! What workers tell `tracing`, under names that stay: those of `docs/observing.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use flowstate_diesel::{StepError, Worker, claim_next, prelude::*, testing};
use serde_json::json;

use super::bad_rows::refuse_updates;
use crate::flows::{Approval, Response, Sync};
use crate::statement_probe::Probe;
use crate::steps::picked;
use crate::tracing_capture::{Capture, Captured};
use crate::{Database, child, fetch_step};

/// The page, which is not part of this package.
fn page() -> String {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/observing.md");
    std::fs::read_to_string(file).expect(file)
}

/// The level and the fields of each event and span, as the page has them.
fn documented() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let page = page();
    let rows = page.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        // what is counted has a table of its own
        let name =
            cells.next().filter(|name| !name.starts_with("flowstate_"))?.trim_end_matches('`');
        let (level, fields) = (cells.next()?, cells.next()?);
        let fields = fields.split(", ").map(|field| field.trim_matches('`').to_owned());
        Some((name.to_owned(), (level.to_owned(), fields.collect())))
    });
    rows.collect()
}

/// Each is told as the page says, in a process of its own, where all threads are heard.
pub fn what_workers_tell_is_documented<D: Database>() {
    let ended = child::run::<D>("events", &D::migrated().url());
    assert!(ended.status.success(), "{ended:?}");
}

/// The child of the former.
pub fn events_in_child<D: Database>(url: &str) {
    let capture = Capture::start();
    let conn = &mut D::connect_to(url);
    act::<D>(url, conn, &capture);
    let told = capture.captured();
    for (name, (level, fields)) in documented() {
        let mut of_name = told.iter().filter(|told| told.what == name).peekable();
        assert!(of_name.peek().is_some(), "`{name}` was not told: {told:#?}");
        for told in of_name {
            // a span that is told nothing more has no outcome yet
            let names: BTreeSet<_> = told.fields.keys().map(|&name| name.to_owned()).collect();
            assert!(names.is_subset(&fields), "`{name}`: {names:?}, and documented {fields:?}");
            assert_eq!(told.level, level, "`{name}`");
            if !name.starts_with("flowstate.") {
                assert_eq!(names, fields, "`{name}`");
            }
        }
    }
    let passed: Vec<_> = told.iter().filter(|told| told.what == "passed over").collect();
    let [passed] = &*passed else { panic!("told once: {passed:#?}") };
    assert!(passed.fields["error"].contains("not this one"), "in the database's words: {passed:?}");
    for (name, state) in [
        ("records wait in an unknown state", "from_the_future"),
        ("records are claimed in an unknown state", "from_the_future"),
        ("nobody fails claims over", "saving"),
    ] {
        let of_name: Vec<_> = told.iter().filter(|told| told.what == name).collect();
        let [told] = &*of_name else { panic!("`{name}` is told once: {of_name:#?}") };
        let said = ["flow", "state", "records"].map(|field| &*told.fields[field]);
        assert_eq!(said, ["sync", state, "1"], "which, and how many");
    }
    let outcomes = |told: &Captured| told.fields.get("outcome").cloned();
    let steps = told.iter().filter(|told| told.what == "flowstate.step");
    let outcomes: BTreeSet<_> = steps.filter_map(outcomes).collect();
    let all = ["failed", "finished", "lost", "put off"].map(str::to_owned);
    assert_eq!(outcomes, BTreeSet::from(all));
}

/// What a worker finds when it looks round.
const REPORTS: [&str; 4] = [
    "records wait in an unknown state",
    "records are claimed in an unknown state",
    "nobody fails claims over",
    "records wait that this program cannot read",
];

/// Something of everything.
fn act<D: Database>(url: &str, conn: &mut D::Conn, capture: &Capture) {
    let step = fetch_step!();
    let mut claim = |name: &str| {
        picked::<D>(conn, name);
        claim_next(&step, conn).expect("no error").expect("a claim")
    };
    let [finished, failed, released] = ["1", "2", "3"].map(&mut claim);
    let claimed = claim("claimed").id();
    drop(claim("dead"));
    finished.finish(Response(json!(1)), conn).expect("finished");
    failed.fail("no", conn).expect("failed");
    released.release(conn).expect("released");
    testing::expire_leases(conn).expect("expired");
    Approval { subject: "late".to_owned() }.create(conn).expect("created");
    testing::pass_deadlines(conn).expect("passed");
    let stranger = picked::<D>(conn, "stranger");
    let sql = "UPDATE flowstate_flows SET state = 'from_the_future' WHERE id = ";
    conn.batch_execute(&format!("{sql}{stranger}")).expect("a stranger");
    conn.batch_execute(&format!("{sql}{claimed}")).expect("a stranger that is claimed");
    let ended = picked::<D>(conn, "ended");
    let sql = "UPDATE flowstate_flows SET state = 'completed' WHERE id = ";
    conn.batch_execute(&format!("{sql}{ended}")).expect("due in a state that is an end");
    // of a step that this worker does not serve
    let forsaken = picked::<D>(conn, "forsaken");
    let sql = "UPDATE flowstate_flows SET state = 'saving', due_at = NULL, leased_by = 'nobody', \
               leased_until = '2026-01-01 00:00:00.000000' WHERE id = ";
    conn.batch_execute(&format!("{sql}{forsaken}")).expect("a claim of long ago");
    for name in ["fine", "failing", "lost", "early"] {
        picked::<D>(conn, name);
    }
    let refused = picked::<D>(conn, "refused");
    let when = format!("NEW.id = {refused} AND NEW.state = 'fetching'");
    refuse_updates::<D>(conn, &when);
    let unreadable = picked::<D>(conn, "unreadable");
    let sql = "UPDATE flowstate_flows SET props = '{\"record_id\":1}' WHERE id = ";
    conn.batch_execute(&format!("{sql}{unreadable}")).expect("unreadable");
    let elsewhere = url.to_owned();
    let running = Worker::new(D::probed_pool(url, 2, Probe::new(|_| {})))
        .step(fetch_step!().lease(Duration::from_secs(1)), move |claim, ()| {
            match &*claim.record_id {
                "failing" => return Err("it fails".into()),
                "early" => return Err(StepError::not_yet(Duration::from_hours(1))),
                "lost" => {
                    let conn = &mut D::connect_to(&elsewhere);
                    let mut flow = Sync::find(claim.id(), conn)?;
                    let hour = Duration::from_hours(1);
                    flow.transition(Sync::FAIL_FETCH, conn).delay(hour).run()?;
                }
                _ => {}
            }
            Ok(Response(json!(1)))
        })
        .timed::<Approval>()
        .start()
        .expect("started");
    let done = "SELECT COUNT(*) FROM flowstate_flows WHERE \
                (leased_until IS NOT NULL AND state NOT IN ('from_the_future', 'saving')) OR \
                (due_at IS NOT NULL AND state = 'picked' AND seq < 3)";
    // one of them is passed over, and tried again and again
    while D::number(conn, done) > 1 {
        std::thread::yield_now();
    }
    // the worker reports in rounds what it does not know
    let has_told = |report| capture.captured().iter().any(|told| told.what == report);
    while !REPORTS.into_iter().all(has_told) {
        std::thread::yield_now();
    }
    running.shutdown(Duration::from_mins(1)).expect("stopped");
}
