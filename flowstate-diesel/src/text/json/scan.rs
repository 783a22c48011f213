//! One pass over JSON text for what a database would refuse or change.

use super::MAX_JSON_DEPTH;

/// The parts of a JSON text that a database may refuse or change.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) null: bool,
}

/// Looks through text that `serde_json` wrote, or passed on as `RawValue`. `Err` says what cannot be stored.
pub(super) fn scan(text: &str) -> Result<Found, &'static str> {
    let bytes = text.as_bytes();
    let mut found = Found::default();
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => at = end_of_string(bytes, at)?,
            b'[' | b'{' => {
                depth += 1;
                if depth > MAX_JSON_DEPTH {
                    return Err("nested more than 100 levels deep");
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'-' | b'0'..=b'9' => {
                let end = end_of_number(bytes, at);
                check_number(&text[at..end])?;
                at = end;
                continue;
            }
            b'n' => found.null = true,
            _ => {}
        }
        at += 1;
    }
    Ok(found)
}

/// The position of the quote that closes the string opened at `at`.
fn end_of_string(bytes: &[u8], mut at: usize) -> Result<usize, &'static str> {
    loop {
        at += 1;
        match bytes.get(at) {
            Some(b'"') | None => return Ok(at),
            Some(b'\\') => at = end_of_escape(bytes, at)?,
            Some(_) => {}
        }
    }
}

/// The position of the last sign of the escape that begins at `at`.
fn end_of_escape(bytes: &[u8], at: usize) -> Result<usize, &'static str> {
    const UNPAIRED: &str = "a string contains half a surrogate pair";
    match code_unit(bytes, at) {
        None => Ok(at + 1),
        Some(0) => Err("a string contains the NUL character"),
        Some(0xd800..=0xdbff) => match code_unit(bytes, at + 6) {
            Some(0xdc00..=0xdfff) => Ok(at + 11),
            _ => Err(UNPAIRED),
        },
        Some(0xdc00..=0xdfff) => Err(UNPAIRED),
        Some(_) => Ok(at + 5),
    }
}

/// What is escaped as `\u` and four digits.
fn code_unit(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn end_of_number(bytes: &[u8], at: usize) -> usize {
    let digits = bytes[at..]
        .iter()
        .take_while(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'));
    at + digits.count()
}

fn check_number(number: &str) -> Result<(), &'static str> {
    let whole = !number.contains(['.', 'e', 'E']);
    // up to 18 digits always fit
    if whole
        && number.len() > 18
        && number.parse::<i64>().is_err()
        && number.parse::<u64>().is_err()
    {
        return Err("a whole number does not fit into 64 bits");
    }
    // few digits without an exponent always fit
    let may_be_huge = number.len() > 300 || number.contains(['e', 'E']);
    if !whole && may_be_huge && !number.parse::<f64>().is_ok_and(f64::is_finite) {
        return Err("a number is larger than a 64-bit float");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Found, scan};

    #[test]
    fn passes_what_every_database_keeps() {
        for text in [
            "18446744073709551615",
            "-9223372036854775808",
            "[1e308, -1.7976931348623157e308, 5e-324, 1e-400, -0.0]",
            r#"{"a":[1.5e300,true,"\\u0000","\"[[["]}"#,
            r#""\ud83e\udd80\u001f\\ud800""#,
            &format!("{}{}", "[".repeat(100), "]".repeat(100)),
        ] {
            assert_eq!(scan(text), Ok(Found { null: false }), "{text}");
        }
        assert_eq!(scan("[null]"), Ok(Found { null: true }));
        assert_eq!(scan(r#"["null"]"#), Ok(Found { null: false }));
    }

    #[test]
    fn names_what_is_refused() {
        for (text, fault) in [
            (r#"{"a":"\u0000"}"#, "NUL"),
            (r#"{"\u0000":1}"#, "NUL"),
            (r#""\ud800""#, "surrogate"),
            (r#""\ud800\"""#, "surrogate"),
            (r#""\uDFFF\uD800""#, "surrogate"),
            (r#""\ud800"#, "surrogate"),
            ("[18446744073709551616]", "64 bits"),
            ("[-9223372036854775809]", "64 bits"),
            ("1e309", "64-bit float"),
            ("[-1.8E+308]", "64-bit float"),
            (&*"[".repeat(101), "100 levels"),
        ] {
            assert!(scan(text).expect_err(text).contains(fault), "{text}");
        }
    }
}
