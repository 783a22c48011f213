//! A12 for what is new: nobody knows its id when the answer is lost.

use flowstate_diesel::prelude::*;
use flowstate_diesel::{Error, Result, transaction};

use crate::database::server::Served;
use crate::flows::{Job, JobRecord};
use crate::proxy::{Cut, Proxy};
use crate::{check, refused};

type Act<D> = fn(&mut <D as crate::Database>::Conn) -> Result<i64>;

const NAME: &str = "cut here";

fn acts<D: Served>() -> [(&'static str, &'static str, Act<D>); 4] {
    [
        ("create", D::LAST_WORDS, |conn| Ok(Job::new(NAME).create(conn)?.id())),
        ("create_many", D::LAST_WORDS_OF_MANY, |conn| {
            let jobs = Job::create_many([Job::new("first"), Job::new(NAME)], conn)?;
            Ok(jobs.last().map_or(0, |job| job.id()))
        }),
        ("together", D::LAST_WORDS_OF_MANY, |conn| {
            transaction(conn, |conn| {
                let mut job = Job::new(NAME).create(conn)?;
                job.transition(Job::WORK, conn).run()?;
                Ok(job.id())
            })
        }),
        ("destroy", D::LAST_WORDS_OF_MANY, |conn| {
            let mut jobs = named::<D>(conn)?;
            let job = jobs.last_mut().expect("one to be destroyed");
            job.destroy(conn)?;
            Ok(job.id())
        }),
    ]
}

fn named<D: Served>(conn: &mut D::Conn) -> Result<Vec<JobRecord>> {
    let page = flowstate_diesel::Page::first(1_000);
    let mut jobs = Vec::new();
    for state in crate::flows::JobState::ALL {
        jobs.extend(Job::list([*state], page, conn)?);
    }
    jobs.retain(|job| job.name == NAME);
    Ok(jobs)
}

/// A12: whether a creation or a deletion without an answer has happened can be told.
pub fn a12_what_is_new_or_gone_is_resolved<D: Served>() {
    let database = D::migrated();
    let proxy = Proxy::start(&D::address());
    let conn = &mut database.connect();
    for (name, words, act) in acts::<D>() {
        for cut in [Cut::Before, Cut::After] {
            let through = &mut D::connect_to(&database.url_through(proxy.port()));
            // prepared by now, as on any connection that is in use
            Job::new(NAME).create(through).expect("created");
            act(through).expect("done");
            let before = named::<D>(conn).expect("listed").len();

            proxy.cut(cut, words);
            let unknown = refused!(act(through), Error::OutcomeUnknown(unknown) => unknown);
            assert_eq!(unknown.record().map(|record| record.flow), Some("job"), "{name}");
            let committed = unknown.resolve(conn).expect("resolved");
            assert_eq!(committed, Some(cut == Cut::After), "{name}, {cut:?}");
            let after = named::<D>(conn).expect("listed").len();
            assert_eq!(after != before, cut == Cut::After, "{name}, {cut:?}");
            check::clean(conn);
        }
    }
}
