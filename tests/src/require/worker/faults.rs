//! Faults of the user's code and data, which cost a try and nothing else.

use std::time::Duration;

use diesel::Connection;
use diesel::connection::{SimpleConnection, TransactionManager};
use flowstate_diesel::operator::{self, Filter, Stuck};
use flowstate_diesel::{StepError, Worker, claim_next, prelude::*, testing};
use serde_json::json;

use crate::check::{self, clean};
use crate::flows::{
    Receipt, Response, Round, RoundState, RoundWorkOutcome, Sync, SyncState, Touchy,
};
use crate::steps::picked;
use crate::{Database, fetch_step, pay_step, save_step};

/// A handler that panics costs no thread, whatever it panics with and wherever: its own code, the
/// writing of what it returns, the reading of what it is given.
pub fn a_panic_keeps_the_thread<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let panics = ["text", "number", "writing", "reading", "loading", "fine"];
    let ids: Vec<_> =
        panics.iter().map(|_| Round::new().create(conn).expect("created").id()).collect();
    let sql =
        format!("UPDATE flowstate_flows SET props = '{{\"touchy\":2}}' WHERE id = {}", ids[3]);
    conn.batch_execute(&sql).expect("unreadable");
    let first = ids[0];
    let stats = Worker::new(database.pool(2))
        .step(Round::WORK, move |claim, ()| match claim.id() - first {
            0 => panic!("a text"),
            1 => std::panic::panic_any(7),
            2 => Ok(RoundWorkOutcome::Worked(Receipt { touchy: Touchy(1), ..Receipt::new() })),
            4 => Ok(RoundWorkOutcome::Worked(Receipt { cents: vec![99], ..Receipt::new() })),
            _ => Ok(RoundWorkOutcome::Worked(Receipt::new())),
        })
        .threads(1)
        .run_until_idle()
        .expect("ran");
    assert_eq!((stats.failed, stats.finished, stats.running), (4, 2, 0));
    let error = |conn: &mut D::Conn, at: usize| {
        let id = ids[at];
        let sql = format!(
            "SELECT error FROM flowstate_transitions WHERE flow_id = {id} AND error IS NOT NULL"
        );
        D::text(conn, &sql).expect("an error")
    };
    assert_eq!(error(conn, 0), "the handler panicked: a text");
    assert_eq!(error(conn, 1), "the handler panicked: no text");
    assert!(error(conn, 2).contains("touched while writing"));
    assert!(error(conn, 3).contains("touched while reading"));
    // what is loaded, in both kinds of steps
    let sql = "UPDATE flowstate_artefacts SET payload = '{\"cents\":[1],\"touchy\":2}'";
    conn.batch_execute(&format!("{sql} WHERE flow_id = {}", ids[4])).expect("unreadable");
    conn.batch_execute(&format!("{sql} WHERE flow_id = {}", ids[5])).expect("unreadable");
    let stats = Worker::new(database.pool(2))
        .step(pay_step!().concurrency(1), |_, _| Ok(()))
        .run_until_idle()
        .expect("ran");
    assert_eq!((stats.failed, stats.running), (2, 0));
    testing::make_everything_due(conn).expect("due");
    let stats = Worker::new(database.pool(2))
        .transactional_step(pay_step!(), |_, _, _| Ok(()))
        .run_until_idle()
        .expect("ran");
    assert_eq!((stats.failed, stats.running), (2, 0));
    clean(conn);
}

type Manager<D> = <<D as Database>::Conn as Connection>::TransactionManager;

/// A09: a transactional handler that panics after it has written has failed: nothing of it is kept,
/// and whoever gets its connection next is in no transaction of it.
pub fn a09_a_handler_that_panics_after_writing<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    check::make_effects(conn);
    let id = picked::<D>(conn, "a");
    let pool = database.pool(1);
    let stats = Worker::new(pool.clone())
        .step(fetch_step!(), |_, ()| Ok(Response(json!(1))))
        .transactional_step(save_step!(), |_, _, conn| -> Result<(), StepError> {
            conn.transaction(|conn| {
                conn.batch_execute("INSERT INTO effects VALUES ('kept')")?;
                panic!("after writing")
            })
        })
        .threads(2)
        .run_until_idle()
        .expect("ran");
    assert_eq!((stats.finished, stats.failed, stats.running), (1, 1, 0));
    let mut next = pool.get().expect("a connection");
    let manager = Manager::<D>::transaction_manager_status_mut(&mut *next);
    assert_eq!(manager.transaction_depth().expect("a sound connection"), None);
    next.batch_execute("INSERT INTO effects VALUES ('next')").expect("by itself");
    assert_eq!(check::rows::<D>(conn, "effects"), 1, "committed at once, and alone");
    let flow = Sync::find(id, conn).expect("found");
    assert_eq!((flow.state(), flow.attempt()), (SyncState::FailedToSave, 2));
    let history = flow.history(conn).expect("the history");
    let error = history.last().and_then(|row| row.error.as_deref());
    assert_eq!(error, Some("the handler panicked: after writing"));
    clean(conn);
}

/// What this program cannot read is left to one that can: no try is counted, nothing ends in an error
/// state, and the history has the place.
pub fn what_cannot_be_read_is_left_to_others<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut props = Sync::new("a").create(conn).expect("created");
    props.transition(Sync::PICK, conn).run().expect("picked");
    let sql = "UPDATE flowstate_flows SET props = '{\"record_id\":1}'";
    conn.batch_execute(sql).expect("unreadable");
    for transactional in [false, true] {
        let mut round = Round::new().create(conn).expect("created");
        round
            .transition(Round::START_WORK, conn)
            .then(Round::FINISH_WORK)
            .persist(Receipt::new())
            .run()
            .expect("worked");
        let sql = "UPDATE flowstate_artefacts SET payload = '{\"cents\":[1,\"x\"],\"touchy\":0}'";
        conn.batch_execute(sql).expect("unreadable");
        let worker = Worker::new(database.pool(2)).step(fetch_step!(), |_, ()| unreachable!());
        let worker = if transactional {
            worker.transactional_step(pay_step!(), |_, _, _| -> Result<(), StepError> {
                unreachable!()
            })
        } else {
            worker.step(pay_step!(), |_, _| unreachable!())
        };
        worker.run_until_idle().expect("ran");
        round.reload(conn).expect("read");
        assert_eq!((round.state(), round.attempt()), (RoundState::Worked, 1));
        assert!(round.due_at().is_some());
        let history = round.history(conn).expect("the history");
        let error = history.last().and_then(|row| row.error.clone()).expect("an error");
        assert!(error.contains("cents[1]"), "the path: {error}");
    }
    let error = "SELECT error FROM flowstate_transitions WHERE error LIKE '%record_id%'";
    assert!(D::text(conn, error).is_some(), "the path in the props");
    let due = "SELECT COUNT(*) FROM flowstate_flows WHERE due_at IS NOT NULL AND attempts = 0";
    assert_eq!(D::number(conn, due), 3);
    clean(conn);
}

/// What this program cannot read a worker claims once: then it stays due for those that can, nothing is
/// written, and operators see that it is stuck. It is claimed again when it can be read.
pub fn what_cannot_be_read_is_claimed_once<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    operator::register::<(Sync,)>("shop 1", conn).expect("registered");
    let id = picked::<D>(conn, "a");
    let set = |props: &str| format!("UPDATE flowstate_flows SET props = '{props}' WHERE id = {id}");
    conn.batch_execute(&set("{\"record_id\":1}")).expect("unreadable");
    let running = Worker::new(database.pool(2))
        .program("shop", "1")
        .step(fetch_step!(), |_, ()| Ok(Response(json!(1))))
        .start()
        .expect("started");
    let back = format!(
        "SELECT COUNT(*) FROM flowstate_flows WHERE id = {id} AND state = 'picked' AND seq > 1 \
         AND attempts = 0 AND due_at IS NOT NULL"
    );
    while D::number(conn, &back) == 0 {
        std::thread::yield_now();
    }
    let stands = |conn: &mut D::Conn| {
        let standing = operator::show(id, conn).expect("shown").standing;
        (standing.seq, standing.updated_at)
    };
    let fetched = "SELECT COUNT(*) FROM flowstate_flows WHERE state = 'fetched'";
    let mut since = stands(conn);
    for others in 1..=20 {
        testing::make_everything_due(conn).expect("due");
        picked::<D>(conn, &format!("{others}"));
        while D::number(conn, fetched) < others {
            std::thread::yield_now();
        }
        // a poll that was under way when it was given back may have claimed it once more
        if others <= 3 {
            since = stands(conn);
        }
    }
    assert_eq!((D::number(conn, &back), stands(conn)), (1, since));
    assert!(since.0 <= 5, "{since:?}");

    let late = "UPDATE flowstate_flows SET due_at = '2020-01-01 00:00:00.000000' WHERE id =";
    conn.batch_execute(&format!("{late} {id}")).expect("due for long");
    let filter = Filter { stuck_because: Some(Stuck::Unreadable), ..Filter::default() };
    // the worker is registered some time after its start
    let stuck = loop {
        let found = operator::list(&filter, None, 10, conn).expect("listed").records;
        if !found.is_empty() {
            break found;
        }
    };
    let [stuck] = &*stuck else { panic!("{stuck:?}") };
    assert_eq!((stuck.id, stuck.seq), (id, since.0));
    assert!(stuck.error.as_deref().is_some_and(|error| error.contains("record_id")), "{stuck:?}");
    assert_eq!(operator::show(id, conn).expect("shown").standing.stuck, Some(Stuck::Unreadable));
    let numbers = operator::numbers(Some("sync"), 100, conn).expect("counted");
    let picked = numbers.iter().find(|numbers| numbers.state == "picked").expect("one there");
    assert_eq!((picked.records, picked.stuck), (1, 1));

    conn.batch_execute(&set("{\"record_id\":\"a\",\"party_id\":\"p\"}")).expect("repaired");
    while D::number(conn, fetched) < 21 {
        std::thread::yield_now();
    }
    running.shutdown(Duration::from_mins(1)).expect("stopped");
    let history = Sync::find(id, conn).expect("found").history(conn).expect("the history");
    let taken: Vec<_> = history.iter().skip(2).map(|row| &*row.transition).collect();
    assert_eq!(taken, ["start_fetch", "claim.release", "start_fetch", "finish_fetch"]);
    clean(conn);
}

/// A transactional handler that ignores the failure of a statement, leaves a transaction open, or
/// writes what the commit refuses has failed: its try is counted and nothing of it is kept.
pub fn a_handler_that_ignores_a_failure_has_failed<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    check::make_effects(conn);
    let mut flow = Sync::new("a").create(conn).expect("created");
    flow.transition(Sync::PICK, conn).then(Sync::START_FETCH).run().expect("fetching");
    flow.transition(Sync::FINISH_FETCH, conn).persist(Response(json!(1))).run().expect("fetched");
    let stats = Worker::new(database.pool(1))
        .transactional_step(save_step!(), |_, _, conn| {
            conn.batch_execute("INSERT INTO effects VALUES ('kept')")?;
            let _ = conn.batch_execute("INSERT INTO no_such_table VALUES (1)");
            Ok(())
        })
        .run_until_idle()
        .expect("ran");
    assert_eq!((stats.failed, stats.running), (1, 0));
    flow.reload(conn).expect("read");
    assert_eq!((flow.state(), flow.attempt()), (SyncState::FailedToSave, 2));
    assert_eq!(check::rows::<D>(conn, "effects"), 0);
    clean(conn);
}

/// What a transactional handler wrote is refused by the commit itself: the try has failed, and is
/// not made again for ever.
pub fn a_commit_that_is_refused_is_a_failed_try<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    conn.batch_execute(
        "CREATE TABLE owners (id BIGINT PRIMARY KEY);
         CREATE TABLE things (owner BIGINT REFERENCES owners (id) DEFERRABLE INITIALLY DEFERRED)",
    )
    .expect("tables");
    picked::<D>(conn, "a");
    let claim = claim_next(fetch_step!(), conn).expect("no error").expect("a claim");
    let id = claim.id();
    claim.finish(Response(json!(1)), conn).expect("finished");
    let stats = Worker::new(database.pool(1))
        .transactional_step(save_step!(), |_, _, conn| {
            Ok(conn.batch_execute("INSERT INTO things VALUES (7)")?)
        })
        .run_until_idle()
        .expect("ran");
    assert_eq!((stats.failed, stats.running), (1, 0));
    let flow = Sync::find(id, conn).expect("found");
    assert_eq!((flow.state(), flow.attempt()), (SyncState::FailedToSave, 2));
    assert_eq!(check::rows::<D>(conn, "things"), 0);
    clean(conn);
}
