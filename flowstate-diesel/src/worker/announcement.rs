//! The texts in which commits are announced to other processes.

use std::sync::OnceLock;

/// What was announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Announced<'a> {
    Anything,
    /// A record of this flow has come to this state, and is due.
    Due(&'a str, &'a str),
    /// Nothing new: this process has announced it, and told its workers before; or another worker
    /// finds out whether it hears.
    Nothing,
}

/// The text of an announcement: flow, state and the process. Without a flow: anything.
pub(super) fn write(flow: &str, state: &str) -> String {
    format!("{flow}\n{state}\n{}", process())
}

/// What an announcement says. One that somebody makes by hand may be empty.
pub(super) fn read(text: &str) -> Announced<'_> {
    let mut parts = text.split('\n');
    match (parts.next(), parts.next(), parts.next()) {
        (_, _, Some(theirs)) if theirs == process() => Announced::Nothing,
        (Some(flow), Some(state), _) if !flow.is_empty() => Announced::Due(flow, state),
        (Some(""), ..) => Announced::Anything,
        _ => Announced::Nothing,
    }
}

/// Tells this process from others, on other hosts too: a child that was forked is another one.
fn process() -> String {
    static DRAWN: OnceLock<u64> = OnceLock::new();
    format!("{:x}-{}", DRAWN.get_or_init(|| fastrand::u64(..)), std::process::id())
}

#[cfg(test)]
mod tests {
    use super::{Announced, read, write};

    #[test]
    fn what_another_process_announces_is_understood() {
        assert_eq!(read("order\npaid\nanother"), Announced::Due("order", "paid"));
        assert_eq!(read("order\npaid"), Announced::Due("order", "paid"), "by hand");
        assert_eq!(read(""), Announced::Anything, "by hand");
        assert_eq!(read("\n\nanother"), Announced::Anything);
        for nothing in [&*write("order", "paid"), &*write("", ""), "a worker"] {
            assert_eq!(read(nothing), Announced::Nothing);
        }
    }
}
