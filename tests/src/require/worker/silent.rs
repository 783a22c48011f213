//! Calls to the database that never come back: the connection stands, and no answer comes.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use flowstate_diesel::Worker;
use serde_json::json;

use crate::check::clean;
use crate::child::{self, Running};
use crate::database::server::Served;
use crate::flows::Response;
use crate::gate::Gate;
use crate::proxy::{Cut, Proxy};
use crate::set_up_connection::SetUpConnections;
use crate::steps::picked;
use crate::tracing_capture::Capture;
use crate::{Database, fetch_step};

/// What a worker says when it extends leases: their length in microseconds.
const LEASE: Duration = Duration::from_secs(15);
const LEASE_WORDS: &str = ",15000000]";
/// In what a handler returns.
const RESULT: &str = "never to be answered";

/// A worker whose poll, heartbeat or settling is never answered says so, and goes on with another
/// connection: what becomes due is done, and leases are extended.
pub fn a_call_that_does_not_come_back_stops_no_worker<D: Served>() {
    thread::scope(|scope| {
        for stage in ["poll", "heartbeat", "settle"] {
            scope.spawn(move || {
                let database = D::migrated();
                let proxy = Proxy::start(&D::address());
                let through = database.url_through(proxy.port());
                let job = format!("silent {stage} {}", database.url());
                let mut child = Running::start(child::command::<D>(&job, &through)).ready();
                match stage {
                    // by then each connection has prepared it: the server is told a name, and values
                    "poll" if D::FOLDER == "mysql" => proxy.cut(Cut::Never, "UNION ALL"),
                    "poll" => proxy.cut(Cut::Never, r#""sync","picked""#),
                    "heartbeat" => proxy.cut(Cut::Never, LEASE_WORDS),
                    _ => proxy.cut(Cut::Never, RESULT),
                }
                // what a worker does by itself it does soon
                while stage != "settle" && proxy.cuts() == 0 {
                    thread::yield_now();
                }
                child.go();
                let ended = child.end();
                assert!(ended.status.success(), "{stage}: {ended:?}");
                assert_eq!(proxy.cuts(), 1, "{stage}");
            });
        }
    });
}

/// The child of the former, of which one stage meets silence.
pub fn silent_in_child<D: Database>(stage: &str, direct: &str, through: &str) {
    let capture = Capture::start();
    let conn = &mut D::connect_to(direct);
    picked::<D>(conn, "held");
    let gate = Gate::new();
    // the locks of a call that does not come back stay: between the rows, too, at other levels
    let level = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";
    let pool = SetUpConnections::<D>::pool(through, 4, move |conn| {
        if D::FOLDER == "mysql" {
            conn.batch_execute(level).expect("set");
        }
    });
    let running = Worker::new(pool)
        .step(fetch_step!().lease(LEASE), {
            let gate = Arc::clone(&gate);
            move |claim, ()| {
                if claim.record_id == "held" {
                    gate.pass();
                }
                let is_held = claim.record_id == "held";
                Ok(Response(json!(if is_held { RESULT } else { "an answer" })))
            }
        })
        .threads(3)
        .poll(Duration::from_millis(50))
        .start()
        .expect("started");
    gate.wait_for(1);
    child::wait_for_go();
    if stage == "settle" {
        gate.open();
    }
    Gate::new().wait_for_one(|| is_told(&capture, stage));
    if stage == "heartbeat" {
        // the first one's row may be locked by the connection that is lost
        let another = picked::<D>(conn, "held");
        let leased = "SELECT CAST(leased_until AS CHAR(40)) FROM flowstate_flows WHERE id = ";
        let leased = format!("{leased}{another}");
        gate.wait_for(2);
        let before = D::text(conn, &leased);
        Gate::new().wait_for_one(|| D::text(conn, &leased) != before);
    }
    let later = picked::<D>(conn, "later");
    let done =
        format!("SELECT COUNT(*) FROM flowstate_flows WHERE id = {later} AND state = 'fetched'");
    Gate::new().wait_for_one(|| D::number(conn, &done) == 1);
    if stage != "settle" {
        gate.open();
    }
    // the thread that waits is not waited for; and its record may still be locked
    let _ = running.shutdown(Duration::from_secs(2));
    clean(conn);
}

fn is_told(capture: &Capture, stage: &str) -> bool {
    let told = capture.captured();
    let of_calls = "a call to the database does not come back";
    told.iter().any(|told| told.what == of_calls && told.fields["what"] == stage)
}
