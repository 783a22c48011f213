//! What Galera and Group Replication answer to a transaction that met another one on another node, as
//! far as one server can be made to seem to say it.

use flowstate_diesel::prelude::*;
use flowstate_diesel::{BoxError, ConflictReason, Error};
use flowstate_tests::flows::{Job, JobRecord, JobState};
use flowstate_tests::proxy::Proxy;
use flowstate_tests::{check, refused};

use super::Server;

const DEADLOCK: (u16, &str) =
    (1213, "Deadlock found when trying to get lock; try restarting transaction");
const OUTSIDE: (u16, &str) = (1047, "WSREP has not yet prepared node for application use");

/// How a record is moved: on the fast path, and with a closure.
fn moves<D: Server>(
    job: &mut JobRecord,
    with_closure: bool,
    conn: &mut D::Conn,
) -> Result<(), Error> {
    let request = job.transition(Job::WORK, conn);
    if with_closure {
        return request.within(|_, _| Ok::<_, BoxError>(())).run();
    }
    request.run()
}

/// A transaction that is refused when it commits is made again, and so is one of which Galera says the
/// same once more when it is rolled back.
pub(crate) fn m11_what_certification_refuses_is_made_again<D: Server>() {
    let database = D::migrated();
    let proxy = Proxy::start(&D::address());
    let conn = &mut D::connect_to(&database.url_through(proxy.port()));
    let commit = D::LAST_WORDS;
    for (refused, with_closure) in [
        (vec![commit], false),
        (vec![commit, "ROLLBACK"], false),
        (vec![commit], true),
        (vec![commit, "ROLLBACK"], true),
    ] {
        let mut job = Job::new("a").create(conn).expect("created");
        for words in &refused {
            proxy.refuse(words, DEADLOCK.0, DEADLOCK.1);
        }
        moves::<D>(&mut job, with_closure, conn).expect("working");
        assert_eq!(proxy.refusals(), 0, "{refused:?}");
        assert_eq!((job.state(), job.seq()), (JobState::Working, 1));
    }
    check::clean(&mut database.connect());
}

/// A node that has lost the others while it refused a transaction takes nothing any more, not even a
/// rollback: it is told that the transaction met another one, and not what became of the connection.
pub(crate) fn m11_a_conflict_on_a_lost_node_is_one<D: Server>() {
    let database = D::migrated();
    let proxy = Proxy::start(&D::address());
    for with_closure in [false, true] {
        let mut conn = D::connect_to(&database.url_through(proxy.port()));
        let mut job = Job::new("a").create(&mut conn).expect("created");
        proxy.refuse(D::LAST_WORDS, DEADLOCK.0, DEADLOCK.1);
        proxy.refuse("ROLLBACK", OUTSIDE.0, OUTSIDE.1);
        let moved = moves::<D>(&mut job, with_closure, &mut conn);
        let tries = refused!(moved, Error::Conflict { reason: ConflictReason::Deadlock, tries, .. } => tries);
        assert_eq!((tries, job.state()), (1, JobState::Open));
        // the server believes that the transaction is open, as nobody has told it otherwise
        drop(conn);
        moves::<D>(&mut job, with_closure, &mut database.connect())
            .expect("working, on another one");
    }
    check::clean(&mut database.connect());
}
