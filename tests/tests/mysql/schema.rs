//! Joins with tables of one's own.

flowstate_tests::joins!(
    flowstate_tests::Mysql,
    mysql,
    Vec<u8>,
    diesel::mysql::data_types::MysqlTime
);
