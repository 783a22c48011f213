//! Joins with tables of one's own.

flowstate_tests::joins!(flowstate_tests::Sqlite, sqlite, String, String);
