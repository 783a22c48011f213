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
fn a_file_can_be_given_as_a_url() {
    let database = Sqlite::fresh();
    let told = program::told(&run(&database, &["--database-url", database::FILE, "--flows", "3"]));
    assert!(told.contains("ok: 3 new flows completed"), "{told}");
    database.all_is_well(3);
    let both = errors(&run(&database, &["--database-url", "a.db", "--database", "b.db"]));
    assert!(both.contains("cannot be used with"), "{both}");
}
