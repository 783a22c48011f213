//! Servers for the tests, and a database or schema of its own for each.

use crate::Database;
use crate::own_server::ServerKind;

/// A database on a server.
pub trait Served: Database {
    /// What runs it, for a test that starts a server of its own.
    const KIND: ServerKind;

    /// What the client says last on the fast path, in a transition by `cut here`.
    const LAST_WORDS: &'static str;

    /// And in a transaction of several statements.
    const LAST_WORDS_OF_MANY: &'static str = "COMMIT";

    /// The server, as `host:port`.
    fn address() -> String;

    /// The database, reached through another port of this machine.
    fn url_through(&self, port: u16) -> String;
}

/// The URL of a server, from its variable. The feature asks for its tests: without the variable
/// they fail.
///
/// # Panics
/// If the variable is not set.
#[must_use]
pub fn server(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!("the tests on this database need `{variable}`, the URL of a server")
    })
}

/// A name that no other test has.
#[must_use]
pub fn fresh_name() -> String {
    format!("flowstate_test_{}_{:016x}", std::process::id(), fastrand::u64(..))
}

/// The URL with another database.
#[must_use]
pub fn with_database(url: &str, database: &str) -> String {
    let authority = url.find("://").map_or(0, |at| at + 3);
    let (address, query) = match url.split_once('?') {
        Some((address, query)) => (address, format!("?{query}")),
        None => (url, String::new()),
    };
    let end = address[authority..].find('/').map_or(address.len(), |at| authority + at);
    format!("{}/{database}{query}", &address[..end])
}

/// The `host:port` of a URL.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn address(url: &str) -> &str {
    let rest = url.split_once("://").expect("a URL").1;
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default()
}

/// The URL with another port of this machine.
#[must_use]
pub fn with_port(url: &str, port: u16) -> String {
    url.replacen(address(url), &format!("127.0.0.1:{port}"), 1)
}

#[cfg(test)]
mod tests {
    use super::{with_database, with_port};

    #[test]
    fn replaces_the_port_of_a_url() {
        for (url, other) in [
            ("mysql://root@127.0.0.1:3306/mysql", "mysql://root@127.0.0.1:9/mysql"),
            ("postgres://u:p@h?sslmode=off", "postgres://u:p@127.0.0.1:9?sslmode=off"),
        ] {
            assert_eq!(with_port(url, 9), other);
        }
    }

    #[test]
    fn replaces_the_database_of_a_url() {
        for (url, other) in [
            ("mysql://root@127.0.0.1:3306/mysql", "mysql://root@127.0.0.1:3306/mine"),
            ("mysql://root@127.0.0.1:3306", "mysql://root@127.0.0.1:3306/mine"),
            ("postgres://u:p@h/?sslmode=off", "postgres://u:p@h/mine?sslmode=off"),
        ] {
            assert_eq!(with_database(url, "mine"), other);
        }
    }
}
