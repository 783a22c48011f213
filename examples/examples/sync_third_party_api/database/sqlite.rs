//! A file, and next to it one that is locked.

use std::fs::{File, TryLockError};
use std::path::Path;

use diesel::r2d2::{ConnectionManager, Pool};
use flowstate_diesel::sqlite::Customizer;
use flowstate_diesel::{BoxError, prelude::*};

use super::{Access, Connections, Database};

impl Database for SqliteConnection {
    type Lock = File;

    fn lock(path: &str, access: Access) -> Result<File, BoxError> {
        let lock = Path::new(path).with_added_extension("lock");
        let file = File::options().create(true).append(true).open(&lock);
        let file = file.map_err(|error| format!("cannot create {}: {error}", lock.display()))?;
        let locked = match access {
            Access::Alone => file.try_lock(),
            Access::Shared => file.try_lock_shared(),
        };
        match locked {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err("it is in use by another run".into()),
            Err(TryLockError::Error(error)) => {
                Err(format!("cannot lock {}: {error}", lock.display()).into())
            }
        }
    }

    fn connect(path: &str) -> Result<Self, BoxError> {
        let mut conn = Self::establish(path)?;
        Customizer::new().apply(&mut conn)?;
        Ok(conn)
    }

    fn pool(path: &str, size: u32) -> Result<Connections<Self>, BoxError> {
        let pool =
            Pool::builder().max_size(size).connection_customizer(Box::new(Customizer::new()));
        Ok(pool.build(ConnectionManager::new(path))?)
    }
}
