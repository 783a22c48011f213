//! What runs in the transaction that ends a step, or in which time moves a record; and what a handler
//! that takes long can ask its claim.

use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::r2d2::{ConnectionManager, Pool};
use flowstate::{Flow, Record};
use flowstate_diesel::{
    Backoff, Claim, Policy, Stats, StepEnd, StepError, Worker, claim_next, prelude::*, testing,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::check::clean;
use crate::flows::{Errand, ErrandRun, ErrandState, Job, Response};
use crate::gate::Gate;
use crate::set_up_connection::SetUpConnections;
use crate::steps::picked;
use crate::{Database, fetch_step};

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

/// Moves another record in each end, with a hook that takes a connection of the worker's own pool.
struct Hooked<D: Database> {
    pool: Pool<ConnectionManager<D::Conn>>,
    fails: bool,
    had: Sender<bool>,
}

impl<D: Database> Hooked<D> {
    fn move_another(&self, conn: &mut D::Conn) -> Result<(), StepError> {
        let (pool, had) = (self.pool.clone(), self.had.clone());
        let mut job = Job::new("another").create(conn)?;
        job.transition(Job::WORK, conn)
            .after_commit(move |_| had.send(pool.get_timeout(Duration::from_secs(10)).is_ok()))
            .run()?;
        Ok(())
    }
}

impl<D: Database> BookingSteps<D::Conn> for Hooked<D> {
    fn run(&self, _: &Claim<BookingRun>) -> Result<(), StepError> {
        if self.fails { Err("no".into()) } else { Ok(()) }
    }

    fn run_within(
        &self,
        _: &Record<Booking>,
        _: &StepEnd<'_, BookingRun>,
        conn: &mut D::Conn,
    ) -> Result<(), StepError> {
        self.move_another(conn)
    }

    fn expire_within(&self, _: &Record<Booking>, conn: &mut D::Conn) -> Result<(), StepError> {
        self.move_another(conn)
    }
}

/// The hooks of what runs within an end find a connection in a pool of one, whichever way a try ends:
/// well, badly, by its lease, or by a time that is over.
pub fn hooks_of_an_end_find_a_connection<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let (had, told) = channel();
    let work = |fails| {
        let pool = database.pool(1);
        let hooked = Hooked::<D> { pool: pool.clone(), fails, had: had.clone() };
        Worker::new(pool).serve::<Booking>(hooked).run_until_idle().expect("ran")
    };
    Booking {}.create(conn).expect("created");
    assert_eq!(work(false).finished, 1);
    assert_eq!(told.try_recv(), Ok(true), "finished");
    Booking {}.create(conn).expect("created");
    assert_eq!(work(true).failed, 1);
    assert_eq!(told.try_recv(), Ok(true), "failed");
    testing::pass_deadlines(conn).expect("passed");
    assert_eq!(work(true).timed, 1);
    assert_eq!(told.try_recv(), Ok(true), "its time was over");
    Booking {}.create(conn).expect("created");
    drop(claim_next(Booking::RUN, conn).expect("no error").expect("a claim"));
    testing::expire_leases(conn).expect("expired");
    assert_eq!(work(true).reaped, 1);
    assert_eq!(told.try_recv(), Ok(true), "its lease ran out");
    clean(conn);
}

/// Waits for a row of the user's own when a lease has run out or a time is over.
struct Waiting;

impl Waiting {
    fn wait<C: SimpleConnection>(conn: &mut C) -> Result<(), StepError> {
        Ok(conn.batch_execute("UPDATE booked SET how = 'had' WHERE flow_id = 0")?)
    }
}

impl<C: SimpleConnection> BookingSteps<C> for Waiting {
    fn run(&self, _: &Claim<BookingRun>) -> Result<(), StepError> {
        Ok(())
    }

    fn run_within(
        &self,
        _: &Record<Booking>,
        end: &StepEnd<'_, BookingRun>,
        conn: &mut C,
    ) -> Result<(), StepError> {
        if matches!(end, StepEnd::Finished(())) { Ok(()) } else { Self::wait(conn) }
    }

    fn expire_within(&self, _: &Record<Booking>, conn: &mut C) -> Result<(), StepError> {
        Self::wait(conn)
    }
}

/// What the user has run when a lease has run out or a time is over waits for somebody's lock no longer
/// than a bound of this library's, whatever the session's is: what else is due is done meanwhile.
pub fn a_part_that_waits_keeps_no_other<D: Database>() {
    let database = books::<D>();
    let conn = &mut database.connect();
    conn.batch_execute("INSERT INTO booked VALUES (0, 'free')").expect("a row");
    let dead = Booking {}.create(conn).expect("created").id();
    drop(claim_next(Booking::RUN, conn).expect("no error").expect("a claim"));
    testing::expire_leases(conn).expect("expired");
    let hour = Duration::from_hours(1);
    let late = Booking {}.create_in(hour, conn).expect("created").id();
    testing::pass_deadlines(conn).expect("passed");
    let other = &mut database.connect();
    other
        .batch_execute("BEGIN; UPDATE booked SET how = 'locked' WHERE flow_id = 0")
        .expect("locked");
    let bound = match D::FOLDER {
        "mysql" => "SET SESSION innodb_lock_wait_timeout = 600",
        _ => "SET lock_timeout = '10min'",
    };
    let pool = SetUpConnections::<D>::pool(&database.url(), 2, move |conn| {
        conn.batch_execute(bound).expect("set");
    });
    let running = Worker::new(pool.clone())
        .serve::<Booking>(Waiting)
        .step(fetch_step!(), |_, ()| Ok(Response(json!(1))))
        .poll(Duration::from_millis(50))
        .start()
        .expect("started");
    picked::<D>(conn, "another");
    let fetched = "SELECT COUNT(*) FROM flowstate_flows WHERE state = 'fetched'";
    Gate::new().wait_for_one(|| D::number(conn, fetched) == 1);
    let state = |id, conn: &mut D::Conn| Booking::find(id, conn).expect("found").state();
    assert_eq!(state(dead, conn), BookingState::Running);
    other.batch_execute("ROLLBACK").expect("unlocked");
    Gate::new().wait_for_one(|| {
        state(dead, conn) != BookingState::Running && state(late, conn) == BookingState::Expired
    });
    running.shutdown(Duration::from_mins(1)).expect("stopped");
    let bound = match D::FOLDER {
        "mysql" => "SELECT @@SESSION.innodb_lock_wait_timeout",
        _ => "SELECT setting::bigint / 1000 FROM pg_settings WHERE name = 'lock_timeout'",
    };
    let conns: Vec<_> = (0..2).map(|_| pool.get().expect("a connection")).collect();
    for mut conn in conns {
        assert_eq!(D::number(&mut conn, bound), 600, "as it was set");
    }
    clean(conn);
}
