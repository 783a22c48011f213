//! `after("3 days")`: a transition that is taken by itself.

use std::time::Duration;

use syn::LitStr;

use crate::attr::option::Options;
use crate::errors::Errors;
use crate::name;

/// Units as they are written, each with its seconds.
const UNITS: &[(&str, u64)] = &[
    ("second", 1),
    ("seconds", 1),
    ("minute", 60),
    ("minutes", 60),
    ("hour", 3_600),
    ("hours", 3_600),
    ("day", 86_400),
    ("days", 86_400),
    ("week", 604_800),
    ("weeks", 604_800),
];

/// How long a state lasts before the transition is taken by itself.
#[derive(Clone)]
pub(crate) struct After {
    pub(crate) literal: LitStr,
    pub(crate) duration: Duration,
}

/// Reads `after(…)`, if it is given.
pub(crate) fn read(options: &Options, errors: &mut Errors) -> Option<After> {
    let (option, tokens) = (options.given("after")?, options.tokens("after")?);
    let Ok(literal) = syn::parse2::<LitStr>(tokens) else {
        errors.at(option, "write the time as text: `after(\"3 days\")`");
        return None;
    };
    match parse(&literal.value()) {
        Ok(duration) => Some(After { literal, duration }),
        Err(message) => {
            errors.at(&literal, message);
            None
        }
    }
}

/// `3 days`, `1 hour 30 minutes`
fn parse(text: &str) -> Result<Duration, String> {
    let words: Vec<_> = text.split_whitespace().collect();
    let mut seconds = 0_u64;
    for pair in words.chunks(2) {
        let [number, unit] = pair else { return Err(usage(text)) };
        let number: u64 = number.parse().map_err(|_| usage(text))?;
        let Some((_, unit)) = UNITS.iter().find(|(name, _)| name == unit) else {
            let fits = |name: &&str| name.ends_with('s') != (number == 1);
            let units: Vec<_> = UNITS.iter().map(|(name, _)| *name).filter(fits).collect();
            return Err(match name::nearest(unit, &units) {
                Some(near) => {
                    format!("`{unit}` is no unit of time: did you mean `{}`?", units[near])
                }
                None => format!(
                    "`{unit}` is no unit of time: write `seconds`, `minutes`, `hours`, `days` or \
                     `weeks`"
                ),
            });
        };
        let more = number.checked_mul(*unit).and_then(|more| seconds.checked_add(more));
        seconds = more
            .filter(|sum| *sum <= MOST)
            .ok_or("a state lasts 100 years at the most, such as `5200 weeks`")?;
    }
    if seconds == 0 { Err(usage(text)) } else { Ok(Duration::from_secs(seconds)) }
}

const MOST: u64 = 100 * 366 * 86_400;

fn usage(text: &str) -> String {
    format!(
        "`{text}` is no time: write a number and a unit, such as `3 days` or `1 hour 30 minutes`"
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::parse;

    #[test]
    fn reads_numbers_with_units() {
        for (text, seconds) in [
            ("1 second", 1),
            ("3 days", 259_200),
            ("1 hour 30 minutes", 5_400),
            ("  2   weeks ", 1_209_600),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for wrong in [
            "",
            "3",
            "days",
            "3days",
            "0 days",
            "-1 days",
            "1.5 hours",
            "3 moons",
            "99999999999999999999 days",
            "101 years",
            "5300 weeks",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert!(parse("3 dayz").is_err_and(|message| message.contains("did you mean `days`")));
    }
}
