//! The application's own table and its own Diesel code, for each connection that it can run on.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use flowstate_diesel::Store;

diesel::table! {
    my_records (id) {
        id -> Text,
        third_party_id -> Text,
        payload -> Nullable<Text>,
    }
}

/// What the application does with its table.
///
/// An application on one database needs no trait: it writes functions that take its connection.
pub(crate) trait MyRecords: Store + SimpleConnection {
    fn create_my_records(&mut self) -> QueryResult<()> {
        self.batch_execute(
            "CREATE TABLE IF NOT EXISTS my_records (id VARCHAR(64) NOT NULL PRIMARY KEY, \
             third_party_id VARCHAR(64) NOT NULL, payload TEXT)",
        )
    }

    fn count_my_records(&mut self) -> QueryResult<i64>;
    fn insert_my_record(&mut self, id: &str, third_party_id: &str) -> QueryResult<usize>;
    fn my_record_exists(&mut self, id: &str) -> QueryResult<bool>;
    fn save_my_record(&mut self, id: &str, payload: &str) -> QueryResult<usize>;
    fn payload_of(&mut self, id: &str) -> QueryResult<Option<String>>;
}

/// One text of Diesel code for each database: its bounds can only be met for a concrete connection.
macro_rules! my_records {
    ($connection:ty) => {
        impl MyRecords for $connection {
            fn count_my_records(&mut self) -> QueryResult<i64> {
                my_records::table.count().get_result(self)
            }

            fn insert_my_record(&mut self, id: &str, third_party_id: &str) -> QueryResult<usize> {
                let row = (my_records::id.eq(id), my_records::third_party_id.eq(third_party_id));
                diesel::insert_into(my_records::table).values(row).execute(self)
            }

            fn my_record_exists(&mut self, id: &str) -> QueryResult<bool> {
                diesel::select(diesel::dsl::exists(my_records::table.find(id))).get_result(self)
            }

            fn save_my_record(&mut self, id: &str, payload: &str) -> QueryResult<usize> {
                let row = diesel::update(my_records::table.find(id));
                row.set(my_records::payload.eq(payload)).execute(self)
            }

            fn payload_of(&mut self, id: &str) -> QueryResult<Option<String>> {
                my_records::table.find(id).select(my_records::payload).first(self)
            }
        }
    };
}
my_records!(SqliteConnection);
#[cfg(feature = "postgres")]
my_records!(PgConnection);
#[cfg(feature = "mysql")]
my_records!(MysqlConnection);
