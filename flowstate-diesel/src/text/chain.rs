//! An error and its causes, which are the user's code: a text may have no end, and an error may be
//! its own source.

use std::error::Error;
use std::fmt;
use std::fmt::Write as _;

/// The longest text of an error, in bytes.
pub(crate) const MOST_BYTES: usize = 8 * 1024;

/// So many causes are looked at. Real chains have fewer than ten.
const MOST_CAUSES: usize = 32;

/// The error and its causes, the outermost first.
pub(crate) fn causes<'e>(
    error: &'e (dyn Error + 'static),
) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source()).take(MOST_CAUSES)
}

/// The texts of an error and its causes, one after the other, cut at 8 kB.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = Cut(String::new());
    for (at, cause) in causes(error).enumerate() {
        let separator = if at == 0 { "" } else { ": " };
        if write!(text, "{separator}{cause}").is_err() {
            break;
        }
    }
    text.0
}

/// A text that takes no more than [`MOST_BYTES`]: whoever writes more is told so.
struct Cut(String);

impl fmt::Write for Cut {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MOST_BYTES - self.0.len();
        if text.len() <= room {
            self.0.push_str(text);
            return Ok(());
        }
        self.0.push_str(&text[..text.floor_char_boundary(room)]);
        // not one more, though a shorter one would fit
        self.0.push_str(&" ".repeat(MOST_BYTES - self.0.len()));
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Endless;

    impl fmt::Display for Endless {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            loop {
                f.write_str("\u{e9} ")?;
            }
        }
    }

    impl Error for Endless {}

    #[derive(Debug)]
    struct Ring;

    impl fmt::Display for Ring {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("mine")
        }
    }

    impl Error for Ring {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(self)
        }
    }

    #[test]
    fn causes_follow_each_other() {
        let error = std::io::Error::other("the cause".parse::<i32>().expect_err("no number"));
        assert_eq!(chain(&error), "invalid digit found in string");
    }

    #[test]
    fn a_chain_that_does_not_end_is_cut() {
        assert_eq!(chain(&Ring), ["mine"; MOST_CAUSES].join(": "));
        assert_eq!(chain(&Endless).len(), MOST_BYTES);
    }
}
