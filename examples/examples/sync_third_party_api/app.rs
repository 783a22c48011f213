//! The application: its own table, next to those of flowstate, in one database.

use diesel::r2d2::{ConnectionManager, PooledConnection};
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use flowstate_diesel::{BoxError, Error, Result, prelude::*};

use crate::chain;
use crate::database::{Access, Connections, Database, shown};
use crate::flow::SyncThirdPartyApi;
use crate::my_records::MyRecords;

/// The application's database.
pub(crate) struct App<C: Database> {
    pool: Connections<C>,
    _lock: C::Lock,
}

impl<C: Database> App<C> {
    pub(crate) fn open(url: &str, connections: u32, access: Access) -> Result<Self, BoxError> {
        let open = || {
            let lock = C::lock(url, access)?;
            let mut conn = C::connect(url)?;
            flowstate_diesel::migrate(&mut conn)?;
            conn.create_my_records()?;
            Ok(Self { pool: C::pool(url, connections)?, _lock: lock })
        };
        open().map_err(|error: BoxError| {
            format!("cannot open the database {}: {}", shown(url), chain(&*error)).into()
        })
    }

    pub(crate) fn pool(&self) -> Connections<C> {
        self.pool.clone()
    }

    pub(crate) fn connection(&self) -> Result<PooledConnection<ConnectionManager<C>>, BoxError> {
        Ok(self.pool.get()?)
    }

    /// Makes so many records without a payload, each with a flow that will fetch it, all or none.
    pub(crate) fn order(&self, count: u32) -> Result<Vec<i64>, BoxError> {
        let conn = &mut self.connection()?;
        let mut first = conn.count_my_records()?;
        loop {
            match flowstate_diesel::transaction(conn, |tx| order_all(first, count, tx)) {
                // another run has ordered these numbers meanwhile, or some were deleted
                Err(Error::Database { source, .. }) if is_taken(&source) => first += 1,
                ordered => return Ok(ordered?),
            }
        }
    }
}

fn order_all<C: MyRecords>(first: i64, count: u32, tx: &mut C) -> Result<Vec<i64>> {
    (first..first + i64::from(count)).map(|number| order_one(number, tx)).collect()
}

fn order_one<C: MyRecords>(number: i64, tx: &mut C) -> Result<i64> {
    let my_record_id = format!("my-record-{number}");
    let third_party_id = format!("customer-{number}");
    tx.insert_my_record(&my_record_id, &third_party_id)?;
    Ok(SyncThirdPartyApi { my_record_id, third_party_id }.create(tx)?.id())
}

fn is_taken(error: &DieselError) -> bool {
    matches!(error, DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _))
}
