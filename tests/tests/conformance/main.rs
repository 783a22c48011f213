//! One list of requirements, a test a line, for every database; and the sections of it that hold
//! where a database has what they are about.

#[cfg(feature = "mysql")]
use flowstate_tests::Mysql;
#[cfg(feature = "postgres")]
use flowstate_tests::Postgres;
use flowstate_tests::Sqlite;
#[cfg(feature = "postgres")]
use flowstate_tests::database::isolated::RepeatableRead;
#[cfg(any(feature = "mysql", feature = "postgres"))]
use flowstate_tests::database::isolated::{Isolated, Serializable};
#[cfg(feature = "mysql")]
use flowstate_tests::database::isolated::{ReadCommitted, ReadUncommitted, StrictSnapshot};

/// `requirements!(module: a b c)` makes the tests `sqlite::module::a` and so on.
macro_rules! requirements {
    ($database:ty, $($room:ident)::+; $($module:ident: $($test:ident)*;)*) => {
        use $($room)::+ as required;
        $(mod $module {
            use super::*;
            $(#[test] fn $test() { required::$module::$test::<$database>(); })*
        })*
    };
}

#[macro_use]
mod everywhere;
#[macro_use]
mod workers_everywhere;
#[macro_use]
mod usual_isolation;
#[cfg(any(feature = "mysql", feature = "postgres"))]
#[macro_use]
mod servers;
#[cfg(any(feature = "mysql", feature = "postgres"))]
#[macro_use]
mod usual_servers;
#[cfg(any(feature = "mysql", feature = "postgres"))]
#[macro_use]
mod waits;
#[macro_use]
mod late_refusals;
#[cfg(feature = "postgres")]
#[macro_use]
mod announces;
#[macro_use]
mod one_file;

/// `exercise!(name, database; a b)`: what holds everywhere, and the sections `a` and `b`.
macro_rules! exercise {
    ($name:ident, $database:ty; $($section:ident)*) => {
        mod $name {
            use super::*;

            #[test]
            fn child_process() {
                flowstate_tests::require::child_process::<$database>();
            }

            everywhere! { $database }
            mod worker {
                use super::*;

                workers_everywhere! { $database }
            }
            $(mod $section {
                use super::*;

                $section! { $database }
            })*
        }
    };
}

exercise!(sqlite, Sqlite; usual_isolation late_refusals one_file);
#[cfg(feature = "postgres")]
exercise!(
    postgres, Postgres; usual_isolation servers usual_servers waits late_refusals announces
);
#[cfg(feature = "postgres")]
exercise!(
    postgres_repeatable_read, Isolated<Postgres, RepeatableRead>; servers late_refusals
);
#[cfg(feature = "postgres")]
exercise!(postgres_serializable, Isolated<Postgres, Serializable>; servers late_refusals);
#[cfg(feature = "mysql")]
exercise!(mysql, Mysql; usual_isolation servers usual_servers waits);
#[cfg(feature = "mysql")]
exercise!(mysql_read_committed, Isolated<Mysql, ReadCommitted>; servers waits);
#[cfg(feature = "mysql")]
exercise!(mysql_strict_snapshot, Isolated<Mysql, StrictSnapshot>; servers waits);
#[cfg(feature = "mysql")]
exercise!(mysql_serializable, Isolated<Mysql, Serializable>; servers waits);

/// What a level could break that shows what is not committed.
#[cfg(feature = "mysql")]
mod mysql_read_uncommitted {
    use super::*;

    requirements! { Isolated<Mysql, ReadUncommitted>, flowstate_tests::require;
        crowd:
            one_of_32_threads_wins
            one_of_32_threads_with_a_guard_wins
            eight_threads_lose_nothing
            ;
    }
    mod servers {
        use super::*;

        servers! { Isolated<Mysql, ReadUncommitted> }
    }
}
