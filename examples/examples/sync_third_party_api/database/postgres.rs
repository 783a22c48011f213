//! PostgreSQL: a lock of the application's own, which a connection holds.

use diesel::connection::SimpleConnection as _;
use flowstate_diesel::{BoxError, prelude::*};

use super::{Access, Database};

impl Database for PgConnection {
    type Lock = Self;

    fn lock(url: &str, access: Access) -> Result<Self, BoxError> {
        let lock = match access {
            Access::Alone => "pg_advisory_lock",
            Access::Shared => "pg_advisory_lock_shared",
        };
        let mut conn = Self::establish(url)?;
        conn.batch_execute("SET lock_timeout = '1s'")?;
        conn.batch_execute(&format!("SELECT {lock}(hashtext('sync_third_party_api'))"))
            .map_err(|error| format!("it is in use by another run: {error}"))?;
        Ok(conn)
    }
}
