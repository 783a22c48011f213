//! A transition with a guard and a write as one would write it with Diesel's query DSL: what of the
//! distance to the floor is Diesel's.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Text;

use super::token;
use crate::database::{Database as _, sqlite::Sqlite};

diesel::table! {
    flowstate_flows (id) {
        id -> BigInt,
        state -> Text,
        seq -> BigInt,
        props -> Text,
        attempts -> Integer,
        due_at -> Nullable<Text>,
        completed_at -> Nullable<Text>,
        leased_until -> Nullable<Text>,
        leased_by -> Nullable<Text>,
        updated_at -> Text,
    }
}

diesel::table! {
    flowstate_transitions (flow_id, seq) {
        flow_id -> BigInt,
        seq -> BigInt,
        transition -> Text,
        from_state -> Nullable<Text>,
        to_state -> Text,
        attempt -> Integer,
        token -> Text,
        created_at -> Text,
    }
}

const NOW: &str = "strftime('%Y-%m-%d %H:%M:%f000', 'now')";

/// Moves the record on from `at`.
pub(crate) fn guarded(conn: &mut SqliteConnection, record: i64, at: i64) {
    let moved = conn.immediate_transaction(|conn| {
        use self::flowstate_flows::dsl::{
            attempts, completed_at, due_at, flowstate_flows, id, leased_by, leased_until, props,
            seq, state, updated_at,
        };
        let row = flowstate_flows.filter(id.eq(record)).select((state, seq, props));
        let (from, found, _) = row.first::<(String, i64, String)>(conn)?;
        assert_eq!(found, at);
        assert!(Sqlite::allows(conn)?);
        Sqlite::pay(conn, record)?;
        let none = None::<&str>;
        let changes = (
            (
                state.eq("open"),
                seq.eq(at + 1),
                attempts.eq(0),
                due_at.eq(sql::<Text>(NOW).nullable()),
            ),
            (completed_at.eq(none), leased_until.eq(none), leased_by.eq(none)),
            updated_at.eq(sql::<Text>(NOW)),
        );
        let row = flowstate_flows.filter(id.eq(record).and(seq.eq(at)));
        assert_eq!(diesel::update(row).set(changes).execute(conn)?, 1);
        let history = {
            use self::flowstate_transitions::dsl::{
                attempt, created_at, flow_id, from_state, seq, to_state, token as named, transition,
            };
            (
                (flow_id.eq(record), seq.eq(at + 1), transition.eq("pay"), from_state.eq(from)),
                (to_state.eq("open"), attempt.eq(1), named.eq(token())),
                created_at.eq(sql::<Text>(NOW)),
            )
        };
        diesel::insert_into(flowstate_transitions::table).values(history).execute(conn)
    });
    assert_eq!(moved, Ok(1));
}
