//! What tests look at afterwards.

use flowstate_diesel::AsStore;

use crate::Database;

/// The oracle: no gaps, no orphans, every state where its history ends.
pub fn clean(conn: &mut impl AsStore) {
    let audit = flowstate_diesel::audit(conn).expect("the audit ran");
    assert!(audit.is_clean(), "{audit}");
}

/// How many rows a table has.
pub fn rows<D: Database>(conn: &mut D::Conn, table: &str) -> i64 {
    D::number(conn, &format!("SELECT COUNT(*) FROM {table}"))
}

/// How many rows the three tables have: flows, transitions, artefacts.
pub fn sizes<D: Database>(conn: &mut D::Conn) -> [i64; 3] {
    ["flowstate_flows", "flowstate_transitions", "flowstate_artefacts"]
        .map(|table| rows::<D>(conn, table))
}

/// Makes a table of the user's own: effects by name.
pub fn make_effects(conn: &mut impl diesel::connection::SimpleConnection) {
    conn.batch_execute("CREATE TABLE effects (name VARCHAR(64) NOT NULL)").expect("a table");
}

/// Takes the error of a result, which must match the pattern.
#[macro_export]
macro_rules! refused {
    ($result:expr, $pattern:pat => $value:expr) => {
        match $result {
            Err($pattern) => $value,
            Err(other) => panic!("another error: {other:?}"),
            Ok(_) => panic!("it was not refused"),
        }
    };
    ($result:expr, $pattern:pat) => {
        $crate::refused!($result, $pattern => ())
    };
}
