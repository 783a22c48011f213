//! How many statements a call takes.

use flowstate_diesel::prelude::*;
use flowstate_tests::check;
use flowstate_tests::flows::Job;
use flowstate_tests::statements::sent;

use super::Server;

pub(crate) fn the_fast_path_is_four_statements<D: Server>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut job = Job::new("a").create(conn).expect("created");
    let (texts, moved) = sent(conn, |conn| job.transition(Job::WORK, conn).run());
    moved.expect("working");
    let words: Vec<_> = texts.iter().filter_map(|text| text.split(' ').next()).collect();
    assert_eq!(words, ["BEGIN", "UPDATE", "INSERT", "COMMIT"], "{texts:#?}");
    check::clean(conn);
}
