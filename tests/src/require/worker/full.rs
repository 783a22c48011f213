//! A server whose disk is full for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use flowstate_diesel::{Error, Worker, prelude::*};
use serde_json::json;

use crate::check;
use crate::database::server::Served;
use crate::flows::{Job, JobRecord, Note, Response, Sync};
use crate::gate::Gate;
use crate::own_server::OwnServer;
use crate::statement_probe::Probe;
use crate::steps::picked;
use crate::{fetch_step, refused};

/// Text that is as long when it is compressed, and stands in its row: MariaDB ends itself where there is
/// no room to undo what stands outside <https://mariadb.com/kb/en/innodb-dynamic-row-format/>.
fn large() -> String {
    std::iter::repeat_with(fastrand::alphanumeric).take(7_000).collect()
}

/// A call says that the disk is full, and nothing of it is kept. What handlers have come to is kept
/// until there is room, however often it was refused: none runs again, and no try is counted.
pub fn s08_a_full_disk_of_a_server_costs_time<D: Served>() {
    const FLOWS: usize = 6;
    let flows = i64::try_from(FLOWS).expect("few");
    let done = "SELECT COUNT(*) FROM flowstate_flows WHERE state = 'fetched'";
    let (server, disk) = OwnServer::start_on_disk(D::KIND);
    let url = server.url();
    let conn = &mut D::connect_to(&url);
    flowstate_diesel::migrate(conn).expect("migrated");
    let mut job = Job::new("a").create(conn).expect("created");
    job.transition(Job::WORK, conn).run().expect("working");
    let ids: Vec<_> = (0..FLOWS).map(|n| picked::<D>(conn, &n.to_string())).collect();
    let (gate, written) = (Gate::new(), Gate::new());
    let probe = {
        let written = Arc::clone(&written);
        Probe::new(move |seen| {
            if seen.ends(&["INSERT INTO flowstate_artefacts"]) {
                written.note();
            }
        })
    };
    let ran = Arc::<AtomicUsize>::default();
    let running = Worker::new(D::probed_pool(&url, 2, probe))
        .step(fetch_step!(), {
            let (ran, gate) = (Arc::clone(&ran), Arc::clone(&gate));
            move |_, ()| {
                ran.fetch_add(1, Ordering::SeqCst);
                gate.pass();
                Ok(Response(json!(large())))
            }
        })
        .threads(FLOWS)
        .poll(Duration::from_millis(20))
        .start()
        .expect("started");
    gate.wait_for(FLOWS);
    disk.fill();
    gate.open();
    let note = |job: &mut JobRecord, conn: &mut D::Conn| {
        job.transition(Job::NOTE, conn).persist(Note(json!(large()))).run()
    };
    // until no page has room for another one; the server may find some that it can use again
    while note(&mut job, conn).is_ok() {}
    let (mut refusals, refused) = (0, written.come());
    while refusals < 3 {
        let seq = job.seq();
        let Err(error) = note(&mut job, conn) else { continue };
        refusals += 1;
        assert!(error.is_temporary(), "{error}");
        let source = refused!(Err::<(), _>(error), Error::Database { source, .. } => source);
        let said = source.to_string();
        assert!(said.contains("No space left on device") || said.contains("is full"), "{said}");
        assert_eq!(job.seq(), seq);
    }
    // more often than what a database refuses for good is tried
    written.wait_for(refused + 20);
    assert!(D::number(conn, done) < flows, "there was no room");
    disk.free();
    note(&mut job, conn).expect("there is room");
    Gate::new().wait_for_one(|| D::number(conn, done) == flows);
    let stats = running.shutdown(Duration::from_mins(1)).expect("stopped");
    assert_eq!((stats.finished, stats.failed, stats.lost, stats.reaped), (FLOWS as u64, 0, 0, 0));
    assert_eq!(ran.load(Ordering::SeqCst), FLOWS, "each once");
    for id in ids {
        let history = Sync::find(id, conn).expect("found").history(conn).expect("the history");
        assert!(history.iter().all(|entry| entry.error.is_none() && entry.attempt == 1));
    }
    check::clean(conn);
}
