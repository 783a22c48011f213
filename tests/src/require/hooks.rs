//! Hooks run after the outermost commit, and never else.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::mpsc::channel;

use diesel::Connection;
use diesel::connection::SimpleConnection;
use flowstate_diesel::prelude::*;
use flowstate_diesel::{BoxError, Error, transaction};

use crate::flows::{Job, JobRecord, JobState};
use crate::{Database, check, refused};

/// What hooks have done, in order.
#[derive(Clone, Default)]
struct Done(Rc<RefCell<Vec<&'static str>>>);

impl Done {
    fn hook(&self, what: &'static str) -> impl FnOnce(&flowstate::Record<Job>) + 'static {
        let done = self.clone();
        move |_| done.0.borrow_mut().push(what)
    }

    fn told(&self) -> Vec<&'static str> {
        self.0.borrow().clone()
    }
}

fn panics(_: &flowstate::Record<Job>) {
    panic!("the hook panics");
}

fn two<D: Database>(conn: &mut D::Conn) -> [JobRecord; 2] {
    ["a", "b"].map(|name| Job::new(name).create(conn).expect("created"))
}

/// A07: a hook that fails or panics does not look like a failed transition.
pub fn a07_failing_hook_leaves_it_committed<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut job = Job::new("a").create(conn).expect("created");
    let done = Done::default();
    job.transition(Job::WORK, conn)
        .after_commit(|_| Err::<(), BoxError>("no".into()))
        .after_commit(panics)
        .after_commit(done.hook("the others run all the same"))
        .run()
        .expect("committed");
    assert_eq!(job.state(), JobState::Working);
    assert_eq!(done.told().len(), 1);

    transaction(conn, |conn| {
        job.transition(Job::FAIL, conn)
            .after_commit(panics)
            .after_commit(done.hook("in a transaction too"))
            .run()
    })
    .expect("committed");
    assert_eq!((job.state(), job.seq(), done.told().len()), (JobState::Broken, 2, 2));
    let found = Job::find(job.id(), conn).expect("found");
    assert_eq!((found.state(), found.seq()), (JobState::Broken, 2), "and not retried");
    check::clean(conn);
}

/// A08: a hook may move the same record: no lock is held any more.
pub fn a08_hook_moves_the_same_record<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut job = Job::new("a").create(conn).expect("created");
    let mut other = database.impatient();
    let (tell, told) = channel();
    job.transition(Job::WORK, conn)
        .after_commit(move |job| {
            let mut job = Job::find(job.id(), &mut other)?;
            job.transition(Job::FAIL, &mut other)
                .after_commit(move |job| tell.send(job.state()))
                .run()
        })
        .run()
        .expect("working");
    assert_eq!(told.recv(), Ok(JobState::Broken));
    job.reload(conn).expect("reloaded");
    assert_eq!((job.state(), job.seq()), (JobState::Broken, 2));
    check::clean(conn);
}

/// In a transaction hooks wait for its commit, and then run in order.
pub fn hooks_wait_for_the_commit_and_run_in_order<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let [mut a, mut b] = two::<D>(conn);
    let done = Done::default();
    transaction(conn, |conn| {
        a.transition(Job::WORK, conn).after_commit(done.hook("first")).run()?;
        transaction(conn, |conn| {
            b.transition(Job::WORK, conn).after_commit(done.hook("second")).run()
        })?;
        assert!(done.told().is_empty(), "not after the inner commit");
        conn.transaction(|conn| {
            a.transition(Job::FAIL, conn)
                .after_commit(done.hook("third"))
                .after_commit(done.hook("fourth"))
                .run()
        })?;
        assert!(done.told().is_empty());
        Ok::<_, Error>(())
    })
    .expect("committed");
    assert_eq!(done.told(), ["first", "second", "third", "fourth"]);
    check::clean(conn);
}

/// The hooks of a request inside `within` belong to the transaction round it.
pub fn hooks_within_wait_for_the_outermost_commit<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let [mut outer, mut inner] = two::<D>(conn);
    let done = Done::default();
    outer
        .transition(Job::WORK, conn)
        .within(|_, conn| {
            inner.transition(Job::WORK, conn).after_commit(done.hook("inner")).run()?;
            assert!(done.told().is_empty());
            Ok(())
        })
        .after_commit(done.hook("outer"))
        .run()
        .expect("both");
    assert_eq!(done.told(), ["inner", "outer"]);

    let failed = outer
        .transition(Job::FAIL, conn)
        .within(|_, conn| {
            inner.transition(Job::FAIL, conn).after_commit(done.hook("never")).run()?;
            Err::<(), _>("no".into())
        })
        .after_commit(done.hook("never"))
        .run();
    refused!(failed, Error::Within { .. });
    assert_eq!(done.told().len(), 2);
    for job in [&outer, &inner] {
        assert_eq!((job.state(), job.seq()), (JobState::Working, 1));
        assert_eq!(Job::find(job.id(), conn).expect("found").seq(), 1);
    }
    check::clean(conn);
}

/// A nested request that is refused may be handled: the outer one goes on.
pub fn a_refused_request_within_may_be_handled<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let [mut outer, mut inner] = two::<D>(conn);
    outer
        .transition(Job::WORK, conn)
        .within(|_, conn| {
            let refused = inner.transition(Job::FINISH, conn).persist(()).run();
            refused!(refused, Error::InvalidTransition { .. });
            Ok(inner.transition(Job::PARK, conn).run()?)
        })
        .run()
        .expect("both");
    assert_eq!((outer.state(), inner.state()), (JobState::Working, JobState::Parked));
    check::clean(conn);
}

/// Moving the same record inside its own `within` is refused, and nothing is kept.
pub fn a_record_cannot_move_within_its_own_move<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut job = Job::new("a").create(conn).expect("created");
    let moved = job
        .transition(Job::WORK, conn)
        .within(|job, conn| {
            let mut copy = Job::find(job.id(), conn)?;
            Ok(copy.transition(Job::PARK, conn).run()?)
        })
        .run();
    let found = refused!(moved, Error::InvalidTransition { found, .. } => found);
    assert_eq!(found, "parked");
    assert_eq!((job.state(), job.seq()), (JobState::Open, 0));
    assert_eq!(Job::find(job.id(), conn).expect("found").seq(), 0);
    check::clean(conn);
}

/// In a transaction opened elsewhere nobody would know when hooks may run; without hooks a request
/// joins it.
pub fn hooks_are_refused_in_a_foreign_transaction<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut job = Job::new("a").create(conn).expect("created");
    conn.transaction(|conn| {
        let done = Done::default();
        let refused = job.transition(Job::WORK, conn).after_commit(done.hook("never")).run();
        refused!(refused, Error::HooksInForeignTransaction { transition: "work", .. });
        let inside = transaction(conn, |conn| {
            job.transition(Job::WORK, conn).after_commit(done.hook("never")).run()
        });
        refused!(inside, Error::HooksInForeignTransaction { .. });
        assert_eq!((job.state(), done.told().len()), (JobState::Open, 0));
        job.transition(Job::WORK, conn).run()
    })
    .expect("committed");
    assert_eq!(Job::find(job.id(), conn).expect("found").state(), JobState::Working);
    check::clean(conn);
}

/// A transaction that failed runs no hook, whatever became of it.
pub fn no_hook_runs_after_a_rollback<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut job = Job::new("a").create(conn).expect("created");
    let done = Done::default();
    let ignored = transaction(conn, |conn| {
        job.transition(Job::WORK, conn).after_commit(done.hook("never")).run()?;
        let _ = conn.batch_execute("INSERT INTO no_such_table VALUES (1)");
        Ok::<_, Error>(())
    });
    refused!(ignored, Error::FailureIgnored { .. });
    refused!(
        job.transition(Job::WORK, conn)
            .guard("no", |_, _| false)
            .after_commit(done.hook("no"))
            .run(),
        Error::GuardRejected { .. }
    );
    job.transition(Job::WORK, conn).run().expect("working, without the hook of the former try");
    assert!(done.told().is_empty());
    assert_eq!(job.seq(), 1);
}
