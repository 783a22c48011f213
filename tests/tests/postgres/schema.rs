//! Joins with tables of one's own.

flowstate_tests::joins!(
    flowstate_tests::Postgres,
    postgres,
    String,
    diesel::data_types::PgTimestamp
);
