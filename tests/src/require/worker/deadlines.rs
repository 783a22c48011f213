//! Deadlines of records that came to their state under a program which knew none, or a later one.

use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use flowstate::{ExpiresAlone, Flow};
#[cfg(any(feature = "mysql", feature = "postgres"))]
use flowstate_diesel::{Error, transaction};
use flowstate_diesel::{Worker, operator, prelude::*, testing};
use serde::{Deserialize, Serialize};
#[cfg(any(feature = "mysql", feature = "postgres"))]
use serde_json::json;

use super::bad_rows::refuse_updates;
#[cfg(any(feature = "mysql", feature = "postgres"))]
use crate::flows::Response;
use crate::statement_probe::Probe;
#[cfg(any(feature = "mysql", feature = "postgres"))]
use crate::steps::picked;
use crate::{Database, check};
#[cfg(any(feature = "mysql", feature = "postgres"))]
use crate::{fetch_step, refused};

/// Nobody waits for an answer in time.
mod before {
    use super::{Deserialize, Flow, Serialize};

    #[derive(Flow, Serialize, Deserialize)]
    #[state(Asked, Answered)]
    #[initial(Asked)]
    #[completed(Answered)]
    #[transition(answer: Asked => Answered)]
    #[transition(ask: Asked => Asked)]
    pub(super) struct Question {}
}

/// An answer is waited for, for so long.
macro_rules! timed {
    ($module:ident, $after:literal) => {
        #[allow(dead_code, reason = "of a macro's flow all is looked at")]
        mod $module {
            use super::{Deserialize, Flow, Serialize};

            #[derive(Flow, Serialize, Deserialize)]
            #[state(Asked, Answered, Expired)]
            #[initial(Asked)]
            #[completed(Answered, Expired)]
            #[transition(answer: Asked => Answered)]
            #[transition(expire: Asked => Expired, after($after))]
            pub(super) struct Question {}
        }
    };
}

timed!(days, "3 days");
timed!(hour, "1 hour");

/// Records that were asked by the version before.
fn asked<D: Database>(conn: &mut D::Conn, number: usize) -> Vec<i64> {
    let flows = (0..number).map(|_| before::Question {});
    let records = before::Question::create_many(flows, conn).expect("created");
    records.iter().map(|record| record.id()).collect()
}

/// How long after it was last moved the time of a record is over.
fn given<D: Database>(id: i64, conn: &mut D::Conn) -> Option<Duration> {
    let standing = operator::show(id, conn).expect("shown").standing;
    let after = standing.deadline_at? - standing.updated_at;
    Some(after.to_std().expect("after it"))
}

fn run<F: ExpiresAlone, D: Database>(database: &D) -> flowstate_diesel::Stats {
    Worker::new(database.pool(2)).timed::<F>().run_until_idle().expect("ran")
}

const DAYS: Duration = Duration::from_hours(3 * 24);
const HOUR: Duration = Duration::from_hours(1);

/// A worker that starts gives records their deadline, counted from when they came to the state: where
/// there was none, and where it was later. An earlier one stays.
pub fn who_was_there_before_gets_a_deadline<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let ids = asked::<D>(conn, 3);
    let mut answered = before::Question {}.create(conn).expect("created");
    answered.transition(before::Question::ANSWER, conn).run().expect("answered");
    // one was never due, and one is claimed by nobody that is known
    let sql = format!("UPDATE flowstate_flows SET due_at = NULL WHERE id = {}", ids[0]);
    conn.batch_execute(&sql).expect("parked");
    let sql = format!(
        "UPDATE flowstate_flows SET due_at = NULL, leased_until = updated_at, leased_by = 'x' \
         WHERE id = {}",
        ids[1]
    );
    conn.batch_execute(&sql).expect("claimed");

    assert_eq!(testing::pass_deadlines(conn).expect("none"), 0);
    assert_eq!(run::<days::Question, D>(&database).timed, 0);
    assert_eq!(ids.iter().map(|id| given::<D>(*id, conn)).collect::<Vec<_>>(), [Some(DAYS); 3]);
    assert_eq!(given::<D>(answered.id(), conn), None);
    // the time becomes shorter, and longer again
    operator::register::<(days::Question,)>("days", conn).expect("registered");
    assert_eq!(run::<hour::Question, D>(&database).timed, 0);
    assert_eq!(ids.iter().map(|id| given::<D>(*id, conn)).collect::<Vec<_>>(), [Some(HOUR); 3]);
    assert_eq!(run::<days::Question, D>(&database).timed, 0);
    assert_eq!(ids.iter().map(|id| given::<D>(*id, conn)).collect::<Vec<_>>(), [Some(HOUR); 3]);

    assert_eq!(testing::pass_deadlines(conn).expect("passed"), 3);
    assert_eq!(run::<hour::Question, D>(&database).timed, 3);
    let history = days::Question::find(ids[2], conn).expect("found").history(conn).expect("read");
    assert_eq!(history.last().map(|row| &*row.transition), Some("expire"));
    check::clean(conn);
}

/// However many there are, each gets its deadline, one that came long ago at once its end; and one that
/// the database refuses keeps no other from it.
pub fn one_that_gets_no_deadline_keeps_no_other<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let ids = asked::<D>(conn, 1_001);
    let long_ago = format!(
        "UPDATE flowstate_flows SET updated_at = '2020-01-01 00:00:00.000000' WHERE id = {}",
        ids[3]
    );
    conn.batch_execute(&long_ago).expect("asked long ago");
    refuse_updates::<D>(conn, &format!("NEW.id = {}", ids[700]));
    assert_eq!(run::<days::Question, D>(&database).timed, 1, "the one that was asked long ago");
    let with = "SELECT COUNT(*) FROM flowstate_flows WHERE deadline_at IS NOT NULL";
    assert_eq!(D::number(conn, with), 999);
    assert_eq!((given::<D>(ids[700], conn), given::<D>(ids[701], conn)), (None, Some(DAYS)));
    check::clean(conn);
}

/// A record that somebody has locked is passed over, and given its deadline another time: neither the
/// others nor the records of other flows wait for it.
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub fn one_that_is_locked_gets_no_deadline_now<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let ids = asked::<D>(conn, 3);
    picked::<D>(conn, "a");
    let worker = || {
        let worker = Worker::new(database.pool(2)).timed::<days::Question>();
        worker.step(fetch_step!(), |_, ()| Ok(Response(json!(1)))).run_until_idle()
    };
    let other = &mut database.connect();
    let undone = transaction(other, |other| {
        let lock = format!("UPDATE flowstate_flows SET flow = flow WHERE id = {}", ids[1]);
        other.batch_execute(&lock)?;
        assert_eq!(worker()?.finished, 1);
        Err::<(), Error>(diesel::result::Error::RollbackTransaction.into())
    });
    refused!(undone, Error::Database { .. });
    let given_now =
        |conn: &mut D::Conn| ids.iter().map(|id| given::<D>(*id, conn)).collect::<Vec<_>>();
    assert_eq!(given_now(conn), [Some(DAYS), None, Some(DAYS)]);
    worker().expect("ran");
    assert_eq!(given_now(conn), [Some(DAYS); 3]);
    check::clean(conn);
}

/// Where every program that is known gives the same deadline, or none comes to the state, no record is
/// looked for.
pub fn a_start_without_news_reads_no_record<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let scans = |database: &D| {
        let (probe, kept) = Probe::recording();
        let url = database.url();
        let worker = Worker::new(D::probed_pool(&url, 2, probe)).timed::<days::Question>();
        worker.run_until_idle().expect("ran");
        kept.take().iter().filter(|text| text.contains("AS standing")).count()
    };
    // nobody knows what there was before
    assert_eq!(scans(&database), 1);
    operator::register::<(days::Question,)>("new", conn).expect("registered");
    assert_eq!(scans(&database), 1, "nor what told nothing a moment ago");
    let long_ago = "UPDATE flowstate_definitions SET first_seen_at = '2020-01-01 00:00:00.000000'";
    conn.batch_execute(long_ago).expect("told long ago");
    assert_eq!(scans(&database), 0);
    operator::register::<(hour::Question,)>("short", conn).expect("registered");
    assert_eq!(scans(&database), 0, "an earlier deadline stays");
    operator::register::<(before::Question,)>("old", conn).expect("registered");
    assert_eq!(scans(&database), 1);
    check::clean(conn);
}
