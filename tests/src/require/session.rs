//! What the caller's session is set to, and what would change what is stored.

use diesel::connection::SimpleConnection as _;
use flowstate_diesel::prelude::*;
use flowstate_diesel::{Error, Unfit, Worker, transaction};
use serde_json::json;

use crate::flows::{Job, Response};
use crate::set_up_connection::SetUpConnections;
use crate::{Database, check, fetch_step, refused};

const TEXT: &str = "Émile ☃ 🦀";

/// A session that takes texts to be in another character set is refused by name before any write,
/// whenever it was set so: at the beginning, later, or in a pool. As it was before, it serves.
pub fn another_character_set_is_refused<D: Database>() {
    let database = D::migrated();
    let (others, right): (&[&str], _) = match D::FOLDER {
        "mysql" => (
            &[
                "SET NAMES latin1",
                "SET NAMES ascii",
                "SET NAMES utf8mb3",
                "SET character_set_client = latin1",
                "SET character_set_connection = latin1",
                "SET character_set_results = latin1",
            ],
            "SET NAMES utf8mb4",
        ),
        _ => (
            &["SET client_encoding = LATIN1", "SET client_encoding = SQL_ASCII"],
            "SET client_encoding = 'UTF8'",
        ),
    };
    for &other in others {
        let conn = &mut database.connect();
        for earlier in [true, false] {
            conn.batch_execute(other).expect(other);
            for made in [
                Job::new(TEXT).create(conn).map(drop),
                Job::new(TEXT).create_once("a", conn).map(drop),
                transaction(conn, |conn| Job::new(TEXT).create(conn)).map(drop),
            ] {
                let unfit = refused!(made, Error::Unfit(unfit) => unfit);
                assert!(matches!(unfit, Unfit::Encoding { .. }), "{unfit:?}");
                assert!(unfit.to_string().contains(right), "{unfit}");
            }
            conn.batch_execute(right).expect(right);
            let made = Job::new(TEXT).create(conn).expect("created");
            let found = Job::find(made.id(), &mut database.connect()).expect("found");
            assert_eq!(found.name, TEXT, "{other}, earlier: {earlier}");
        }
        let pool = SetUpConnections::<D>::pool(&database.url(), 1, move |conn| {
            conn.batch_execute(other).expect("set");
        });
        let migrated = flowstate_diesel::migrate(&mut *pool.get().expect("a connection"));
        refused!(migrated, Error::Unfit(Unfit::Encoding { .. }));
        let worker = Worker::new(pool).step(fetch_step!(), |_, ()| Ok(Response(json!(1))));
        refused!(worker.start(), Error::Unfit(Unfit::Encoding { .. }));
    }
    check::clean(&mut database.connect());
}
