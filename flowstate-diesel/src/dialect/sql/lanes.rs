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

/// How many records of a lane there are for which this holds, up to a limit.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
macro_rules! how_many {
    ($which:literal) => {
        concat!(
            "(SELECT COUNT(*) FROM (SELECT 1 FROM flowstate_flows \
             WHERE flow = flow_name AND state = state_name AND ",
            $which,
            " LIMIT ?) AS lane), "
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
    /// Of one lane: asked of all at once, the statement looks so costly to PostgreSQL that it compiles
    /// it, which takes half a second.
    Numbers = concat!(
        "SELECT flow_name, state_name, ",
        how_many!("due_at IS NOT NULL"),
        how_many!("leased_until IS NOT NULL AND due_at IS NULL"),
        how_many!("due_at IS NULL AND leased_until IS NULL"),
        how_many!("leased_until <= @ago"),
        how_many!("due_at <= @ago"),
        "(SELECT @time(oldest) FROM (SELECT due_at AS oldest FROM flowstate_flows \
         WHERE flow = flow_name AND state = state_name AND due_at IS NOT NULL \
         ORDER BY due_at LIMIT 1) AS first) \
         FROM (SELECT CAST(? AS TEXT) AS flow_name, CAST(? AS TEXT) AS state_name) AS lane"
    );
}

#[cfg(feature = "mysql")]
pub(crate) mod on_mysql {
    use super::statements;

    statements! {
        /// What follows in the index: one look, whatever the statistics say. `SELECT DISTINCT` reads
        /// all of it where they are wrong, and so does ORDER BY with LIMIT.
        NextState = "SELECT MIN(state) FROM flowstate_flows @bydue WHERE flow = ? AND state > ?";
        NextFlow = "SELECT MIN(flow) FROM flowstate_flows @bydue WHERE flow > ?";
        /// Of one lane. What is claimed is not due, and so among the rest: to tell them apart every
        /// row would have to be read.
        Numbers =
            "SELECT flow_name, state_name, due, 0, rest, expired, overdue, @time(oldest) FROM (\
             SELECT ? AS flow_name, ? AS state_name, \
             (SELECT COUNT(*) FROM (SELECT id FROM flowstate_flows @bydue \
             WHERE flow = ? AND state = ? AND due_at IS NOT NULL LIMIT ?) AS lane) AS due, \
             (SELECT COUNT(*) FROM (SELECT id FROM flowstate_flows @bydue \
             WHERE flow = ? AND state = ? AND due_at IS NULL LIMIT ?) AS lane) AS rest, \
             (SELECT COUNT(*) FROM (SELECT id FROM flowstate_flows @bylease \
             WHERE flow = ? AND state = ? AND leased_until <= @ago LIMIT ?) AS lane) AS expired, \
             (SELECT COUNT(*) FROM (SELECT id FROM flowstate_flows @bydue \
             WHERE flow = ? AND state = ? AND due_at <= @ago LIMIT ?) AS lane) AS overdue, \
             (SELECT MIN(due_at) FROM flowstate_flows @bydue \
             WHERE flow = ? AND state = ? AND due_at > '1000-01-01 00:00:00') AS oldest) AS numbers";
    }
}
