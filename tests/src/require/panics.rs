//! A panic in the caller's code undoes its transaction and harms nobody else.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use diesel::connection::{SimpleConnection, TransactionManager};
use flowstate_diesel::prelude::*;
use flowstate_diesel::{Error, Store, transaction};

use crate::flows::{Job, JobRecord, JobState};
use crate::{Database, check};

/// Where a panic strikes.
#[derive(Clone, Copy, Debug)]
enum Place {
    Guard,
    Update,
    Within,
    Nested,
    Transaction,
}

const PLACES: [Place; 5] =
    [Place::Guard, Place::Update, Place::Within, Place::Nested, Place::Transaction];

/// Panics there, in a transition that has written already.
fn panic_in<C: Store + SimpleConnection>(place: Place, job: &mut JobRecord, conn: &mut C) {
    let write = |conn: &mut C| conn.batch_execute("INSERT INTO effects VALUES ('lost')");
    let request = |job: &mut JobRecord, conn: &mut C| {
        job.transition(Job::WORK, conn)
            .guard("write", |_, conn| {
                write(conn)?;
                assert!(!matches!(place, Place::Guard), "panic in a guard");
                Ok::<_, diesel::result::Error>(true)
            })
            .update(|_| assert!(!matches!(place, Place::Update), "panic in an update"))
            .within(|_, conn| {
                write(conn)?;
                conn.transaction(|conn| {
                    write(conn)?;
                    assert!(!matches!(place, Place::Nested), "panic in a savepoint");
                    Ok::<_, diesel::result::Error>(())
                })?;
                assert!(!matches!(place, Place::Within), "panic in within");
                Ok(())
            })
            .run()
    };
    let _ = transaction(conn, |conn| {
        request(job, conn)?;
        assert!(!matches!(place, Place::Transaction), "panic in a transaction");
        Ok::<_, Error>(())
    });
    unreachable!("it has panicked");
}

fn depth<C: Store>(conn: &mut C) -> Option<u32> {
    let status = C::TransactionManager::transaction_manager_status_mut(conn);
    status.transaction_depth().expect("a sound connection").map(Into::into)
}

fn unharmed<D: Database>(job: &mut JobRecord, conn: &mut D::Conn, place: Place) {
    assert_eq!(depth(conn), None, "{place:?}: not in an old transaction");
    assert_eq!((job.state(), job.seq()), (JobState::Open, 0), "{place:?}");
    let row = Job::find(job.id(), conn).expect("found");
    assert_eq!((row.state(), row.seq()), (JobState::Open, 0), "{place:?}");
    assert_eq!(check::rows::<D>(conn, "effects"), 0, "{place:?}");
    // the next transaction is really the outermost: its hook runs at its commit
    let (tell, told) = std::sync::mpsc::channel();
    let hook = move |_: &_| tell.send(());
    job.transition(Job::WORK, conn).after_commit(hook).run().expect("working");
    assert_eq!(told.try_recv(), Ok(()), "{place:?}");
    check::clean(conn);
}

/// A hook that panics harms nobody: the transition is committed, and the connection goes on.
fn hook_panics<D: Database>(conn: &mut D::Conn) {
    let mut job = Job::new("a").create(conn).expect("created");
    let hook = |_: &_| -> () { panic!("panic in a hook") };
    job.transition(Job::WORK, conn).after_commit(hook).run().expect("committed");
    let together = transaction(conn, |conn| {
        job.transition(Job::FAIL, conn).after_commit(hook).run()?;
        job.transition(Job::WORK, conn).after_commit(hook).run()
    });
    together.expect("committed");
    assert_eq!(depth(conn), None);
    let row = Job::find(job.id(), conn).expect("found");
    assert_eq!((row.state(), row.seq(), job.seq()), (JobState::Working, 3, 3));
    check::clean(conn);
}

/// A09: on a pooled connection, which goes back to its pool and on to the next user.
pub fn a09_panic_on_a_pooled_connection<D: Database>() {
    let database = D::migrated();
    check::make_effects(&mut database.connect());
    let pool = database.pool(1);
    // seen by this connection alone: a pool replaces one that is dropped by a panic
    pool.get().expect("it").batch_execute("CREATE TEMPORARY TABLE mine (id INT)").expect("made");
    for place in PLACES {
        let mut job =
            Job::new("a").create(&mut pool.get().expect("a connection")).expect("created");
        let mut conn = pool.get().expect("a connection");
        let caught = catch_unwind(AssertUnwindSafe(|| panic_in(place, &mut job, &mut *conn)));
        drop(conn);
        caught.expect_err("a panic");
        let conn = &mut pool.get().expect("the next user");
        assert_eq!(check::rows::<D>(conn, "mine"), 0, "{place:?}: the same connection");
        unharmed::<D>(&mut job, conn, place);
    }
    hook_panics::<D>(&mut pool.get().expect("a connection"));
}

/// A09: in a thread that dies of it, while it holds the connection.
pub fn a09_panic_ends_the_thread<D: Database>() {
    let database = D::migrated();
    check::make_effects(&mut database.connect());
    let pool = database.pool(1);
    for place in PLACES {
        let mut job =
            Job::new("a").create(&mut pool.get().expect("a connection")).expect("created");
        thread::scope(|scope| {
            let (job, pool) = (&mut job, &pool);
            let dies = scope.spawn(move || {
                let mut conn = pool.get().expect("a connection");
                panic_in(place, job, &mut *conn);
            });
            assert!(dies.join().is_err());
        });
        unharmed::<D>(&mut job, &mut pool.get().expect("the next user"), place);
    }
}

/// A10: on a bare connection, caught on its way.
pub fn a10_panic_on_a_bare_connection<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    check::make_effects(conn);
    for place in PLACES {
        let mut job = Job::new("a").create(conn).expect("created");
        let caught = catch_unwind(AssertUnwindSafe(|| panic_in(place, &mut job, conn)));
        let panic = caught.expect_err("a panic");
        let text = panic.downcast_ref::<&str>().map_or_else(String::new, ToString::to_string);
        assert!(text.starts_with("panic in"), "{place:?}: {text}");
        unharmed::<D>(&mut job, conn, place);
    }
    hook_panics::<D>(conn);
}
