//! A program whose units of work were three transitions each goes on with declared steps.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use flowstate::Flow;
use flowstate_diesel::{Backoff, Worker, prelude::*, testing};
use serde::{Deserialize, Serialize};

use crate::Database;
use crate::check::clean;

/// The older program: three transitions.
mod v1 {
    use super::{Deserialize, Flow, Serialize};

    /// A download.
    #[derive(Flow, Serialize, Deserialize, Debug)]
    #[flow(name = "download")]
    #[state(Picked, Fetching, Fetched, FailedToFetch(error))]
    #[initial(Picked)]
    #[completed(Fetched)]
    #[persist(#[derive(Debug, PartialEq)] Page(String))]
    #[transition(start_fetch: Picked | FailedToFetch => Fetching)]
    #[transition(finish_fetch: Fetching => Fetched, persist(Page))]
    #[transition(fail_fetch: Fetching => FailedToFetch)]
    pub(super) struct Download {
        pub(super) url: String,
    }
}

/// The newer program: a step.
mod v2 {
    use super::{Deserialize, Flow, Serialize};

    /// A download.
    #[derive(Flow, Serialize, Deserialize, Debug)]
    #[flow(name = "download")]
    #[state(Picked, Fetching, Fetched, FailedToFetch(error))]
    #[initial(Picked)]
    #[completed(Fetched)]
    #[persist(#[derive(Debug, PartialEq)] Page(String))]
    #[step(fetch: Picked | FailedToFetch => Fetching => Fetched(persist(Page)), fail(FailedToFetch))]
    pub(super) struct Download {
        pub(super) url: String,
    }
}

/// Records of the older program go on, wherever they stand: new, failed, claimed by a process that
/// died, and completed.
pub fn records_of_the_old_triple_go_on<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let make = |url: &str, conn: &mut D::Conn| {
        v1::Download { url: url.to_owned() }.create(conn).expect("created")
    };
    let new = make("new", conn).id();
    let mut failed = make("failed", conn);
    failed.transition(v1::Download::START_FETCH, conn).run().expect("started");
    failed.transition(v1::Download::FAIL_FETCH, conn).error("no answer").run().expect("failed");
    let mut claimed = make("claimed", conn);
    claimed.transition(v1::Download::START_FETCH, conn).run().expect("started");
    let mut done = make("done", conn);
    done.transition(v1::Download::START_FETCH, conn).run().expect("started");
    done.transition(v1::Download::FINISH_FETCH, conn)
        .persist(v1::Page("old".to_owned()))
        .run()
        .expect("finished");
    // as a worker's claim leaves a row
    let sql = format!(
        "UPDATE flowstate_flows SET leased_by = 'the dead', leased_until = created_at, \
         due_at = NULL WHERE id = {}",
        claimed.id()
    );
    conn.batch_execute(&sql).expect("claimed");

    let run = || {
        let retry = Backoff::fixed(Duration::from_mins(1)).attempts(3);
        Worker::new(database.pool(1))
            .step(v2::Download::FETCH.retry(retry), |flow, ()| Ok(v2::Page(flow.url.clone())))
            .run_until_idle()
            .expect("ran")
    };
    let stats = run();
    assert_eq!((stats.finished, stats.reaped), (2, 1));
    testing::make_everything_due(conn).expect("due");
    assert_eq!(run().finished, 1, "the one that was claimed");

    for (id, page) in
        [(new, "new"), (failed.id(), "failed"), (claimed.id(), "claimed"), (done.id(), "old")]
    {
        let record = v2::Download::find(id, conn).expect("found");
        let ended = record.outcome(conn).expect("read");
        assert_eq!(ended, Some(v2::DownloadOutcome::Fetched(v2::Page(page.to_owned()))), "{page}");
    }
    let history = failed.history(conn).expect("the history");
    let told: Vec<_> = history.iter().map(|row| (&*row.transition, row.attempt)).collect();
    let expected = [("start_fetch", 1), ("fail_fetch", 1), ("start_fetch", 2), ("finish_fetch", 2)];
    assert_eq!(told[1..], expected);
    clean(conn);
}
