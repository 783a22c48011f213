//! Which servers of PostgreSQL can be used.

use crate::error::Unfit;

/// Says why a server cannot be used, if so: by its `server_version` and `server_version_num`.
pub(super) fn refusal(version: &str, number: i64) -> Option<Unfit> {
    let found = format!("PostgreSQL {version}");
    (number < 130_000).then_some(Unfit::TooOld { found, lacks: "", needed: "13 or newer" })
}

#[cfg(test)]
mod tests {
    use super::refusal;

    #[test]
    fn refuses_what_is_older_than_13() {
        assert!(
            refusal("12.22", 120_022).expect("refused").to_string().contains("PostgreSQL 12.22")
        );
        assert_eq!(refusal("13.0", 130_000), None);
    }
}
