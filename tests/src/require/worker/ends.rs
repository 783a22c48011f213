//! Ends of handlers that are written together.

use std::sync::Arc;
use std::time::Duration;

use flowstate_diesel::{Worker, prelude::*, testing};
use serde_json::json;

use crate::check::clean;
use crate::flows::{Response, Sync, SyncState};
use crate::gate::Gate;
use crate::steps::picked_together;
use crate::{Database, fetch_step, save_step};

const RECORDS: u32 = 24;

/// Handlers come to their ends at the same time: some fail, some persist, some take one more transition,
/// some end a later try. Each record is where its own handler has brought it.
pub fn ends_that_come_together_are_each_their_own<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let records = usize::try_from(RECORDS).expect("few");
    let ids = picked_together::<D>(conn, records);
    let fails = |record: &str| record.parse::<u32>().expect("a number").is_multiple_of(3);
    for (first, ends) in [(true, RECORDS), (false, RECORDS + RECORDS / 3)] {
        let gate = Gate::new();
        let [fetching, saving] = [(); 2].map(|()| Arc::clone(&gate));
        let fetch = fetch_step!().batch(records);
        let worker =
            Worker::new(database.pool(4)).threads(records).step(fetch, move |claim, ()| {
                fetching.pass();
                if first && fails(&claim.record_id) {
                    return Err(format!("not {}", claim.record_id).into());
                }
                Ok(Response(json!({ "of": claim.record_id })))
            });
        let save = save_step!().batch(records);
        let worker = if first {
            worker
        } else {
            worker.step(save, move |claim, Response(body)| {
                saving.pass();
                assert_eq!(body, json!({ "of": claim.record_id }), "its own");
                Ok(())
            })
        };
        let running = worker.start().expect("started");
        gate.wait_for(records);
        gate.open();
        let ended = || running.stats().finished + running.stats().failed;
        while ended() < u64::from(ends) {
            std::thread::yield_now();
        }
        running.shutdown(Duration::from_mins(1)).expect("stopped");
        testing::make_everything_due(conn).expect("due");
    }
    for id in ids {
        let flow = Sync::find(id, conn).expect("found");
        assert_eq!(flow.state(), SyncState::Completed);
        let history = flow.history(conn).expect("the history");
        let taken: Vec<_> = history.iter().map(|row| (&*row.to, row.attempt)).collect();
        let errors: Vec<_> = history.iter().filter_map(|row| row.error.clone()).collect();
        let (tries, error) = if fails(&flow.record_id) {
            (
                vec![("fetching", 1), ("failed_to_fetch", 1), ("fetching", 2), ("fetched", 2)],
                vec![format!("not {}", flow.record_id)],
            )
        } else {
            (vec![("fetching", 1), ("fetched", 1)], Vec::new())
        };
        let begun = [("pending", 1), ("picked", 1)];
        let saved = [("saving", 1), ("saved", 1), ("completed", 1)];
        assert_eq!(taken, [&begun[..], &tries, &saved].concat());
        assert_eq!(errors, error);
    }
    clean(conn);
}
