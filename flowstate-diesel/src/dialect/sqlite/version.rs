//! Which builds of SQLite can be used: those with `RETURNING`, and with functions of JSON.

/// Why a library of this `sqlite_version()` cannot be used, if so.
pub(super) fn refusal(version: &str, has_json: impl FnOnce() -> bool) -> Option<String> {
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap_or(u32::MAX));
    let number = (numbers.next().unwrap_or(u32::MAX), numbers.next().unwrap_or(u32::MAX));
    if number < (3, 35) {
        return Some(format!(
            "this is SQLite {version}, which has no RETURNING; flowstate needs 3.35 or newer: take the \
             feature `sqlite-bundled`"
        ));
    }
    (!has_json()).then(|| {
        format!(
            "this SQLite {version} has no functions of JSON: build it with `SQLITE_ENABLE_JSON1`, take \
             3.38 or newer, or the feature `sqlite-bundled`"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::refusal;

    #[test]
    fn refuses_what_is_too_old_or_lacks_json() {
        let of = |version, has_json| refusal(version, || has_json);
        assert!(of("3.33.0", true).expect("refused").contains("no RETURNING"));
        assert!(of("3.35.4", false).expect("refused").contains("`SQLITE_ENABLE_JSON1`"));
        for version in ["3.35.0", "3.53.2", "4.0", "what"] {
            assert_eq!(of(version, true), None, "{version}");
        }
    }
}
