//! Which builds of SQLite can be used: those with `RETURNING`, and with functions of JSON.

use crate::error::Unfit;

/// Says why a library of this `sqlite_version()` cannot be used, if so.
pub(super) fn refusal(version: &str, has_json: bool) -> Option<Unfit> {
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap_or(u32::MAX));
    let number = (numbers.next().unwrap_or(u32::MAX), numbers.next().unwrap_or(u32::MAX));
    if number < (3, 35) {
        let needed = "3.35 or newer: take the feature `sqlite-bundled`";
        let found = format!("SQLite {version}");
        return Some(Unfit::TooOld { found, lacks: "RETURNING", needed });
    }
    (!has_json).then(|| Unfit::NoJson { version: version.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::{Unfit, refusal};

    #[test]
    fn refuses_what_is_too_old_or_lacks_json() {
        let old = refusal("3.33.0", true);
        assert!(matches!(old, Some(Unfit::TooOld { lacks: "RETURNING", .. })), "{old:?}");
        assert_eq!(refusal("3.35.4", false), Some(Unfit::NoJson { version: "3.35.4".to_owned() }));
        for version in ["3.35.0", "3.53.2", "4.0", "what"] {
            assert_eq!(refusal(version, true), None, "{version}");
        }
    }
}
