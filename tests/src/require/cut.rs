//! A12: the connection fails while committing.

use diesel::connection::SimpleConnection as _;
use flowstate_diesel::prelude::*;
use flowstate_diesel::{Error, Result, transaction};

use crate::database::server::Served;
use crate::flows::{Job, JobRecord, JobState};
use crate::proxy::{Cut, Proxy};
use crate::{check, refused};

type Act<D> = fn(&mut JobRecord, &mut <D as crate::Database>::Conn) -> Result<()>;

/// What is cut, by the words at which it is.
fn acts<D: Served>() -> [(&'static str, &'static str, Act<D>); 3] {
    [
        ("fast", D::LAST_WORDS, |job, conn| {
            job.transition(Job::WORK, conn).actor("cut here").run()
        }),
        ("slow", D::LAST_WORDS_OF_OTHERS, |job, conn| {
            let within = |_: &_, conn: &mut D::Conn| {
                conn.batch_execute("INSERT INTO effects VALUES ('within')")
            };
            job.transition(Job::WORK, conn).within(within).run()
        }),
        ("together", D::LAST_WORDS_OF_OTHERS, |job, conn| {
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
