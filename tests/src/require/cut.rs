//! A12: the connection fails while committing.

use diesel::Connection as _;
use diesel::connection::SimpleConnection as _;
use flowstate_diesel::prelude::*;
use flowstate_diesel::{Error, Result, claim_next, transaction};
use serde_json::json;

use crate::database::server::Served;
use crate::flows::{Job, JobRecord, JobState, Response, Sync, SyncState};
use crate::proxy::{Cut, Proxy};
use crate::steps::picked;
use crate::{check, fetch_step, refused};

type Act<D> = fn(&mut JobRecord, &mut <D as crate::Database>::Conn) -> Result<()>;

/// What is cut, by the words at which it is.
fn acts<D: Served>() -> [(&'static str, &'static str, Act<D>); 3] {
    [
        ("fast", D::LAST_WORDS, |job, conn| {
            job.transition(Job::WORK, conn).actor("cut here").run()
        }),
        ("slow", D::LAST_WORDS_OF_MANY, |job, conn| {
            let within = |_: &_, conn: &mut D::Conn| {
                Ok(conn.batch_execute("INSERT INTO effects VALUES ('within')")?)
            };
            job.transition(Job::WORK, conn).within(within).run()
        }),
        ("together", D::LAST_WORDS_OF_MANY, |job, conn| {
            transaction(conn, |conn| {
                conn.batch_execute("INSERT INTO effects VALUES ('within')")?;
                job.transition(Job::WORK, conn).run()
            })
        }),
    ]
}

/// A12: an unknown outcome is said, and can be told on a new connection. Nothing is retried.
pub fn a12_unknown_outcome_is_said_and_resolved<D: Served>() {
    let database = D::migrated();
    let proxy = Proxy::start(&D::address());
    let conn = &mut database.connect();
    check::make_effects(conn);
    for (name, words, act) in acts::<D>() {
        for cut in [Cut::Before, Cut::After] {
            let mut job = Job::new(name).create(conn).expect("created");
            let effects = check::rows::<D>(conn, "effects");
            let through = &mut D::connect_to(&database.url_through(proxy.port()));
            // prepared by now, as on any connection that is in use
            let mut other = Job::new("other").create(through).expect("created");
            act(&mut other, through).expect("moved");
            let (more, cuts) = (check::rows::<D>(conn, "effects") - effects, proxy.cuts());

            proxy.cut(cut, words);
            let unknown =
                refused!(act(&mut job, through), Error::OutcomeUnknown(unknown) => unknown);
            assert_eq!(proxy.cuts(), cuts + 1, "{name}, {cut:?}: cut once, not tried again");
            assert_eq!((job.state(), job.seq()), (JobState::Open, 0), "{name}, {cut:?}");
            let record = unknown.record().expect("a record");
            assert_eq!((record.flow, record.id), ("job", Some(job.id())));
            let committed = unknown.resolve(conn).expect("resolved");
            assert_eq!(committed, Some(cut == Cut::After), "{name}, {cut:?}");

            job.reload(conn).expect("reloaded");
            let state = if cut == Cut::After { JobState::Working } else { JobState::Open };
            assert_eq!(job.state(), state, "{name}, {cut:?}");
            let there = if cut == Cut::After { 2 * more } else { more };
            assert_eq!(check::rows::<D>(conn, "effects") - effects, there, "{name}, {cut:?}");
            refused!(act(&mut job, through), Error::Database { .. });
            check::clean(conn);
        }
    }
}

/// Runs `act` on a connection that is cut, and resolves what became of it on a new one.
fn resolved<D: Served>(
    database: &D,
    (cut, words): (Cut, &str),
    act: impl FnOnce(&mut D::Conn) -> Result<()>,
) -> Option<bool> {
    let proxy = Proxy::start(&D::address());
    let through = &mut D::connect_to(&database.url_through(proxy.port()));
    proxy.cut(cut, words);
    let unknown = refused!(act(through), Error::OutcomeUnknown(unknown) => unknown);
    assert_eq!(proxy.cuts(), 1, "not tried again");
    let conn = &mut database.connect();
    let committed = unknown.resolve(conn).expect("resolved");
    check::clean(conn);
    committed
}

/// A12: a completion that destroys its record, and a record that is destroyed.
pub fn a12_a_destroyed_record_is_resolved<D: Served>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let acts: [(&str, Act<D>); 2] = [
        (D::LAST_WORDS_OF_MANY, |job, conn| job.transition(Job::ABANDON, conn).run()),
        (D::LAST_WORDS_OF_MANY, |job, conn| {
            transaction(conn, |conn| {
                conn.transaction(|conn| job.transition(Job::WORK, conn).run())?;
                job.transition(Job::ABANDON, conn).run()
            })
        }),
    ];
    for (words, act) in acts {
        for cut in [Cut::Before, Cut::After] {
            let mut job = Job::new("a").create(conn).expect("created");
            let id = job.id();
            let committed = resolved(&database, (cut, words), |conn| act(&mut job, conn));
            assert_eq!(committed, Some(cut == Cut::After), "{cut:?}");
            assert_eq!((job.state(), job.seq()), (JobState::Open, 0), "{cut:?}");
            match Job::find(id, conn) {
                Ok(job) => assert_eq!((cut, job.seq()), (Cut::Before, 0)),
                gone => {
                    refused!(gone, Error::NotFound { .. });
                    assert_eq!(cut, Cut::After);
                }
            }
        }
    }
}

/// A12: a step that is finished.
pub fn a12_a_finish_is_resolved<D: Served>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    for cut in [Cut::Before, Cut::After] {
        let id = picked::<D>(conn, "a");
        let claim = claim_next(fetch_step!(), conn).expect("no error").expect("a claim");
        let committed = resolved(&database, (cut, D::LAST_WORDS), |conn| {
            claim.finish(Response(json!("cut here")), conn)
        });
        assert_eq!(committed, Some(cut == Cut::After), "{cut:?}");
        let flow = Sync::find(id, conn).expect("found");
        let state = if cut == Cut::After { SyncState::Fetched } else { SyncState::Fetching };
        assert_eq!(flow.state(), state, "{cut:?}");
    }
}

/// A12: a keyed start, which can also be made again.
pub fn a12_a_keyed_start_is_resolved<D: Served>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    for (cut, key) in [(Cut::Before, "before"), (Cut::After, "after")] {
        let create = |conn: &mut D::Conn| Job::new("cut here").create_once(key, conn).map(drop);
        let committed = resolved(&database, (cut, D::LAST_WORDS), create);
        assert_eq!(committed, Some(cut == Cut::After), "{cut:?}");
        let again = Job::new("cut here").create_once(key, conn).expect("created or found");
        assert_eq!(again.is_created(), cut == Cut::Before);
    }
}

/// A12: two records, each moved in a savepoint of the caller's.
pub fn a12_moves_in_savepoints_are_resolved<D: Served>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    for cut in [Cut::Before, Cut::After] {
        let mut jobs = [0, 1].map(|_| Job::new("a").create(conn).expect("created"));
        let ids = jobs.each_ref().map(|job| job.id());
        let committed = resolved(&database, (cut, D::LAST_WORDS_OF_MANY), |conn| {
            transaction(conn, |conn| {
                for job in &mut jobs {
                    conn.transaction(|conn| job.transition(Job::WORK, conn).run())?;
                }
                Ok(())
            })
        });
        assert_eq!(committed, Some(cut == Cut::After), "{cut:?}");
        for id in ids {
            let job = Job::find(id, conn).expect("found");
            assert_eq!(job.seq(), i64::from(cut == Cut::After), "{cut:?}");
        }
    }
}
