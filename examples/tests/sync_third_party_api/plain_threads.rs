//! Driven by two plain threads.

#[cfg(unix)]
use std::process::Command;

use crate::database::{COMPLETED, CUT_SHORT, Database, Sqlite, UNFINISHED, WAITING};
use crate::program::{errors, kill_when, run, start, stop, told, wait_for};

const README: &str = include_str!("../../../README.md");

crate::on_each_database! {
    it_runs_on_a_fresh_database_and_again
    a_second_run_at_the_same_time_is_refused
}

fn it_runs_on_a_fresh_database_and_again<D: Database>() {
    let database = D::fresh();
    let first = told(&run(&database, &[]));
    assert!(first.contains("ok: 20 new flows completed"), "{first}");
    assert!(first.contains("fetching → failed_to_fetch"), "{first}");
    let picture = README.split("```mermaid\n").nth(1).and_then(|rest| rest.split("```").next());
    assert!(first.contains(picture.expect("a picture")), "the README shows another graph: {first}");

    let second = told(&run(&database, &["--flows", "3"]));
    assert!(second.contains("ok: 3 new flows completed"), "{second}");
    assert!(second.contains("23 flows in the database"), "{second}");
    assert!(!second.contains("unfinished"), "{second}");
    database.all_is_well(23);
}

#[test]
fn killed_half_way_it_finishes_what_was_left() {
    const FLOWS: i64 = 60;
    let database = Sqlite::fresh();
    // at different moments: as soon as there are flows, in a fetch, and with some completed
    for (query, at_least) in [(UNFINISHED, FLOWS), (WAITING, 1), (COMPLETED, 5), (COMPLETED, 10)] {
        kill_when(&database, &["--flows", &FLOWS.to_string()], query, at_least);
        assert!(database.number(UNFINISHED) > 0, "it was done before it was killed");
    }
    let flows = database.number(COMPLETED) + database.number(UNFINISHED);

    let last = told(&run(&database, &["--flows", "2"]));
    assert!(last.contains("unfinished flows, which come first"), "{last}");
    assert!(last.contains("ok: 2 new flows completed"), "{last}");
    assert!(database.number(CUT_SHORT) > 0, "no flow was failed over");
    database.all_is_well(flows + 2);
}

#[test]
fn a_flow_whose_record_is_gone_keeps_no_other_from_going_on() {
    let database = Sqlite::fresh();
    for (gone, drivers) in [(0, &[][..]), (1, &["--workers", "2"])] {
        kill_when(&database, &["--flows", "60"], UNFINISHED, gone + 1);
        database.execute(
            "DELETE FROM my_records \
             WHERE id = (SELECT id FROM my_records WHERE payload IS NULL LIMIT 1)",
        );
        for _ in 0..2 {
            let arguments = [drivers, &["--flows", "2"]].concat();
            let told = told(&run(&database, &arguments));
            assert!(told.contains("ok: 2 new flows completed"), "{told}");
            assert!(told.contains("given up: their records are gone"), "{told}");
        }
    }
    assert_eq!(database.number(UNFINISHED), 2);
    // nor does one that cannot be read
    database.execute(
        "UPDATE flowstate_flows SET props = '{}' \
         WHERE id = (SELECT id FROM flowstate_flows WHERE state <> 'completed' LIMIT 1)",
    );
    let output = run(&database, &["--flows", "2"]);
    assert!(errors(&output).contains("left alone: sync_third_party_api #"), "{output:?}");
    assert!(told(&output).contains("ok: 2 new flows completed"));
    assert!(database.audit().is_clean());
}

/// Ctrl-C ends it at once, and nothing is lost.
#[test]
#[cfg(unix)]
fn interrupted_it_goes_on_in_the_next_run() {
    let database = Sqlite::fresh();
    let mut child = start(&database, &["--flows", "60"]);
    wait_for(&mut child, &database, COMPLETED, 1);
    // on a busy machine it would be done before the signal is sent
    let held = database.hold();
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().expect("kill ran").success());
    assert!(!child.wait().expect("it ended").success());
    drop(held);
    assert!(database.number(UNFINISHED) > 0, "it was done before it was interrupted");
    let told = told(&run(&database, &["--flows", "1"]));
    assert!(told.contains("unfinished flows, which come first"), "{told}");
    database.all_is_well(61);
}

fn a_second_run_at_the_same_time_is_refused<D: Database>() {
    let database = D::fresh();
    let mut first = start(&database, &["--flows", "60"]);
    wait_for(&mut first, &database, UNFINISHED, 1);
    for arguments in [&[][..], &["--workers", "2"]] {
        let second = run(&database, arguments);
        assert!(!second.status.success());
        let error = errors(&second);
        assert!(error.contains("is in use by another run"), "{error}");
    }
    stop(first);
}
