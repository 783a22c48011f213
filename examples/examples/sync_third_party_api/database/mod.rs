//! What the program does in each database's own way: opening it, and keeping runs apart.

#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "postgres")]
mod postgres;
mod sqlite;

use diesel::r2d2::{ConnectionManager, Pool, R2D2Connection};
use flowstate_diesel::BoxError;

use crate::my_records::MyRecords;

/// A pool of connections to one database.
pub(crate) type Connections<C> = Pool<ConnectionManager<C>>;

/// Whether a run has the database for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Two plain threads: they take a flow in the midst of a step for the remains of a dead run.
    Alone,
    /// Workers: their leases tell the dead from the living, so any number of runs may work at once.
    Shared,
}

/// A connection to a database that the program can run on.
pub(crate) trait Database: MyRecords + R2D2Connection + 'static {
    /// Keeps other runs out until it is dropped, or the process ends, however it ends.
    type Lock;

    /// Waits for others a second at the most.
    fn lock(url: &str, access: Access) -> Result<Self::Lock, BoxError>;

    /// One connection, which fails at once where a pool would try for half a minute.
    fn connect(url: &str) -> Result<Self, BoxError> {
        Ok(Self::establish(url)?)
    }

    fn pool(url: &str, size: u32) -> Result<Connections<Self>, BoxError> {
        Ok(Pool::builder().max_size(size).build(ConnectionManager::new(url))?)
    }
}

/// What to tell who asks for a database that this program cannot reach.
pub(crate) fn refusal(scheme: &str) -> String {
    let feature = match scheme {
        "postgres" | "postgresql" => "postgres",
        "mysql" | "mariadb" => "mysql",
        _ => {
            return format!(
                "`{scheme}://` is no known database: give `postgres://…`, `mysql://…` or the path of a SQLite file"
            );
        }
    };
    if feature == "mysql" && cfg!(feature = "mysql") {
        return "MariaDB is reached as `mysql://…`".to_owned();
    }
    format!(
        "`{scheme}://` needs the feature `{feature}`: cargo run --example \
         sync_third_party_api --features {feature} -- --database-url …"
    )
}

/// The URL without a user and a password, for messages.
pub(crate) fn shown(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let place = rest.split('?').next().unwrap_or_default();
            format!("{scheme}://{}", place.rsplit('@').next().unwrap_or_default())
        }
        None => url.to_owned(),
    }
}
