//! MySQL and MariaDB: a locked table, since their named locks cannot be shared.

use diesel::connection::SimpleConnection as _;
use flowstate_diesel::{BoxError, prelude::*};

use super::{Access, Database};

impl Database for MysqlConnection {
    type Lock = Self;

    fn lock(url: &str, access: Access) -> Result<Self, BoxError> {
        let lock = match access {
            Access::Alone => "LOCK TABLES my_runs WRITE",
            Access::Shared => "LOCK TABLES my_runs READ",
        };
        let mut conn = Self::establish(url)?;
        conn.batch_execute("SET lock_wait_timeout = 1")?;
        conn.batch_execute("CREATE TABLE IF NOT EXISTS my_runs (id INT PRIMARY KEY)")
            .and_then(|()| conn.batch_execute(lock))
            .map_err(|error| format!("it is in use by another run: {error}"))?;
        Ok(conn)
    }
}
