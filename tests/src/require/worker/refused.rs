//! What the database refuses, however often it is asked, is no outage.

use diesel::connection::SimpleConnection;
use flowstate_diesel::{Worker, prelude::*};

use crate::check::{self, clean};
use crate::flows::{Receipt, Round, RoundState, RoundWorkOutcome};
use crate::{Database, round_step};

/// Has the database refuse every artefact, by the statement or by the commit.
fn refuse_artefacts<D: Database>(conn: &mut D::Conn, at_commit: bool) {
    let raise = "CREATE TRIGGER refuse BEFORE INSERT ON flowstate_artefacts";
    let sql = match D::FOLDER {
        "sqlite" => format!("{raise} BEGIN SELECT RAISE(ABORT, 'no artefacts here'); END"),
        "mysql" => format!(
            "{raise} FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no artefacts here'"
        ),
        _ => format!(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'no artefacts here'; END $$; {}",
            if at_commit {
                "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON flowstate_artefacts \
                 DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()"
            } else {
                "CREATE TRIGGER refuse BEFORE INSERT ON flowstate_artefacts \
                 FOR EACH ROW EXECUTE FUNCTION refuse()"
            }
        ),
    };
    conn.batch_execute(&sql).expect("a trigger");
}

fn assert_failed<D: Database>(id: i64, conn: &mut D::Conn) {
    let round = Round::find(id, conn).expect("found");
    assert_eq!((round.state(), round.attempt()), (RoundState::Broken, 2));
    let history = round.history(conn).expect("the history");
    let error = history.last().and_then(|row| row.error.clone()).expect("an error");
    assert!(error.contains("no artefacts here"), "{error}");
    clean(conn);
}

/// A finish that the database refuses each time it is asked is a failed try: the handler is not
/// waited for as if the database were down.
pub fn a_finish_that_is_refused_again_and_again_has_failed<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    refuse_artefacts::<D>(conn, false);
    let id = Round::new().create(conn).expect("created").id();
    let stats = Worker::new(database.pool(1))
        .step(round_step!(), |_, ()| Ok(RoundWorkOutcome::Resting(Receipt::new())))
        .run_until_idle()
        .expect("ran");
    assert_eq!((stats.failed, stats.finished, stats.running), (1, 0, 0));
    assert_failed::<D>(id, conn);
}

/// A transactional handler whose finish is refused, at the commit where the database can do that, has failed.
/// Nothing of it is kept.
pub fn a_transactional_finish_that_is_refused_has_failed<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    check::make_effects(conn);
    refuse_artefacts::<D>(conn, true);
    let id = Round::new().create(conn).expect("created").id();
    let stats = Worker::new(database.pool(1))
        .transactional_step(round_step!(), |_, (), conn| {
            conn.batch_execute("INSERT INTO effects VALUES ('kept')")?;
            Ok(RoundWorkOutcome::Resting(Receipt::new()))
        })
        .run_until_idle()
        .expect("ran");
    assert_eq!((stats.failed, stats.finished, stats.running), (1, 0, 0));
    assert_eq!(check::rows::<D>(conn, "effects"), 0);
    assert_failed::<D>(id, conn);
}
