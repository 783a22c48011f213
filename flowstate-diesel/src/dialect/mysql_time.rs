//! Times that this process gives to the database.

use chrono::{DateTime, SubsecRound as _, Utc};

/// What this process's clock says, to the microsecond, and in the form of [`crate::time`].
pub(super) fn now() -> (DateTime<Utc>, String) {
    let now = DateTime::<Utc>::from(std::time::SystemTime::now()).trunc_subsecs(6);
    (now, now.format("%Y-%m-%d %H:%M:%S%.6f").to_string())
}

#[cfg(test)]
mod tests {
    use super::now;
    use crate::time::parse;

    #[test]
    fn is_written_as_it_is_read() {
        let (now, text) = now();
        assert_eq!(parse(&text), Some(now));
    }
}
