//! The lanes, which are the states of flows that have records, and their numbers.
//!
//! No index has every record: one is due, or claimed, or neither, and each of these has an index of
//! its own by flow and state. What follows looks into the three. MySQL's index of what is due has
//! every record.

use super::statement::statements;

/// The least name in each of the three indexes for which `$which` holds, and the least of those.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
macro_rules! least {
    ($name:literal, $which:literal) => {
        concat!(
            "(SELECT MIN(name) FROM (\
             SELECT MIN(",
            $name,
            ") AS name FROM flowstate_flows AS due \
             WHERE due_at IS NOT NULL AND ",
            $which,
            " UNION ALL SELECT MIN(",
            $name,
            ") FROM flowstate_flows AS claimed \
             WHERE leased_until IS NOT NULL AND ",
            $which,
            " UNION ALL SELECT MIN(",
            $name,
            ") FROM flowstate_flows AS rest \
             WHERE due_at IS NULL AND leased_until IS NULL AND ",
            $which,
            ") AS parts)"
        )
    };
}

/// From each flow and state to the next: as many look-ups as there are.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
macro_rules! lanes {
    () => {
        concat!(
            "WITH RECURSIVE flows (name) AS (\
             SELECT ",
            least!("flow", "flow >= ?"),
            " UNION ALL SELECT ",
            least!("flow", "flow > flows.name"),
            " FROM flows WHERE name IS NOT NULL AND ? = ''\
             ), lanes (flow_name, state_name) AS (\
             SELECT name, ",
            least!("state", "flow = flows.name"),
            " FROM flows WHERE name IS NOT NULL UNION ALL SELECT flow_name, ",
            least!("state", "flow = lanes.flow_name AND state > lanes.state_name"),
            " FROM lanes WHERE state_name IS NOT NULL) "
        )
    };
}

/// Counts the records of one lane, up to a limit: `$lane` says which records are in it, and `$order`
/// in which order they are read.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
macro_rules! how_many {
    ($lane:literal, $order:literal, $which:literal) => {
        concat!(
            "(SELECT COUNT(*) FROM (SELECT 1 FROM flowstate_flows WHERE ",
            $lane,
            " AND ",
            $which,
            $order,
            " LIMIT ?) AS lane)"
        )
    };
}

/// The numbers of one lane (which one follows is known from elsewhere): asked of all at once, the statement looks so costly to PostgreSQL that it
/// compiles it, which takes half a second.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
macro_rules! numbers {
    ($lane:literal, $order:literal, $expired:literal, $overdue:literal) => {
        concat!(
            "SELECT flow_name, state_name, ",
            how_many!($lane, $order, "due_at IS NOT NULL"),
            ", ",
            how_many!($lane, $order, "leased_until IS NOT NULL AND due_at IS NULL"),
            ", ",
            how_many!($lane, $order, "due_at IS NULL AND leased_until IS NULL"),
            ", ",
            how_many!($lane, $order, $expired),
            ", ",
            how_many!($lane, $order, $overdue),
            ", (SELECT @time(oldest) FROM (SELECT due_at AS oldest FROM flowstate_flows \
             WHERE flow = flow_name AND state = state_name AND due_at IS NOT NULL \
             ORDER BY due_at LIMIT 1) AS first), NULL \
             FROM (SELECT CAST(? AS TEXT) AS flow_name, CAST(? AS TEXT) AS state_name) AS lane"
        )
    };
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
statements! {
    Lanes = concat!(
        lanes!(),
        "SELECT flow_name, state_name FROM lanes \
         WHERE state_name IS NOT NULL AND (? = '' OR flow_name = ?) \
         ORDER BY flow_name, state_name LIMIT 10000"
    );
}

#[cfg(feature = "sqlite")]
pub(crate) mod on_sqlite {
    use super::statements;

    statements! {
        Numbers = numbers!(
            "flow = flow_name AND state = state_name",
            "",
            "leased_until <= @ago",
            "due_at <= @ago"
        );
    }
}

#[cfg(feature = "postgres")]
pub(crate) mod on_postgres {
    use super::statements;

    // A lane is a range of an index, read in its order, which no walk through the table gives; see
    // `operator::on_postgres`. From a comparison of rows the planner does not see that a column is
    // not null, as a partial index wants it.
    statements! {
        Numbers = numbers!(
            "(flow, state) >= (flow_name, state_name) AND (flow, state) <= (flow_name, state_name)",
            " ORDER BY flow, state",
            "leased_until IS NOT NULL AND (flow, state, leased_until) <= (flow_name, state_name, @ago)",
            "due_at IS NOT NULL AND (flow, state, due_at) <= (flow_name, state_name, @ago)"
        );
    }
}

#[cfg(feature = "mysql")]
pub(crate) mod on_mysql {
    use super::statements;

    statements! {
        /// What follows in the index: one look, whatever the statistics say. `SELECT DISTINCT` reads
        /// all of it where they are wrong, and so does ORDER BY with LIMIT.
        NextState = "SELECT MIN(state) FROM flowstate_flows @bydue WHERE flow = ? AND state > ?";
        NextFlow = "SELECT MIN(flow) FROM flowstate_flows @bydue WHERE flow > ?";
        /// Of one lane, and which state follows. What is claimed is not due, and so among the rest: to
        /// tell them apart every row would have to be read. Of what is due the oldest come first, so
        /// that those that are overdue are among those that are counted: one look tells both.
        Numbers =
            "SELECT ? AS flow_name, ? AS state_name, COUNT(*) AS due, 0, \
             (SELECT COUNT(*) FROM (SELECT id FROM flowstate_flows @bydue \
             WHERE flow = ? AND state = ? AND due_at IS NULL LIMIT ?) AS found) AS rest, \
             (SELECT COUNT(*) FROM (SELECT id FROM flowstate_flows @bylease \
             WHERE flow = ? AND state = ? AND leased_until <= @ago LIMIT ?) AS found) AS expired, \
             COUNT(CASE WHEN due_at <= @ago THEN 1 END) AS overdue, \
             (SELECT @time(due_at) FROM flowstate_flows @bydue WHERE flow = ? AND state = ? \
             AND due_at IS NOT NULL ORDER BY due_at LIMIT 1) AS oldest, \
             (SELECT MIN(state) FROM flowstate_flows @bydue WHERE flow = ? AND state > ?) AS next \
             FROM (SELECT due_at FROM flowstate_flows @bydue \
             WHERE flow = ? AND state = ? AND due_at IS NOT NULL ORDER BY due_at LIMIT ?) AS waiting";
    }
}
