//! Two versions of a program on one database: what one writes and the other does not know.

pub mod deploy;
pub mod ends;
pub mod flow;
pub mod names;
mod order;
pub mod payloads;
pub mod states;
pub mod ways;

use diesel::connection::SimpleConnection as _;
use flowstate::Flow;
use flowstate_diesel::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{Database, check};

/// The version before.
mod before {
    use super::{Deserialize, Flow, Serialize};

    #[derive(Flow, Serialize, Deserialize)]
    #[state(Open, Paid)]
    #[initial(Open)]
    #[completed(Paid)]
    #[transition(correct: Open => Open)]
    #[transition(pay: Open => Paid)]
    pub(super) struct Parcel {
        pub(super) grams: i64,
    }
}

/// The version after: a state has another name, and the props a further field.
mod after {
    use super::{Deserialize, Flow, Serialize};

    #[derive(Flow, Serialize, Deserialize)]
    #[state(Weighed(alias = "open"), Paid)]
    #[initial(Weighed)]
    #[completed(Paid)]
    #[transition(correct: Weighed => Weighed)]
    #[transition(pay: Weighed => Paid)]
    pub(super) struct Parcel {
        pub(super) grams: i64,
        #[serde(default)]
        pub(super) fragile: bool,
    }
}

/// An update by a program that does not know a field leaves it as it is.
pub fn an_update_keeps_what_it_does_not_know<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let parcel = after::Parcel { grams: 5, fragile: true }.create(conn).expect("created");
    // the version before knows the state by this name
    conn.batch_execute("UPDATE flowstate_flows SET state = 'open'").expect("renamed");
    conn.batch_execute("UPDATE flowstate_transitions SET to_state = 'open'").expect("renamed");

    let mut older = before::Parcel::find(parcel.id(), conn).expect("found");
    let request = older.transition(before::Parcel::CORRECT, conn);
    request.update(|parcel| parcel.grams = 7).run().expect("corrected");

    let found = after::Parcel::find(parcel.id(), conn).expect("found");
    assert_eq!((found.grams, found.fragile), (7, true));
    check::clean(conn);
}

/// Rows under an alias count for the state that it is now.
pub fn aliases_count_for_the_state<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    before::Parcel { grams: 1 }.create(conn).expect("created");
    after::Parcel { grams: 2, fragile: false }.create(conn).expect("created");
    let mut paid = before::Parcel { grams: 3 }.create(conn).expect("created");
    paid.transition(before::Parcel::PAY, conn).run().expect("paid");

    let counts = after::Parcel::count_by_state(u32::MAX, conn).expect("counted");
    let counts: Vec<_> =
        counts.iter().map(|count| (&*count.state, count.records, count.is_known)).collect();
    assert_eq!(counts, [("paid", 1, true), ("weighed", 2, true)]);
    let counts = after::Parcel::count_by_state(1, conn).expect("counted");
    assert!(counts.iter().map(|count| count.records).eq([1, 1]), "no further: {counts:?}");
    check::clean(conn);
}
