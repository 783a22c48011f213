//! The tables of this crate as Diesel knows tables.

/// Defines the tables of this crate as Diesel's `table!` does, for joins with tables of your own:
/// `tables!(sqlite)`, `tables!(postgres)` or `tables!(mysql)`.
///
/// It makes the modules `flowstate_flows`, `flowstate_transitions` and `flowstate_labels` where it
/// stands, in your own crate, since Diesel lets no two crates join their tables on PostgreSQL.
///
/// Times are `Timestamptz` in PostgreSQL and `Datetime` in MySQL and MariaDB, both in UTC. SQLite has
/// no type for them: they are text of one width, `2026-01-31 23:59:59.123456` in UTC, which sorts as
/// the times do. Keys and the values of labels are text, and bytes in MySQL and MariaDB.
///
/// Columns that only this crate reads are left out, as is all that is JSON: props and artefacts are
/// read by [`find`](crate::FlowStore::find) and [`artefact`](crate::RecordStore::artefact). Write
/// nothing here: a row that is changed without its history is what [`audit`](crate::audit()) finds.
///
#[cfg_attr(feature = "sqlite", doc = "```")]
#[cfg_attr(not(feature = "sqlite"), doc = "```ignore")]
/// use diesel::prelude::*;
///
/// mod schema {
///     flowstate_diesel::tables!(sqlite);
///
///     diesel::table! {
///         orders (id) {
///             id -> BigInt,
///             customer -> Text,
///             flow_id -> BigInt,
///         }
///     }
///     diesel::joinable!(orders -> flowstate_flows (flow_id));
///     diesel::allow_tables_to_appear_in_same_query!(orders, flowstate_flows);
/// }
/// use schema::{flowstate_flows, orders};
///
/// # use flowstate_diesel::FlowStore as _;
/// # #[derive(flowstate::Flow, serde::Serialize, serde::Deserialize)]
/// # #[state(Open, Shipped)]
/// # #[initial(Open)]
/// # #[completed(Shipped)]
/// # #[transition(ship: Open => Shipped)]
/// # struct Shipment;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use diesel::connection::SimpleConnection;
/// # let conn = &mut SqliteConnection::establish(":memory:")?;
/// # flowstate_diesel::migrate(conn)?;
/// # conn.batch_execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT NOT NULL, flow_id BIGINT NOT NULL)")?;
/// # let shipment = Shipment.create(conn)?;
/// # diesel::insert_into(orders::table).values((orders::customer.eq("Ada"), orders::flow_id.eq(shipment.id()))).execute(conn)?;
/// let open: Vec<String> = orders::table
///     .inner_join(flowstate_flows::table)
///     .filter(flowstate_flows::completed_at.is_null())
///     .select(orders::customer)
///     .load(conn)?;
/// assert_eq!(open, ["Ada"]);
/// # Ok(())
/// # }
/// ```
#[macro_export]
macro_rules! tables {
    (sqlite) => {
        $crate::tables! { @of Text, Text }
    };
    (postgres) => {
        $crate::tables! { @of Timestamptz, Text }
    };
    (mysql) => {
        $crate::tables! { @of Datetime, Binary }
    };
    (@of $time:ident, $key:ident) => {
        diesel::table! {
            /// Where each record stands.
            flowstate_flows (id) {
                id -> BigInt,
                /// The stored name of the flow.
                flow -> Text,
                /// The stored name of the state.
                state -> Text,
                /// How many transitions the record has taken.
                seq -> BigInt,
                /// That of `create_once`.
                key -> Nullable<$key>,
                /// That of `create_single`.
                single_key -> Nullable<$key>,
                /// Failed tries of the present step in a row.
                attempts -> Integer,
                /// When a worker may take it.
                due_at -> Nullable<$time>,
                /// Until when it is claimed.
                leased_until -> Nullable<$time>,
                /// By whom it is claimed.
                leased_by -> Nullable<Text>,
                /// When its timed transition is.
                deadline_at -> Nullable<$time>,
                /// When it reached a completed state.
                completed_at -> Nullable<$time>,
                /// When it entered the error state that it is in.
                last_errored_at -> Nullable<$time>,
                created_at -> $time,
                updated_at -> $time,
            }
        }

        diesel::table! {
            /// The history: the row 0 is the creation, and there are no gaps.
            flowstate_transitions (flow_id, seq) {
                flow_id -> BigInt,
                seq -> BigInt,
                /// The stored name of the transition.
                transition -> Text,
                /// The state that it left; none for the creation.
                from_state -> Nullable<Text>,
                /// The state that it led to.
                to_state -> Text,
                /// Which try of the step it belongs to, from 1.
                attempt -> Integer,
                /// Why it failed.
                error -> Nullable<Text>,
                /// Who asked for it.
                actor -> Nullable<Text>,
                created_at -> $time,
            }
        }

        diesel::table! {
            /// What records are looked up by, other than their id and key.
            flowstate_labels (flow_id, name) {
                flow_id -> BigInt,
                name -> Text,
                /// The stored name of the flow.
                flow -> Text,
                value -> $key,
            }
        }

        diesel::joinable!(flowstate_transitions -> flowstate_flows (flow_id));
        diesel::joinable!(flowstate_labels -> flowstate_flows (flow_id));
        diesel::allow_tables_to_appear_in_same_query!(
            flowstate_flows,
            flowstate_transitions,
            flowstate_labels,
        );
    };
}
