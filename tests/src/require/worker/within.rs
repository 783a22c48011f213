//! What runs in the transaction that ends a step, or in which time moves a record; and what a handler
//! that takes long can ask its claim.

use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use flowstate::{Flow, Record};
use flowstate_diesel::{
    Backoff, Claim, Policy, Stats, StepEnd, StepError, Worker, claim_next, prelude::*, testing,
};
use serde::{Deserialize, Serialize};

use crate::Database;
use crate::check::clean;
use crate::flows::{Errand, ErrandRun, ErrandState};

/// Work whose every end is booked, the end of its time too.
#[derive(Flow, Serialize, Deserialize, Debug)]
#[state(Waiting, Running, Done, Failed(error), Dropped, Expired)]
#[initial(Waiting)]
#[completed(Done, Dropped, Expired)]
#[step(run: Waiting | Failed => Running => Done, fail(Failed), give_up(Dropped), within)]
#[transition(expire: Waiting | Failed => Expired, after("1 hour"), within)]
struct Booking {}

/// Does nothing but what it is told, and books how it ended.
struct Handlers {
    run: fn() -> Result<(), StepError>,
    /// A good end that cannot be booked.
    refuses: bool,
}

impl Handlers {
    fn new(run: fn() -> Result<(), StepError>) -> Self {
        Self { run, refuses: false }
    }
}

impl<C: SimpleConnection> BookingSteps<C> for Handlers {
    fn run(&self, _: &Claim<BookingRun>) -> Result<(), StepError> {
        (self.run)()
    }

    fn run_within(
        &self,
        flow: &Record<Booking>,
        end: &StepEnd<'_, BookingRun>,
        conn: &mut C,
    ) -> Result<(), StepError> {
        let how = match end {
            StepEnd::Finished(()) => "finished".to_owned(),
            StepEnd::Failed(error) => format!("failed: {error}"),
            StepEnd::GaveUp(error) => format!("gave up: {error}"),
        };
        book(flow, &how, conn)?;
        if self.refuses && matches!(end, StepEnd::Finished(())) {
            return Err("the books are closed".into());
        }
        Ok(())
    }

    fn expire_within(&self, flow: &Record<Booking>, conn: &mut C) -> Result<(), StepError> {
        Ok(book(flow, "expired", conn)?)
    }

    fn run_policy(&self) -> Policy {
        Policy::default().retry(Backoff::fixed(Duration::from_mins(1)).attempts(2))
    }
}

/// The state in which a record is booked is the one that it leaves.
fn book<C: SimpleConnection>(
    flow: &Record<Booking>,
    how: &str,
    conn: &mut C,
) -> diesel::QueryResult<()> {
    let (id, state) = (flow.id(), flow.state());
    conn.batch_execute(&format!("INSERT INTO booked VALUES ({id}, '{state} {how}')"))
}

fn books<D: Database>() -> D {
    let database = D::migrated();
    database
        .connect()
        .batch_execute("CREATE TABLE booked (flow_id BIGINT NOT NULL, how VARCHAR(100) NOT NULL)")
        .expect("a table");
    database
}

fn work<D: Database>(database: &D, handlers: Handlers) -> Stats {
    let worker = Worker::new(database.pool(2)).serve::<Booking>(handlers);
    worker.run_until_idle().expect("ran")
}

fn booked<D: Database>(conn: &mut D::Conn, id: i64, how: &str) -> i64 {
    let sql = format!("SELECT COUNT(*) FROM booked WHERE flow_id = {id} AND how = '{how}'");
    D::number(conn, &sql)
}

fn all<D: Database>(conn: &mut D::Conn) -> i64 {
    D::number(conn, "SELECT COUNT(*) FROM booked")
}

/// A try is booked once, whichever way it ends: by its handler or by its lease, with a further try or
/// for good.
pub fn every_end_of_a_try_is_booked<D: Database>() {
    let database = books::<D>();
    let conn = &mut database.connect();
    let state = |id, conn: &mut D::Conn| Booking::find(id, conn).expect("found").state();

    let good = Booking {}.create(conn).expect("created").id();
    assert_eq!(work(&database, Handlers::new(|| Ok(()))).finished, 1);
    assert_eq!(booked::<D>(conn, good, "running finished"), 1);
    assert_eq!(state(good, conn), BookingState::Done);

    let bad = Booking {}.create(conn).expect("created").id();
    for (how, to) in [("failed: no", BookingState::Failed), ("gave up: no", BookingState::Dropped)]
    {
        assert_eq!(work(&database, Handlers::new(|| Err("no".into()))).failed, 1);
        assert_eq!(booked::<D>(conn, bad, &format!("running {how}")), 1, "{how}");
        assert_eq!(state(bad, conn), to);
        testing::make_everything_due(conn).expect("due");
    }

    let left = Booking {}.create(conn).expect("created").id();
    let step = || Booking::RUN.retry(Backoff::fixed(Duration::from_mins(1)).attempts(2));
    for (how, to) in [
        ("failed: lease expired", BookingState::Failed),
        ("gave up: lease expired", BookingState::Dropped),
    ] {
        drop(claim_next(step(), conn).expect("no error").expect("a claim"));
        testing::expire_leases(conn).expect("expired");
        assert_eq!(work(&database, Handlers::new(|| Ok(()))).reaped, 1);
        assert_eq!(booked::<D>(conn, left, &format!("running {how}")), 1, "{how}");
        assert_eq!(state(left, conn), to);
        testing::make_everything_due(conn).expect("due");
    }
    assert_eq!(all::<D>(conn), 5);
    clean(conn);
}

/// What cannot be booked has not ended well: the try has failed with that error, and is booked so.
pub fn a_good_end_that_is_refused_is_a_failed_try<D: Database>() {
    let database = books::<D>();
    let conn = &mut database.connect();
    let booking = Booking {}.create(conn).expect("created");
    let stats = work(&database, Handlers { refuses: true, ..Handlers::new(|| Ok(())) });
    assert_eq!((stats.finished, stats.failed), (0, 1));
    let failed = booked::<D>(conn, booking.id(), "running failed: the books are closed");
    assert_eq!((failed, all::<D>(conn)), (1, 1));
    let history = booking.history(conn).expect("the history");
    let taken: Vec<_> = history.iter().map(|row| &*row.to).collect();
    assert_eq!(taken, ["waiting", "running", "failed"]);
    assert_eq!(history[2].error.as_deref(), Some("the books are closed"));
    clean(conn);
}

/// The end of a record's time is booked with the transition that it takes.
pub fn a_timed_transition_is_booked<D: Database>() {
    let database = books::<D>();
    let conn = &mut database.connect();
    // nothing but time moves it
    let booking = Booking {}.create_in(Duration::from_hours(2), conn).expect("created");
    testing::pass_deadlines(conn).expect("passed");
    assert_eq!(work(&database, Handlers::new(|| Ok(()))).timed, 1);
    assert_eq!(booked::<D>(conn, booking.id(), "waiting expired"), 1);
    let found = Booking::find(booking.id(), conn).expect("found");
    assert_eq!((found.state(), all::<D>(conn)), (BookingState::Expired, 1));
    clean(conn);
}

/// Says that a handler has begun, and waits until its claim says so.
fn wait_until(
    begun: Sender<()>,
    says: fn(&Claim<ErrandRun>) -> bool,
) -> impl Fn(&Claim<ErrandRun>) + Send + Sync {
    let begun = Mutex::new(begun);
    move |claim| {
        begun.lock().expect("not poisoned").send(()).expect("sent");
        while !says(claim) {
            thread::yield_now();
        }
    }
}

/// A handler that takes long is told that somebody else has moved its record.
pub fn a_handler_learns_that_its_claim_is_lost<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut errand = Errand::new("a").create(conn).expect("created");
    let (begun, has_begun) = channel();
    let wait = wait_until(begun, Claim::is_lost);
    let running = Worker::new(database.pool(2))
        .step(Errand::RUN.lease(Duration::from_millis(300)), move |claim, ()| {
            wait(claim);
            Ok(())
        })
        .start()
        .expect("started");
    has_begun.recv().expect("begun");
    errand.reload(conn).expect("read");
    errand.transition(Errand::FINISH_RUN, conn).run().expect("finished by somebody else");
    // it ends though nobody stops it
    let stats = running.shutdown(Duration::from_mins(5)).expect("stopped");
    assert_eq!((stats.finished, stats.released), (0, 0));
    assert_eq!(errand.history(conn).expect("the history").len(), 3);
    clean(conn);
}

/// A handler that takes long is told that its worker stops, and puts its work off.
pub fn a_handler_learns_of_a_shutdown<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut errand = Errand::new("a").create(conn).expect("created");
    let (begun, has_begun) = channel();
    let wait = wait_until(begun, Claim::is_stopping);
    let running = Worker::new(database.pool(2))
        .step(Errand::RUN, move |claim, ()| {
            wait(claim);
            Err(StepError::not_yet(Duration::from_hours(1)))
        })
        .start()
        .expect("started");
    has_begun.recv().expect("begun");
    let stats = running.shutdown(Duration::from_mins(5)).expect("stopped");
    assert_eq!((stats.put_off, stats.released), (1, 0));
    errand.reload(conn).expect("read");
    assert_eq!((errand.state(), errand.attempt()), (ErrandState::Waiting, 1));
    clean(conn);
}
