//! A24: deleting what is done, while flows finish, fail and resume.

use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use flowstate_diesel::prelude::*;
use flowstate_diesel::{Error, Purge, Result, transaction};
use serde_json::json;

use crate::flows::{Job, JobRecord, JobState, Measure, Note};
use crate::gate::Gate;
use crate::race::race;
#[cfg(any(feature = "mysql", feature = "postgres"))]
use crate::statement_probe::Probe;
use crate::tracing_capture::Capture;
use crate::{Database, check, refused};

/// So many threads make records and finish them, and as many purge.
const THREADS: usize = 3;
const RECORDS: usize = 20;

/// A move until nobody is in the way.
fn moved(mut act: impl FnMut() -> Result<()>) {
    loop {
        match act() {
            Err(Error::Conflict { .. }) => {}
            other => return other.expect("its record is there until it is finished"),
        }
    }
}

/// Through an error state and back.
fn to_half<D: Database>(job: &mut JobRecord, conn: &mut D::Conn) {
    moved(|| job.transition(Job::WORK, conn).run());
    moved(|| job.transition(Job::FAIL, conn).run());
    moved(|| job.transition(Job::WORK, conn).run());
    moved(|| job.transition(Job::NOTE, conn).persist(Note(json!("note"))).run());
}

/// A24: while flows finish and fail, only what is finished goes, each once and with its children.
pub fn a24_only_what_is_finished_is_purged<D: Database>() {
    let database = D::migrated();
    let purged = race(2 * THREADS, |number, barrier| {
        let conn = &mut database.connect();
        barrier.wait();
        let mut purged = 0;
        for round in 0..RECORDS {
            if number < THREADS {
                let mut made = None;
                moved(|| {
                    made = Some(Job::new("a").create(conn)?);
                    Ok(())
                });
                let mut job = made.expect("created");
                to_half::<D>(&mut job, conn);
                // the last one is left half-way
                if round + 1 < RECORDS {
                    moved(|| job.transition(Job::FINISH, conn).run());
                }
            } else {
                moved(|| {
                    purged += Purge::older_than(Duration::ZERO).batch(3).run(conn)?;
                    Ok(())
                });
            }
        }
        purged
    });
    let conn = &mut database.connect();
    let last = Purge::older_than(Duration::ZERO).run(conn).expect("purged");
    // a batch that was deleted before a conflict is not told
    let told = purged.into_iter().sum::<u64>() + last;
    assert!(told <= (THREADS * (RECORDS - 1)) as u64, "{told}");
    let left = i64::try_from(THREADS).expect("few");
    assert_eq!(check::sizes::<D>(conn), [left, 5 * left, left]);
    let half = Job::list([JobState::Half], flowstate_diesel::Page::first(100), conn);
    assert_eq!(half.expect("listed").len(), THREADS);
    check::clean(conn);
}

/// A24: a record that a newer program resumes, while the purge has chosen it already, stays.
pub fn a24_what_is_resumed_stays<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut job = Job::new("a").create(conn).expect("created");
    to_half::<D>(&mut job, conn);
    job.transition(Job::FINISH, conn).run().expect("finished");
    let id = job.id();
    let resume = format!(
        "UPDATE flowstate_flows SET state = 'half', seq = 6, completed_at = NULL WHERE id = {id}; \
         INSERT INTO flowstate_transitions (flow_id, seq, transition, from_state, to_state, \
         attempt, token, created_at) SELECT flow_id, 6, 'resume', 'done', 'half', attempt, \
         token, created_at FROM flowstate_transitions \
         WHERE flow_id = {id} AND seq = 0"
    );
    let ended = Gate::new();
    let purged = thread::scope(|scope| {
        let mut purge = None;
        let mut purging = Some(database.connect());
        transaction(conn, |conn| {
            conn.batch_execute(&resume)?;
            // one try: nobody is in the way of it
            let (mut purging, ended) = (purging.take().expect("one try"), &*ended);
            purge = Some(scope.spawn(move || {
                let purged = Purge::older_than(Duration::ZERO).run(&mut purging);
                ended.note();
                purged
            }));
            ended.wait_for_one(|| D::waiting_writers(conn) > 0);
            Ok::<_, Error>(())
        })
        .expect("resumed");
        purge.expect("started").join().expect("no panic")
    });
    assert_eq!(purged.expect("purged"), 0);
    assert_eq!(Job::find(id, conn).expect("found").state(), JobState::Half);
    check::clean(conn);
}

/// A24: by flow and by age, and as a part of the caller's transaction.
pub fn a24_a_purge_takes_what_it_is_told<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    for key in ["old", "new"] {
        let measure = Measure { values: vec![1.0] }.create_once(key, conn).expect("created");
        measure.into_record().transition(Measure::END, conn).run().expect("ended");
    }
    let mut job = Job::new("a").create(conn).expect("created");
    to_half::<D>(&mut job, conn);
    job.transition(Job::FINISH, conn).run().expect("finished");
    let past =
        "UPDATE flowstate_flows SET completed_at = '2001-01-01 00:00:00.000000' WHERE id = 1";
    conn.batch_execute(past).expect("long ago");

    let (day, ages) = (Duration::from_hours(24), Duration::MAX);
    assert_eq!(Purge::older_than(ages).run(conn).expect("purged"), 0);
    assert_eq!(Purge::older_than(day).of::<Job>().run(conn).expect("purged"), 0);
    assert_eq!(Purge::older_than(day).run(conn).expect("purged"), 1);
    assert!(Measure::find_by_key("old", conn).expect("searched").is_none());

    let now = Purge::older_than(Duration::ZERO).of::<Measure>();
    let undone = transaction(conn, |conn| {
        assert_eq!(now.run(conn)?, 1);
        Err::<(), Error>(diesel::result::Error::RollbackTransaction.into())
    });
    undone.expect_err("rolled back");
    assert!(Measure::find_by_key("new", conn).expect("searched").is_some());
    assert_eq!(now.run(conn).expect("purged"), 1);
    assert_eq!(check::sizes::<D>(conn), [1, 6, 1]);
    check::clean(conn);
}

/// A table of the user's own that refers to records.
const INVOICES: &str = "CREATE TABLE invoices (flow BIGINT NOT NULL, \
     FOREIGN KEY (flow) REFERENCES flowstate_flows (id))";

fn ended<D: Database>(conn: &mut D::Conn) -> i64 {
    let mut measure = Measure { values: vec![1.0] }.create(conn).expect("created");
    measure.transition(Measure::END, conn).run().expect("ended");
    measure.id()
}

/// A24: what the database does not let go stays, is told once in the database's own words, and keeps
/// nothing else.
pub fn a24_a_record_that_must_stay_keeps_nothing_else<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    conn.batch_execute(INVOICES).expect("a table");
    for (batch, bad) in [(100, [0, 5]), (1, [0, 1]), (3, [4, 9])] {
        let ids: Vec<_> = (0..10).map(|_| ended::<D>(conn)).collect();
        let bad = bad.map(|at| ids[at]);
        for id in bad {
            let refer = format!("INSERT INTO invoices (flow) VALUES ({id})");
            conn.batch_execute(&refer).expect("an invoice");
        }
        let capture = Capture::default();
        let purged = tracing::subscriber::with_default(capture.clone(), || {
            let all = Purge::older_than(Duration::ZERO).batch(batch).run(conn);
            // and as a part of the caller's transaction
            let undone = transaction(conn, |conn| {
                assert_eq!(Purge::older_than(Duration::ZERO).run(conn)?, 0);
                Err::<(), Error>(diesel::result::Error::RollbackTransaction.into())
            });
            refused!(undone, Error::Database { .. });
            all
        });
        assert_eq!(purged.expect("purged"), 8);
        let told = capture.captured();
        let told = told.iter().filter(|told| told.what == "a record could not be purged");
        let told: Vec<_> = told.map(|told| (&*told.fields["id"], &told.fields["error"])).collect();
        for id in bad {
            let id = id.to_string();
            let mut words = told.iter().filter(|(told, _)| *told == id).map(|(_, words)| words);
            assert!(words.next().is_some_and(|words| words.to_lowercase().contains("foreign key")));
            assert_eq!(words.count(), 1, "once by each purge: {told:?}");
        }
        assert_eq!(check::rows::<D>(conn, "flowstate_flows"), 2);
        check::clean(conn);
        conn.batch_execute("DELETE FROM invoices").expect("deleted");
        assert_eq!(Purge::older_than(Duration::ZERO).run(conn).expect("purged"), 2);
    }
}

/// A24: a record to which an open transaction refers is passed over, as one that is locked: nobody
/// waits for its end.
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub fn a24_what_others_refer_to_is_passed_over<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    conn.batch_execute(INVOICES).expect("a table");
    let ids = [(); 3].map(|()| ended::<D>(conn));
    let other = &mut database.connect();
    let undone = transaction(other, |other| {
        other.batch_execute(&format!("INSERT INTO invoices (flow) VALUES ({})", ids[1]))?;
        assert_eq!(Purge::older_than(Duration::ZERO).run(conn)?, 2);
        Err::<(), Error>(diesel::result::Error::RollbackTransaction.into())
    });
    refused!(undone, Error::Database { .. });
    assert_eq!(Purge::older_than(Duration::ZERO).run(conn).expect("purged"), 1);
    assert_eq!(check::sizes::<D>(conn), [0, 0, 0]);
}

/// A24: a row of the user's that goes with a record, and that somebody has locked, keeps the record
/// and nothing else. The server by itself would wait for it for ever, or for 50 seconds.
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub fn a24_a_purge_waits_for_nobody_for_long<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let notes = "CREATE TABLE notes (flow BIGINT NOT NULL, \
                 FOREIGN KEY (flow) REFERENCES flowstate_flows (id) ON DELETE CASCADE)";
    conn.batch_execute(notes).expect("a table");
    let ids = [(); 2].map(|()| ended::<D>(conn));
    conn.batch_execute(&format!("INSERT INTO notes VALUES ({})", ids[0])).expect("a note");
    let other = &mut database.connect();
    let undone = transaction(other, |other| {
        other.batch_execute("SELECT 1 FROM notes FOR UPDATE")?;
        assert_eq!(Purge::older_than(Duration::ZERO).run(conn)?, 1);
        Err::<(), Error>(diesel::result::Error::RollbackTransaction.into())
    });
    refused!(undone, Error::Database { .. });
    assert_eq!(Purge::older_than(Duration::ZERO).run(conn).expect("purged"), 1);
}

/// P12: however many records wait, or were completed of late, a purge reads only what it deletes.
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub fn p12_a_purge_reads_what_it_deletes<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let row = |flow: &str, state: &str, completed_at: &str| {
        format!(
            "INSERT INTO flowstate_flows \
             (flow, state, seq, props, attempts, completed_at, created_at, updated_at) \
             VALUES ('{flow}', '{state}', 0, '{{}}', 0, {completed_at}, '2026-01-01', '2026-01-01')"
        )
    };
    let now = if D::FOLDER == "mysql" { "UTC_TIMESTAMP(6)" } else { "clock_timestamp()" };
    for (flow, state, completed_at) in
        [("job", "half", "NULL"), ("job", "done", now), ("other", "done", "'2001-01-01'")]
    {
        conn.batch_execute(&row(flow, state, completed_at)).expect("a row");
    }
    // three of them, and twice as many each time: 24,576
    let again = "INSERT INTO flowstate_flows \
         (flow, state, seq, props, attempts, completed_at, created_at, updated_at) \
         SELECT flow, state, seq, props, attempts, completed_at, created_at, updated_at \
         FROM flowstate_flows";
    for _ in 0..13 {
        conn.batch_execute(again).expect("twice as many");
    }
    for _ in 0..3 {
        conn.batch_execute(&row("job", "done", "'2001-01-01'")).expect("an old one");
    }
    let (probe, kept) = Probe::recording();
    let conn = &mut D::probed_pool(&database.url(), 1, probe).get().expect("a connection");
    let purge = Purge::older_than(Duration::from_hours(24)).of::<Job>();
    let before = if D::FOLDER == "mysql" { check::rows_read::<D>(conn) } else { 0 };
    assert_eq!(purge.run(conn).expect("purged"), 3);
    let read = if D::FOLDER == "mysql" {
        check::rows_read::<D>(conn) - before
    } else {
        let kept = kept.take();
        let search = kept.iter().find(|text| text.contains("completed_at >= ")).expect("a search");
        let (text, _) = search.split_once(" -- ").expect("its binds");
        let asked = ["'job'", "'1000-01-01'", "86400000000", "'1000-01-01'", "0", "100"];
        let filled = (1..).zip(asked);
        let text =
            filled.fold(text.to_owned(), |text, (at, bind)| text.replace(&format!("${at}"), bind));
        check::blocks::<D>(conn, &text)
    };
    assert!(read < 500, "{read}");
}
