//! Numbers of the user's own, however large or small: each is taken as it is, or brought into range.

use std::time::Duration;

use flowstate_diesel::{Backoff, Page, Purge, StepError, Worker, claim_next, prelude::*};
use serde_json::json;

use crate::check::clean;
use crate::flows::{Job, JobState, Response, Sync, SyncState};
use crate::steps::picked;
use crate::{Database, fetch_step};

/// Nothing, the least, and the most that a duration and a count can say; and parts that are none.
const EXTREMES: [(Duration, usize, f64); 4] = [
    (Duration::ZERO, 0, f64::NAN),
    (Duration::from_nanos(1), 1, f64::NEG_INFINITY),
    (Duration::from_secs(1), 2, f64::INFINITY),
    (Duration::MAX, usize::MAX, f64::MAX),
];

/// A worker does its work with any lease, batch, concurrency, backoff, poll and grace, and what a handler
/// puts off for ever is due in a thousand years.
pub fn workers_take_any_number<D: Database>() {
    for (duration, count, part) in EXTREMES {
        let database = D::migrated();
        let conn = &mut database.connect();
        let ids = ["fine", "again", "later"].map(|name| picked::<D>(conn, name));
        let few = u32::try_from(count).unwrap_or(u32::MAX);
        let backoff = Backoff::exponential(duration).cap(duration).jitter(part).attempts(few);
        let step = fetch_step!().batch(count).concurrency(count).retry(backoff);
        // a claim is not to run out while a busy machine looks elsewhere
        let step = if duration == Duration::MAX { step.lease(duration) } else { step };
        let long = duration.max(Duration::from_hours(1));
        let running = Worker::new(database.pool(2))
            .step(step, move |claim, ()| match &*claim.record_id {
                "again" => Err(StepError::retry_after(long, "again")),
                "later" => Err(StepError::not_yet(long)),
                _ => Ok(Response(json!(1))),
            })
            .threads(count.min(2))
            .poll(duration)
            .start()
            .expect("started");
        let left = "SELECT COUNT(*) FROM flowstate_flows WHERE state <> 'fetched' AND seq < 3";
        while D::number(conn, left) > 0 {
            std::thread::yield_now();
        }
        let stats = running.shutdown(Duration::MAX).expect("stopped");
        assert_eq!(
            (stats.finished, stats.failed, stats.put_off),
            (1, 1, 1),
            "{duration:?} {count}"
        );
        let at = ids.map(|id| Sync::find(id, conn).expect("found").state());
        assert_eq!(at, [SyncState::Fetched, SyncState::FailedToFetch, SyncState::Picked]);
        let later = Sync::find(ids[2], conn).expect("found");
        assert!(later.due_at().is_some_and(|due| due > later.updated_at()));
        clean(conn);
    }
}

/// So do calls: delays, pages, purges, and claims by hand.
pub fn calls_take_any_number<D: Database>() {
    for (duration, count, _) in EXTREMES {
        let database = D::migrated();
        let conn = &mut database.connect();
        let few = u32::try_from(count).unwrap_or(u32::MAX);
        let mut flow = Sync::new("a").create(conn).expect("created");
        flow.transition(Sync::PICK, conn).delay(duration).run().expect("picked");
        let is_far = duration > Duration::from_hours(24);
        let step = fetch_step!().lease(duration);
        let claim = claim_next(step, conn).expect("no error");
        assert_eq!(claim.is_none(), is_far || duration == Duration::from_secs(1), "{duration:?}");
        drop(claim);
        let mut job = Job::new("a").create(conn).expect("created");
        job.transition(Job::ABANDON, conn).run().expect("destroyed");
        let jobs = Job::list([JobState::Open], Page::first(few), conn).expect("listed");
        assert!(jobs.is_empty());
        assert!(Job::list([JobState::Open], Page::after(i64::MAX, few), conn).is_ok());
        assert!(Job::list([JobState::Open], Page::after(i64::MIN, few), conn).is_ok());
        assert_eq!(Purge::older_than(duration).batch(few).run(conn).expect("purged"), 0);
        clean(conn);
    }
}
