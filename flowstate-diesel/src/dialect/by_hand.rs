//! Transactions that were begun by hand, by statements of others that say so in their text. Diesel
//! knows nothing of them, and PostgreSQL and MySQL do not refuse a second BEGIN: the first COMMIT,
//! which is ours, would end the transaction of the caller.
//!
//! A text is only read for what it may have begun or set: whether it did, the server is asked.

use std::fmt;
use std::fmt::Write as _;

use diesel::connection::DebugQuery;

/// The text of a statement, without what is bound.
pub(crate) fn sql(query: &dyn DebugQuery) -> String {
    struct Sql(String);
    impl fmt::Write for Sql {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            // the values follow, which may be long
            if text.starts_with(" -- binds") {
                return Err(fmt::Error);
            }
            self.0.push_str(text);
            Ok(())
        }
    }
    let mut sql = Sql(String::new());
    // it fails where it is cut off
    write!(sql, "{query}").unwrap_or_default();
    sql.0
}

const OF_ROWS: [&str; 7] = ["SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "WITH", "VALUES"];
const OF_TRANSACTIONS: [&str; 6] = ["BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE"];

/// Whether the text of others only reads and writes rows: it begins and ends nothing.
pub(crate) fn is_of_rows(text: &str) -> bool {
    first_words(text).all(|word| OF_ROWS.contains(&&*word))
}

/// Whether the text of others may change what other statements on its connection do.
pub(crate) fn may_set(text: &str) -> bool {
    let known = |word: &str| OF_ROWS.contains(&word) || OF_TRANSACTIONS.contains(&word);
    !first_words(text).all(|word| known(&word))
}

/// Whether the text of others may leave a transaction open that it has begun.
pub(crate) fn may_begin(text: &str) -> bool {
    may_set(text) || first_words(text).any(|word| word == "BEGIN") || may_chain(text)
}

/// Whether it may end a transaction and begin the next one at once.
fn may_chain(text: &str) -> bool {
    first_words(text).any(|word| OF_TRANSACTIONS.contains(&&*word))
        && text
            .split_whitespace()
            .any(|word| word.get(..5).is_some_and(|word| word.eq_ignore_ascii_case("CHAIN")))
}

// The text is not parsed: a `;` may stand in a string or a comment, and what follows it is then taken
// for a statement. Each statement that is there is found all the same.
fn first_words(text: &str) -> impl Iterator<Item = String> {
    text.split(';')
        .filter_map(|one| {
            without_comments(one).split([' ', '(', '\t', '\r', '\n']).find(|word| !word.is_empty())
        })
        .map(str::to_ascii_uppercase)
}

/// The text from its first word on. MySQL runs what stands in a comment with `!` or `M!`, and one
/// without an end may have its end behind the next `;`: they are words, and none that is known.
fn without_comments(text: &str) -> &str {
    let mut text = text.trim_start();
    loop {
        let end = if text.starts_with("--") || text.starts_with('#') {
            text.find('\n').map(|at| at + 1)
        } else if text.starts_with("/*") && !text.starts_with("/*!") && !text.starts_with("/*M!") {
            text.find("*/").map(|at| at + 2)
        } else {
            None
        };
        let Some(end) = end else { return text };
        text = text[end..].trim_start();
    }
}

#[cfg(test)]
mod tests {
    #[cfg(feature = "sqlite")]
    use super::sql;
    use super::{is_of_rows, may_begin, may_set};

    #[test]
    fn texts_that_leave_transactions_and_settings_alone_are_known() {
        let rows = [
            "select 1",
            "-- mine\nINSERT INTO a VALUES (1); DELETE FROM a;",
            "",
            "WITH a AS (SELECT 1) SELECT 1",
            "(SELECT 1) UNION (SELECT 2)",
        ];
        for text in rows {
            assert!(is_of_rows(text) && !may_set(text) && !may_begin(text), "{text}");
        }
        for text in ["BEGIN", "SELECT 1; COMMIT", "savepoint mine", "ROLLBACK TO mine"] {
            assert!(!is_of_rows(text) && !may_set(text), "{text}");
        }
        for text in [
            "PRAGMA query_only = ON",
            "SELECT 1; pragma foreign_keys = OFF",
            "BEGIN; CREATE TEMP TABLE a (id INTEGER); COMMIT",
            "ATTACH 'a' AS b",
        ] {
            assert!(!is_of_rows(text) && may_set(text), "{text}");
        }
    }

    #[cfg(feature = "sqlite")]
    #[test]
    fn the_text_is_without_what_is_bound() {
        let query = diesel::sql_query("SELECT ?").bind::<diesel::sql_types::Text, _>("; PRAGMA a");
        assert_eq!(sql(&diesel::debug_query::<diesel::sqlite::Sqlite, _>(&query)), "SELECT ?");
    }

    #[test]
    fn whatever_may_begin_a_transaction_is_taken_for_it() {
        for text in [
            "BEGIN",
            "begin transaction isolation level serializable",
            "START TRANSACTION READ ONLY;",
            "-- mine\n /* too */ Begin; INSERT INTO mine VALUES (1)",
            "COMMIT AND CHAIN",
            "ROLLBACK AND CHAIN;",
            "COMMIT; BEGIN",
            "BEGIN; SELECT 1; COMMIT",
            "SET autocommit = 0",
            "CALL mine()",
            "/*!50000 BEGIN */",
            "/* ; */ BEGIN",
            "/* /* */ */ BEGIN",
            "-- mine; SELECT 1\nBEGIN",
            "INSERT INTO mine VALUES ('; SELECT 1'); BEGIN",
        ] {
            assert!(may_begin(text), "{text}");
        }
        for text in [
            "",
            "SELECT 'BEGIN'",
            "COMMIT",
            "rollback;",
            "END",
            "ROLLBACK TO mine",
            "SAVEPOINT begin",
        ] {
            assert!(!may_begin(text), "{text}");
        }
    }
}
