//! Runs the example as its users do: on a fresh database, again, and after it was killed half-way.

mod database;
mod plain_threads;
mod program;
mod workers;

use database::{Database, Sqlite};
use program::{errors, run};

/// Each test on each database that the features name.
macro_rules! on_each_database {
    ($($test:ident)*) => {
        mod sqlite {
            $(#[test] fn $test() { super::$test::<crate::database::Sqlite>(); })*
        }
        #[cfg(feature = "postgres")]
        mod postgres {
            $(#[test] fn $test() { super::$test::<crate::database::Postgres>(); })*
        }
        #[cfg(feature = "mysql")]
        mod mysql {
            $(#[test] fn $test() { super::$test::<crate::database::Mysql>(); })*
        }
    };
}
use on_each_database;

#[test]
fn a_file_that_is_no_database_is_named() {
    let database = Sqlite::fresh();
    let file = database.folder().join(database::FILE);
    std::fs::write(file, "no database ".repeat(100)).expect("written");
    let error = errors(&run(&database, &[]));
    assert!(error.contains("cannot open the database"), "{error}");
    assert!(error.contains("file is not a database"), "{error}");
}

#[test]
fn a_database_that_it_does_not_know_is_refused() {
    let told = |url| errors(&run(&Sqlite::fresh(), &["--database-url", url]));
    let error = told("oracle://u:secret@h/d");
    assert!(error.contains("`oracle://` is no known database"), "{error}");
    if cfg!(not(feature = "postgres")) {
        let error = told("postgres://u:secret@h/d");
        assert!(error.contains("--features postgres"), "{error}");
    }
    if cfg!(not(feature = "mysql")) {
        let error = told("mysql://u:secret@h/d");
        assert!(error.contains("--features mysql"), "{error}");
    }
}

#[test]
fn help_tells_what_it_takes() {
    let help = program::told(&run(&Sqlite::fresh(), &["--help"]));
    for part in ["--database <PATH>", "--flows <N>", "[default: 20]", "--workers <N>", "kill -9"] {
        assert!(help.contains(part), "{part} in: {help}");
    }
}

#[test]
fn a_database_file_can_be_named() {
    let database = Sqlite::fresh();
    std::fs::create_dir(database.folder().join("data")).expect("a folder");
    let arguments = ["--database", "data/flows.db", "--flows", "3"];
    for flows in [3, 6] {
        let told = program::told(&run(&database, &arguments));
        assert!(told.contains("data/flows.db"), "{told}");
        assert!(told.contains("ok: 3 new flows completed"), "{told}");
        assert!(told.contains(&format!("{flows} flows in the database")), "{told}");
    }
    assert!(!database.folder().join(database::FILE).exists(), "another file");
}

/// A pseudo-terminal takes its output.
#[test]
#[cfg(target_os = "linux")]
fn many_flows_show_a_bar_on_a_terminal() {
    let shown = |flows: &str| {
        let database = Sqlite::fresh();
        let program = program::command(&database, &["--flows", flows]);
        let program = format!("{} --flows {flows}", program.get_program().display());
        let mut terminal = std::process::Command::new("script");
        terminal.args(["-qec", &program, "/dev/null"]).current_dir(database.folder());
        program::told(&terminal.stdin(std::process::Stdio::null()).output().expect("it ran"))
    };
    let (few, many) = (shown("3"), shown("60"));
    assert!(many.contains("of 60 flows"), "{many}");
    assert!(!few.contains("of 3 flows") && few.contains("ok: 3 new flows"), "{few}");
}

#[test]
fn a_file_can_be_given_as_a_url() {
    let database = Sqlite::fresh();
    let told = program::told(&run(&database, &["--database-url", database::FILE, "--flows", "3"]));
    assert!(told.contains("ok: 3 new flows completed"), "{told}");
    database.all_is_well(3);
    let both = errors(&run(&database, &["--database-url", "a.db", "--database", "b.db"]));
    assert!(both.contains("cannot be used with"), "{both}");
}
