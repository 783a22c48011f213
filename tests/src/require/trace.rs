//! The trace context of the caller, kept with what it writes.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};

use diesel::connection::SimpleConnection;
use flowstate_diesel::{Error, HistoryEntry, Worker, claim_next, prelude::*, trace_context};
use serde_json::json;

use crate::flows::{Job, Response, Sync};
use crate::statement_probe::Probe;
use crate::tracing_capture::Capture;
use crate::{Database, check, child, fetch_step};

const ONE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const OTHER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

thread_local! {
    static CURRENT: RefCell<Option<String>> = const { RefCell::new(None) };
}

fn current() -> Option<String> {
    CURRENT.with_borrow(|current| {
        assert_ne!(current.as_deref(), Some("panic"), "as it is told");
        current.clone()
    })
}

fn within<R>(context: &str, work: impl FnOnce() -> R) -> R {
    CURRENT.set(Some(context.to_owned()));
    let done = work();
    CURRENT.set(None);
    done
}

/// Kept as the standard writes them, by a process of its own, since the hook is one for all.
pub fn trace_contexts_are_kept<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    // without a hook
    let job = within(ONE, || Job::new("before").create(conn)).expect("created");
    assert_eq!(contexts(&job.history(conn).expect("read")), [None]);
    let ended = child::run::<D>("trace", &database.url());
    assert!(ended.status.success(), "{ended:?}");
    check::clean(conn);
}

/// The child of the former.
pub fn trace_in_child<D: Database>(url: &str) {
    trace_context(current);
    let conn = &mut D::connect_to(url);
    calls::<D>(conn);
    rubbish::<D>(conn);
    claims::<D>(conn);
    worker::<D>(url, conn);
}

fn contexts(history: &[HistoryEntry]) -> Vec<Option<&str>> {
    history.iter().map(|entry| entry.traceparent.as_deref()).collect()
}

/// Each row that a call writes has its context, and no other one.
fn calls<D: Database>(conn: &mut D::Conn) {
    let mut job = within(ONE, || Job::new("a").create(conn)).expect("created");
    job.transition(Job::PARK, conn).run().expect("parked");
    within(OTHER, || job.transition(Job::WORK, conn).then(Job::FAIL).run()).expect("both");
    within(ONE, || job.transition(Job::WORK, conn).guard("yes", |_, _| true).run()).expect("works");
    let undone = flowstate_diesel::transaction(conn, |conn| {
        within(OTHER, || job.transition(Job::FAIL, conn).run())?;
        Err::<(), _>(Error::Body { source: "undone".into() })
    });
    undone.expect_err("undone");
    within(OTHER, || job.transition(Job::PARK, conn).run()).expect_err("invalid");
    let history = job.history(conn).expect("read");
    assert_eq!(contexts(&history), [Some(ONE), None, Some(OTHER), Some(OTHER), Some(ONE)]);
    let many = || Job::create_many([Job::new("b"), Job::new("c")], conn);
    for job in within(OTHER, many).expect("created") {
        assert_eq!(contexts(&job.history(conn).expect("read")), [Some(OTHER)]);
    }
    for context in [ONE, OTHER] {
        let once = within(context, || Job::new("d").create_once("d", conn)).expect("once");
        let history = once.into_record().history(conn).expect("read");
        assert_eq!(contexts(&history), [Some(ONE)], "that of its creation");
    }
}

/// What is no context is not kept, and nothing fails by it.
fn rubbish<D: Database>(conn: &mut D::Conn) {
    let long = "0".repeat(100_000);
    for rubbish in ["", "panic", "x", "'; DROP TABLE flowstate_flows; --", "\0", &long] {
        let mut job = within(rubbish, || Job::new("a").create(conn)).expect("created");
        within(rubbish, || job.transition(Job::PARK, conn).run()).expect("parked");
        assert_eq!(contexts(&job.history(conn).expect("read")), [None, None]);
    }
}

/// A claim by hand has the context of the last caller, also when it is tried again.
fn claims<D: Database>(conn: &mut D::Conn) {
    let step = fetch_step!();
    let mut flow = within(OTHER, || Sync::new("by hand").create(conn)).expect("created");
    within(ONE, || flow.transition(Sync::PICK, conn).run()).expect("picked");
    for _ in 0..2 {
        let claim = claim_next(&step, conn).expect("no error").expect("a claim");
        assert_eq!(claim.traceparent(), Some(ONE));
        claim.fail("no", conn).expect("failed");
        flowstate_diesel::testing::make_everything_due(conn).expect("due");
    }
    // others may write there what they like
    let sql = "UPDATE flowstate_transitions SET traceparent = 'rubbish' WHERE traceparent = ";
    conn.batch_execute(&format!("{sql}'{ONE}'")).expect("written");
    let claim = claim_next(&step, conn).expect("no error").expect("a claim");
    assert_eq!(claim.traceparent(), None);
    claim.finish(Response(json!(1)), conn).expect("finished");
}

/// A worker tells it to the handler and its span; two steps on it is still the caller's.
fn worker<D: Database>(url: &str, conn: &mut D::Conn) {
    let capture = Capture::start();
    let mut flow = Sync::new("a").create(conn).expect("created");
    within(ONE, || flow.transition(Sync::PICK, conn).run()).expect("picked");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = |seen: &Arc<Mutex<Vec<_>>>, context: Option<&str>| {
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(context.map(str::to_owned));
    };
    let (fetched, saved) = (Arc::clone(&seen), Arc::clone(&seen));
    Worker::new(D::probed_pool(url, 2, Probe::new(|_| {})))
        .step(fetch_step!(), move |claim, ()| {
            note(&fetched, claim.traceparent());
            Ok(Response(json!(1)))
        })
        .transactional_step(Sync::SAVE, move |claim, _, _| {
            note(&saved, claim.traceparent());
            Ok(())
        })
        .run_until_idle()
        .expect("ran");
    let of_flow = |context: &&Option<String>| context.as_deref() == Some(ONE);
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(seen.iter().filter(of_flow).count(), 2, "{seen:?}");
    let id = flow.id().to_string();
    let spans = capture.captured().into_iter().filter(|told| told.what == "flowstate.step");
    let of_record = spans.filter(|span| span.fields["id"] == id);
    let told: Vec<_> = of_record.map(|span| span.fields.get("traceparent").cloned()).collect();
    assert_eq!(told, [Some(ONE.to_owned()), Some(ONE.to_owned())]);
}
