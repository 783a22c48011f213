//! Copies of a record that are no longer true, and those who come too late.

use std::sync::mpsc::channel;
use std::thread;

use diesel::Connection;
use diesel::connection::SimpleConnection;
use flowstate_diesel::prelude::*;
use flowstate_diesel::{Error, Result, transaction};

use crate::flows::{Job, JobRecord, JobState};
use crate::race::race;
use crate::{Database, check, child, refused};

/// What the winners and losers of a race got: winners counted, every loser typed.
fn count_wins(results: impl IntoIterator<Item = Result<()>>) -> usize {
    let won = results.into_iter().map(|result| match result {
        Ok(()) => 1,
        Err(Error::InvalidTransition { found, .. }) if found == "working" => 0,
        Err(error) => panic!("not the typed loser: {error:?}"),
    });
    won.sum()
}

/// A01: the stale copy learns where the record is, and writes nothing.
pub fn a01_stale_copy_loses<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut first = Job::new("a").create(conn).expect("created");
    let mut stale = Job::find(first.id(), conn).expect("found");
    first.transition(Job::WORK, conn).run().expect("working");
    let before = check::sizes::<D>(conn);
    let lost = stale.transition(Job::PARK, conn).run();
    let (transition, found, expected) = refused!(
        lost,
        Error::InvalidTransition { transition, found, expected, .. } => (transition, found, expected)
    );
    assert_eq!((transition, &*found, &*expected), ("park", "working", &["open"][..]));
    assert_eq!((stale.state(), stale.seq()), (JobState::Working, 1), "refreshed");
    assert_eq!(check::sizes::<D>(conn), before);
    stale.transition(Job::FAIL, conn).run().expect("the refreshed copy goes on");
    check::clean(conn);
}

/// A stale copy that may still take its transition takes it from where the record is.
pub fn a_stale_copy_goes_on_from_the_row<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut first = Job::new("a").create(conn).expect("created");
    let mut stale = Job::find(first.id(), conn).expect("found");
    first.transition(Job::PARK, conn).run().expect("parked");
    stale.transition(Job::WORK, conn).run().expect("working, from parked");
    let history = stale.history(conn).expect("the history");
    assert_eq!(history[2].from.as_deref(), Some("parked"));
    check::clean(conn);
}

/// A02: the guard waits for the lock and sees what its holder wrote.
pub fn a02_guard_waits_for_the_lock<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut job = Job::new("a").create(conn).expect("created");
    let mut holder = Job::find(job.id(), conn).expect("found");
    let url = database.url();
    let (tell, locked) = channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            let conn = &mut D::connect_to(&url);
            let update = |job: &mut Job| "changed".clone_into(&mut job.name);
            let watcher = &mut D::connect_to(&url);
            let tell = |_: &_, _: &mut _| {
                let told = tell.send(()).map_err(|error| error.to_string());
                D::wait_for_a_waiter(watcher);
                Ok(told?)
            };
            holder.transition(Job::PARK, conn).update(update).within(tell).run().expect("parked");
        });
        locked.recv().expect("the lock is held");
        let mut seen = String::new();
        job.transition(Job::WORK, conn)
            .guard("look", |job, _| {
                seen.clone_from(&job.name);
                job.state() == JobState::Parked
            })
            .run()
            .expect("working");
        assert_eq!(seen, "changed");
    });
    assert_eq!(job.name, "changed");
    check::clean(conn);
}

/// A03: of 32 threads one wins, each with a connection of its own, or all with one.
pub fn a03_one_of_many_threads_wins<D: Database>() {
    for size in [32, 1] {
        let database = D::migrated();
        let conn = &mut database.connect();
        let job = Job::new("a").create(conn).expect("created");
        let pool = database.pool(size);
        let results = race(32, |_, barrier| {
            let mut job = job.clone();
            let early = (size == 32).then(|| pool.get().expect("a connection"));
            barrier.wait();
            let mut conn = early.unwrap_or_else(|| pool.get().expect("a connection"));
            job.transition(Job::WORK, &mut conn).run()
        });
        assert_eq!(count_wins(results), 1, "with a pool of {size}");
        assert_eq!(check::rows::<D>(conn, "flowstate_transitions"), 2);
        check::clean(conn);
    }
}

/// A03, from two processes of 8 threads.
pub fn a03_one_of_two_processes_wins<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let job = Job::new("a").create(conn).expect("created");
    let words = format!("race {}", job.id());
    let ended = child::run_together::<D>(&[&words, &words], &database.url());
    let wins: Vec<usize> = ended.iter().map(|child| child.said[0].parse().expect("wins")).collect();
    assert_eq!(wins.iter().sum::<usize>(), 1, "{wins:?}");
    assert_eq!(check::rows::<D>(conn, "flowstate_transitions"), 2);
    check::clean(conn);
}

/// The child of the former.
pub fn race_in_child<D: Database>(id: i64, url: &str) {
    let conns: Vec<_> = (0..8).map(|_| std::sync::Mutex::new(D::connect_to(url))).collect();
    let job = Job::find(id, &mut *conns[0].lock().expect("a connection")).expect("found");
    child::wait_for_go();
    let results = race(8, |number, barrier| {
        let (mut job, mut conn) = (job.clone(), conns[number].lock().expect("a connection"));
        barrier.wait();
        job.transition(Job::WORK, &mut *conn).run()
    });
    child::say(&count_wins(results).to_string());
}

/// A19: order is by `seq`, even where the clock gives the same time.
pub fn a19_order_is_by_seq<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut job = Job::new("a").create(conn).expect("created");
    for _ in 0..3 {
        job.transition(Job::WORK, conn).run().expect("working");
        job.transition(Job::FAIL, conn).run().expect("failed");
    }
    conn.batch_execute(
        "UPDATE flowstate_transitions SET created_at = \
         (SELECT created_at FROM flowstate_flows WHERE id = flow_id)",
    )
    .expect("the same time");
    let history = job.history(conn).expect("the history");
    assert!(history.iter().all(|row| row.created_at == history[0].created_at));
    assert!(history.iter().map(|row| row.seq).eq(0..7));
    check::clean(conn);
}

/// A20: a state that the code does not know is reported and left alone; others go on.
pub fn a20_unknown_state_is_left_alone<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut stale = Job::new("a").create(conn).expect("created");
    let mut other = Job::new("b").create(conn).expect("created");
    let id = stale.id();
    // a newer program
    conn.batch_execute(&format!(
        "UPDATE flowstate_flows SET state = 'dancing', seq = 1 WHERE id = {id}; \
         INSERT INTO flowstate_transitions \
         (flow_id, seq, transition, from_state, to_state, attempt, token, created_at) \
         SELECT flow_id, 1, 'dance', 'open', 'dancing', attempt, token, created_at \
         FROM flowstate_transitions WHERE flow_id = {id}"
    ))
    .expect("moved");
    let name = refused!(Job::find(id, conn), Error::UnknownState { state, .. } => state);
    assert_eq!(name, "dancing");
    let before = check::sizes::<D>(conn);
    refused!(stale.transition(Job::WORK, conn).run(), Error::UnknownState { .. });
    refused!(stale.transition(Job::ABANDON, conn).run(), Error::UnknownState { .. });
    assert_eq!(check::sizes::<D>(conn), before);
    let stored = format!("SELECT state FROM flowstate_flows WHERE id = {id} AND seq = 1");
    assert_eq!(D::text(conn, &stored).as_deref(), Some("dancing"));
    assert_eq!((stale.state(), stale.seq()), (JobState::Open, 0), "as it was");

    let open =
        Job::list([JobState::Open], flowstate_diesel::Page::first(10), conn).expect("listed");
    assert!(open.iter().map(|job| job.id()).eq([other.id()]));
    other.transition(Job::WORK, conn).run().expect("the others go on");
    let counts = Job::count_by_state(u32::MAX, conn).expect("counted");
    let told: Vec<_> =
        counts.iter().map(|count| (&*count.state, count.records, count.is_known)).collect();
    assert_eq!(told, [("dancing", 1, false), ("working", 1, true)]);
    check::clean(conn);
}

/// A record that was moved in a transaction that somebody rolled back is no ground to stand on:
/// meanwhile the row may have taken another way to the same `seq`.
pub fn a_copy_from_a_rolled_back_transaction_is_not_trusted<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut moved = Job::new("a").create(conn).expect("created");
    let mut found = None;
    let undone = conn.transaction(|conn| {
        moved.transition(Job::PARK, conn).update(|job| "lie".clone_into(&mut job.name)).run()?;
        found = Some(Job::find(moved.id(), conn)?);
        Err::<(), _>(Error::from(diesel::result::Error::RollbackTransaction))
    });
    refused!(undone, Error::Database { .. });
    let mut found = found.expect("found");
    let mut real = Job::find(moved.id(), conn).expect("found");
    real.transition(Job::WORK, conn).run().expect("working");

    for lie in [&mut moved, &mut found] {
        stands_on_the_row(lie, conn);
    }
    check::clean(conn);
}

/// What was read in a savepoint of the caller's, in a transaction of ours, is not trusted after its rollback.
pub fn a_copy_from_a_rolled_back_savepoint_is_not_trusted<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut moved = Job::new("a").create(conn).expect("created");
    let mut real = Job::find(moved.id(), conn).expect("found");
    transaction(conn, |conn| {
        let undone = conn.transaction(|conn| {
            moved
                .transition(Job::PARK, conn)
                .update(|job| "lie".clone_into(&mut job.name))
                .run()?;
            Err::<(), _>(Error::from(diesel::result::Error::RollbackTransaction))
        });
        refused!(undone, Error::Database { .. });
        real.transition(Job::WORK, conn).run()
    })
    .expect("committed");
    stands_on_the_row(&mut moved, conn);
    check::clean(conn);
}

fn stands_on_the_row<C: flowstate_diesel::Store>(lie: &mut JobRecord, conn: &mut C) {
    let (state, seq) = (lie.state(), lie.seq());
    let lost = lie.transition(Job::WORK, conn).run();
    let found = refused!(lost, Error::InvalidTransition { found, .. } => found);
    assert_eq!(found, "working", "it believed {state} at {seq}");
    assert_eq!(lie.name, "a");
}
