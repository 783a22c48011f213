//! Conflicts are retried, by whoever opened the transaction.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use flowstate_diesel::prelude::*;
use flowstate_diesel::{BoxError, ConflictReason, Error, transaction};

use crate::flows::{Job, JobState};
use crate::{Database, check, refused};

/// A transaction that meets a conflict runs again as a whole, its hooks once.
pub fn a_transaction_is_retried_as_a_whole<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut first = Job::new("a").create(conn).expect("created");
    let mut second = Job::new("b").create(conn).expect("created");
    let mut other = database.impatient();
    let (tell, told) = std::sync::mpsc::channel();
    let mut tries = 0;
    transaction(conn, |conn| {
        tries += 1;
        let tell = tell.clone();
        first.transition(Job::WORK, conn).after_commit(move |_| tell.send(())).run()?;
        assert_eq!((first.seq(), second.seq()), (1, 0), "from the beginning");
        let id = first.id();
        second
            .transition(Job::WORK, conn)
            .within(|_, _| {
                let write = format!("UPDATE flowstate_flows SET attempts = 9 WHERE id = {id}");
                if tries == 1 {
                    other.batch_execute(&write)?;
                }
                Ok(())
            })
            .run()
    })
    .expect("committed");
    assert_eq!(tries, 2);
    assert_eq!((told.try_recv(), told.try_recv().is_err()), (Ok(()), true), "one hook");
    for job in [&first, &second] {
        assert_eq!((job.state(), job.seq()), (JobState::Working, 1));
        assert_eq!(job.history(conn).expect("the history").len(), 2);
    }
    check::clean(conn);
}

/// A doomed transaction cannot be saved by ignoring the conflict.
pub fn an_ignored_conflict_is_retried_all_the_same<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut job = Job::new("a").create(conn).expect("created");
    let mut other = database.impatient();
    let mut tries = 0;
    transaction(conn, |conn| {
        tries += 1;
        let id = job.id();
        let moved = job
            .transition(Job::WORK, conn)
            .guard("no conflict", |_, _| {
                let write = format!("UPDATE flowstate_flows SET attempts = 9 WHERE id = {id}");
                if tries == 1 {
                    other.batch_execute(&write)?;
                }
                Ok::<_, diesel::result::Error>(true)
            })
            .run();
        assert_eq!(moved.is_err(), tries == 1);
        Ok::<_, Error>(())
    })
    .expect("committed");
    assert_eq!((tries, job.seq()), (2, 1));
    check::clean(conn);
}

/// A conflict in a part of a transaction dooms the whole, even if the part is a savepoint whose
/// error is ignored; the retry is the outermost one's.
pub fn a_conflict_in_a_part_retries_the_whole<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut first = Job::new("a").create(conn).expect("created");
    let mut second = Job::new("b").create(conn).expect("created");
    let mut other = database.impatient();
    let (mut wholes, mut parts) = (0, 0);
    transaction(conn, |conn| {
        wholes += 1;
        first.transition(Job::WORK, conn).run()?;
        let id = first.id();
        let part = transaction(conn, |conn| {
            parts += 1;
            let write = format!("UPDATE flowstate_flows SET attempts = 9 WHERE id = {id}");
            let work = |_: &_, _: &mut _| {
                if parts == 1 {
                    other.batch_execute(&write)?;
                }
                Ok(())
            };
            second.transition(Job::WORK, conn).within(work).run()
        });
        if wholes == 1 {
            refused!(part, Error::Conflict { whole_transaction: true, tries: 1, .. });
            // from here to the end of the transaction nothing goes any more
            refused!(second.transition(Job::PARK, conn).run(), Error::Conflict { .. });
        } else {
            part?;
        }
        Ok::<_, Error>(())
    })
    .expect("committed");
    assert_eq!((wholes, parts), (2, 2));
    for job in [&first, &second] {
        assert_eq!((job.state(), job.seq()), (JobState::Working, 1));
    }
    check::clean(conn);
}

/// The tries are bounded, and the error says how many there were; a conflict is known as one, in the
/// box of another error too.
pub fn tries_are_bounded<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut job = Job::new("a").create(conn).expect("created");
    let conflict = || Error::Conflict {
        record: None,
        reason: ConflictReason::Deadlock,
        whole_transaction: true,
        tries: 1,
        waited: Duration::ZERO,
        source: diesel::result::Error::NotFound,
    };
    let mut runs = 0;
    let refused = transaction(conn, |conn| {
        runs += 1;
        job.transition(Job::WORK, conn).within(|_, _| Err::<(), _>(conflict().into())).run()
    });
    let boxed = transaction(conn, |_| {
        runs += 1;
        Err::<(), _>(BoxError::from(Mine(conflict())).into())
    });
    let mut told = 0;
    for refused in [refused, boxed] {
        let (tries, waited, reason) = refused!(
            refused,
            Error::Conflict { tries, waited, reason, whole_transaction: false, .. }
                => (tries, waited, reason)
        );
        // on a slow machine the time is over first
        assert!(
            tries == 20 || tries < 20 && waited >= Duration::from_secs(2),
            "{tries}, {waited:?}"
        );
        assert_eq!(reason, ConflictReason::Deadlock);
        told += tries;
    }
    assert_eq!(runs, told);
    assert_eq!((job.state(), job.seq()), (JobState::Open, 0));
    check::clean(conn);
}

/// An error of the caller's own.
#[derive(Debug)]
struct Mine(Error);

impl std::fmt::Display for Mine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("mine")
    }
}

impl std::error::Error for Mine {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}
