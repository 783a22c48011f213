//! Code of others in odd places: destructors that use this crate, errors that do not end.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::{error, fmt};

use diesel::Connection;
use flowstate_diesel::prelude::*;
use flowstate_diesel::{Error, transaction};

use crate::flows::{Job, JobState};
use crate::{Database, check, refused};

/// What a hook has captured: when it is dropped, it moves a record of another connection.
struct Captured<D: Database> {
    conn: D::Conn,
    id: i64,
    moved: Arc<AtomicUsize>,
}

impl<D: Database> Drop for Captured<D> {
    fn drop(&mut self) {
        let mut job = Job::find(self.id, &mut self.conn).expect("found");
        let moved = job.transition(Job::PARK, &mut self.conn).after_commit(|_| ()).run();
        if moved.is_ok() {
            self.moved.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// A hook that will never run is dropped when nothing is locked or borrowed any more: a destructor
/// may use this crate, and write.
pub fn an_undone_hook_is_dropped_at_the_end<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let moved = Arc::new(AtomicUsize::new(0));
    let mut job = Job::new("a").create(conn).expect("created");
    let mut captured = || {
        let id = Job::new("other").create(conn).expect("created").id();
        Captured::<D> { conn: database.connect(), id, moved: Arc::clone(&moved) }
    };
    let [first, second, third, fourth] = [(); 4].map(|()| captured());

    // undone by a savepoint of the caller, and by one of ours
    let mut captured = Some(first);
    let other = transaction(conn, |conn| {
        let undone = conn.transaction(|conn| {
            let captured = captured.take();
            job.transition(Job::WORK, conn).after_commit(move |_| drop(captured)).run()?;
            Err::<(), Error>(diesel::result::Error::RollbackTransaction.into())
        });
        refused!(undone, Error::Database { .. });
        assert_eq!(moved.load(Ordering::SeqCst), 0, "the transaction is open");
        Job::new("b").create(conn)
    })
    .expect("committed");
    assert_eq!(moved.load(Ordering::SeqCst), 1);
    assert_eq!(other.seq(), 0);

    let mut captured = Some(second);
    transaction(conn, |conn| {
        let undone = transaction(conn, |conn| {
            let captured = captured.take();
            job.transition(Job::WORK, conn).after_commit(move |_| drop(captured)).run()?;
            Err::<(), Error>(diesel::result::Error::RollbackTransaction.into())
        });
        refused!(undone, Error::Database { .. });
        Job::new("c").create(conn)
    })
    .expect("committed");
    assert_eq!(moved.load(Ordering::SeqCst), 2);

    // with the whole transaction: by an error, and by a panic
    let mut captured = Some(third);
    let undone = transaction(conn, |conn| {
        let captured = captured.take();
        job.transition(Job::WORK, conn).after_commit(move |_| drop(captured)).run()?;
        Err::<(), Error>(diesel::result::Error::RollbackTransaction.into())
    });
    refused!(undone, Error::Database { .. });
    assert_eq!(moved.load(Ordering::SeqCst), 3);
    let mut captured = Some(fourth);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        transaction(conn, |conn| -> Result<(), Error> {
            let captured = captured.take();
            job.transition(Job::WORK, conn).after_commit(move |_| drop(captured)).run()?;
            panic!("in the closure");
        })
    }));
    panicked.expect_err("it panicked");
    assert_eq!(moved.load(Ordering::SeqCst), 4);
    assert_eq!(Job::find(job.id(), conn).expect("found").state(), JobState::Open);
    check::clean(conn);
}

/// A destructor that panics.
struct Bomb(Arc<AtomicBool>);

impl Drop for Bomb {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
        assert!(std::thread::panicking(), "a destructor that panics");
    }
}

/// After the commit no panic of others makes a transition look as if it had failed: not that of a
/// hook's destructor, nor that of what another panic carries.
pub fn a_panic_after_the_commit_changes_nothing<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let dropped = Arc::new(AtomicBool::new(false));
    let mut job = Job::new("a").create(conn).expect("created");
    let bomb = Bomb(Arc::clone(&dropped));
    transaction(conn, |conn| {
        let mut bomb = Some(Bomb(Arc::clone(&bomb.0)));
        let undone = conn.transaction(|conn| {
            let bomb = bomb.take();
            job.transition(Job::PARK, conn).after_commit(move |_| drop(bomb)).run()?;
            Err::<(), Error>(diesel::result::Error::RollbackTransaction.into())
        });
        refused!(undone, Error::Database { .. });
        job.transition(Job::WORK, conn).run()
    })
    .expect("committed");
    assert!(dropped.swap(false, Ordering::SeqCst));
    job.transition(Job::FAIL, conn)
        .after_commit(move |_| std::panic::panic_any(bomb))
        .run()
        .expect("committed");
    assert!(dropped.load(Ordering::SeqCst));
    assert_eq!((job.state(), job.seq()), (JobState::Broken, 2));
    check::clean(conn);
}

/// An error that is its own source, and one whose text does not end.
#[derive(Debug)]
struct Ring;

impl fmt::Display for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("mine")
    }
}

impl error::Error for Ring {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(self)
    }
}

#[derive(Debug)]
struct Endless;

impl fmt::Display for Endless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        loop {
            f.write_str("on and ")?;
        }
    }
}

impl error::Error for Endless {}

/// An error that does not end is cut: in guards, in `within`, in hooks and in the history.
pub fn an_error_without_an_end_is_cut<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut job = Job::new("a").create(conn).expect("created");
    refused!(
        job.transition(Job::WORK, conn).guard("no", |_, _| Err(Ring)).run(),
        Error::Guard { .. }
    );
    refused!(
        job.transition(Job::WORK, conn).within(|_, _| Err::<(), _>(Ring.into())).run(),
        Error::Within { .. }
    );
    job.transition(Job::WORK, conn).after_commit(|_| Err::<(), _>(Ring)).run().expect("working");
    job.transition(Job::FAIL, conn).error(Ring).run().expect("failed");
    job.transition(Job::WORK, conn)
        .after_commit(|_| Err::<(), _>(Endless))
        .error(Endless)
        .run()
        .expect("working");
    let errors = job.history(conn).expect("read").into_iter().filter_map(|entry| entry.error);
    let errors: Vec<_> = errors.collect();
    assert!(errors[0].starts_with("mine: mine: mine"), "{}", errors[0]);
    assert!(errors[1].starts_with("on and on and "), "{}", errors[1]);
    assert!(errors.iter().all(|error| error.len() <= 8 * 1024));
}

/// What a thread leaves to the destructors of its thread-locals.
struct Late(Box<dyn FnOnce()>);

struct Last(RefCell<Option<Late>>);

impl Drop for Last {
    fn drop(&mut self) {
        if let Some(Late(act)) = self.0.take() {
            act();
        }
    }
}

thread_local! {
    static LAST: Last = const { Last(RefCell::new(None)) };
}

/// A thread-local whose destructor uses this crate, after this crate's own are gone, gets an answer
/// and no panic, which would end the process.
pub fn the_destructor_of_a_thread_local_gets_an_answer<D: Database>() {
    let database = D::migrated();
    let id = Job::new("a").create(&mut database.connect()).expect("created").id();
    let (tell, told) = std::sync::mpsc::channel();
    let (url, mut conn) = (database.url(), database.connect());
    std::thread::spawn(move || {
        LAST.with(|last| {
            let act = move || {
                let conn = &mut D::connect_to(&url);
                let found = Job::find(id, conn).map(|job| job.state());
                let moved = transaction(conn, |conn| Job::new("late").create(conn)).map(drop);
                tell.send((found, moved)).expect("the test waits");
            };
            last.0.replace(Some(Late(Box::new(act))));
        });
        let mut job = Job::find(id, &mut conn).expect("found");
        transaction(&mut conn, |conn| job.transition(Job::WORK, conn).run()).expect("working");
    })
    .join()
    .expect("no panic");
    let (found, moved) = told.recv().expect("told");
    assert_eq!(found.expect("found"), JobState::Working);
    refused!(moved, Error::Database { .. });
    let conn = &mut database.connect();
    assert_eq!(check::sizes::<D>(conn), [1, 2, 0]);
}
