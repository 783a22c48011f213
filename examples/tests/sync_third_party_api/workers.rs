//! Driven by workers.

use std::process::{Child, Command, Stdio};

use crate::database::{COMPLETED, CUT_SHORT, Database, IN_HAND, Sqlite, UNFINISHED, WAITING};
use crate::program::{command, errors, kill_when, run, start, stop, told, wait_for};

const FOUR: [&str; 2] = ["--workers", "4"];
const EXPIRED: &str = "SELECT COUNT(*) FROM flowstate_transitions WHERE error = 'lease expired'";

crate::on_each_database! {
    killed_half_way_they_finish_what_was_left
    several_runs_share_a_database
}

fn killed_half_way_they_finish_what_was_left<D: Database>() {
    let database = D::fresh();
    // in a fetch, and with some completed
    for (query, at_least) in [(WAITING, 1), (COMPLETED, 5)] {
        kill_when(&database, &["--workers", "4", "--flows", "60"], query, at_least);
        assert!(database.number(UNFINISHED) > 0, "it was done before it was killed");
    }
    let flows = database.number(COMPLETED) + database.number(UNFINISHED);

    let last = told(&run(&database, &["--workers", "4", "--flows", "2"]));
    assert!(last.contains("unfinished flows, which come first"), "{last}");
    assert!(last.contains("ok: 2 new flows completed"), "{last}");
    assert!(database.number(EXPIRED) > 0, "no lease ran out");
    database.all_is_well(flows + 2);
}

fn several_runs_share_a_database<D: Database>() {
    let database = D::fresh();
    let mut first = start(&database, &["--workers", "2", "--flows", "100"]);
    wait_for(&mut first, &database, UNFINISHED, 1);
    // held still, so that it has not ended when it is met
    signal(&first, "STOP");
    let alone = errors(&run(&database, &[]));
    signal(&first, "CONT");
    assert!(alone.contains("is in use by another run"), "{alone}");

    let second = told(&run(&database, &["--workers", "2", "--flows", "20"]));
    assert!(second.contains("ok: 20 new flows completed"), "{second}");
    assert!(first.wait().expect("waited for").success());
    database.all_is_well(120);
}

fn signal(program: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &program.id().to_string()]).status();
    assert!(sent.expect("sent").success(), "{name}");
}

#[test]
fn they_take_over_from_plain_threads() {
    let database = Sqlite::fresh();
    kill_when(&database, &["--flows", "20"], WAITING, 1);
    let told = told(&run(&database, &[&FOUR[..], &["--flows", "1"]].concat()));
    assert!(told.contains("unfinished flows, which come first"), "{told}");
    assert_eq!(database.number(EXPIRED), 0, "plain threads have no leases");
    assert!(database.number(CUT_SHORT) > 0, "no flow was failed over");
    database.all_is_well(21);
}

#[test]
#[cfg(unix)]
fn interrupted_they_give_back_what_is_in_hand() {
    for name in ["INT", "TERM"] {
        let database = Sqlite::fresh();
        let mut program = command(&database, &[&FOUR[..], &["--flows", "60"]].concat());
        let mut child = program.stdout(Stdio::piped()).spawn().expect("it started");
        wait_for(&mut child, &database, IN_HAND, 1);
        signal(&child, name);
        let stopped = told(&child.wait_with_output().expect("it ended"));
        assert!(stopped.contains("stopped: the next run goes on from here"), "{stopped}");
        assert_eq!(database.number(IN_HAND), 0, "something waits out a lease");
        assert!(database.number(UNFINISHED) > 0);

        // and nothing lost
        let mut child = start(&database, &["--workers", "4", "--flows", "1"]);
        wait_for(&mut child, &database, COMPLETED, 10);
        stop(child);
    }
}
