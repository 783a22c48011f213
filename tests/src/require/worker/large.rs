//! Ends of handlers that are large together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use flowstate_diesel::Worker;
use serde_json::json;

use crate::check::clean;
use crate::flows::Response;
use crate::gate::Gate;
use crate::statement_probe::Probe;
use crate::steps::picked;
use crate::{Database, fetch_step};

const MIB: usize = 1 << 20;

/// However much handlers come to at the same time, it is written in parts that a server takes at once.
pub fn large_ends_go_in_bounded_parts<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    for n in 0..8 {
        picked::<D>(conn, &format!("r{n}"));
    }
    let longest = Arc::new(AtomicUsize::new(0));
    let pool = D::probed_pool(&database.url(), 2, {
        let longest = Arc::clone(&longest);
        Probe::new(move |seen| {
            longest.fetch_max(seen.text.len(), Ordering::SeqCst);
        })
    });
    let gate = Gate::new();
    let worker = Worker::new(pool).threads(8).step(fetch_step!().lease(Duration::from_mins(10)), {
        let gate = Arc::clone(&gate);
        move |_, ()| {
            gate.pass();
            Ok(Response(json!("x".repeat(3 * MIB))))
        }
    });
    let running = worker.start().expect("started");
    gate.wait_for(8);
    gate.open();
    while running.stats().finished < 8 {
        std::thread::yield_now();
    }
    running.shutdown(Duration::from_mins(1)).expect("stopped");
    let longest = longest.load(Ordering::SeqCst);
    assert!((3 * MIB..5 * MIB).contains(&longest), "{longest}");
    clean(conn);
}
