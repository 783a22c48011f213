//! What the time of a change may be, where the database does not say.

use chrono::{DateTime, SubsecRound as _, Utc};

/// What this process's clock says, to the microsecond.
pub(super) fn now() -> DateTime<Utc> {
    DateTime::<Utc>::from(std::time::SystemTime::now()).trunc_subsecs(6)
}
