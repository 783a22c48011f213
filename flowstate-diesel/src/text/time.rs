//! The one text form in which times travel: `2026-01-31 23:59:59.123456`, UTC, fixed width.

use std::time::Duration;

use chrono::{DateTime, Datelike, NaiveDate, Timelike, Utc};

/// Reads a time. `None` if the text has another form.
pub(crate) fn parse(text: &str) -> Option<DateTime<Utc>> {
    let bytes = text.as_bytes();
    let separators = [(4, b'-'), (7, b'-'), (10, b' '), (13, b':'), (16, b':'), (19, b'.')];
    if bytes.len() != 26 || separators.iter().any(|&(at, byte)| bytes[at] != byte) {
        return None;
    }
    let number = |from: usize, to: usize| {
        bytes[from..to].iter().try_fold(0_u32, |number, digit| {
            digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0'))
        })
    };
    let date =
        NaiveDate::from_ymd_opt(i32::try_from(number(0, 4)?).ok()?, number(5, 7)?, number(8, 10)?)?;
    let time =
        date.and_hms_micro_opt(number(11, 13)?, number(14, 16)?, number(17, 19)?, number(20, 26)?)?;
    Some(time.and_utc())
}

/// Writes a time that [`parse`] has read.
pub(crate) fn write(time: DateTime<Utc>) -> String {
    const DIGITS: [(u32, usize); 6] = [(4, 0), (2, 5), (2, 8), (2, 11), (2, 14), (2, 17)];
    let parts = [
        time.year().unsigned_abs(),
        time.month(),
        time.day(),
        time.hour(),
        time.minute(),
        time.second(),
    ];
    let mut text = *b"0000-00-00 00:00:00.000000";
    let mut put = |mut number: u32, digits: u32, at: usize| {
        for place in (0..digits as usize).rev() {
            text[at + place] = b'0' + (number % 10) as u8;
            number /= 10;
        }
    };
    for (part, (digits, at)) in parts.into_iter().zip(DIGITS) {
        put(part, digits, at);
    }
    put(time.timestamp_subsec_micros(), 6, 20);
    String::from_utf8_lossy(&text).into_owned()
}

/// A duration in microseconds, at most 1,000 years: the years of four digits end in 9999, and
/// SQLite makes a later time NULL, which means never.
pub(crate) fn micros(duration: Duration) -> i64 {
    const MOST: i64 = 1_000 * 365 * 86_400 * 1_000_000;
    i64::try_from(duration.as_micros()).unwrap_or(MOST).min(MOST)
}

#[cfg(test)]
mod tests {
    use super::{parse, write};

    #[test]
    fn reads_the_fixed_form_and_nothing_else() {
        let time = parse("2026-02-28 23:59:58.000123").expect("the fixed form");
        assert_eq!(time.timestamp_subsec_micros(), 123);
        assert_eq!(time.to_rfc3339(), "2026-02-28T23:59:58.000123+00:00");
        for text in ["2026-02-28 23:59:58.000123", "0026-11-01 00:00:09.999999"] {
            assert_eq!(parse(text).map(write).as_deref(), Some(text));
        }
        for wrong in [
            "",
            "2026-02-28 23:59:58",
            "2026-02-30 23:59:58.000000",
            "2026-02-28T23:59:58.000000",
            "2026-02-28 23:59:5x.000000",
            "２２２２２２２２ab",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
