//! When to make a checkpoint: to copy what is committed from the write-ahead log to the file.
//!
//! SQLite has the writer do so whose commit has made the log long enough, before its COMMIT returns,
//! though the next one could write meanwhile. Here those who have just written and let the next one
//! write make most of it beside them.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// After how many turns to look at first, and at the least.
const LEAST_TURNS: i64 = 16;
/// After how many turns to look again where the database makes none by itself: nobody else shall.
const NOT_WANTED: i64 = 1_000;
/// So often before the log is as long as it may become. What is left then, the writer copies whom
/// the others wait for.
const PARTS: i64 = 4;

/// What is known of the log that the writers of a database share.
#[derive(Debug, Default)]
pub(crate) struct Checkpoints {
    /// How many turns have ended since the last one.
    turns: AtomicI64,
    /// After how many the next is due.
    period: AtomicI64,
    /// How many pages the log had at the last one.
    pages: AtomicI64,
    under_way: AtomicBool,
}

/// How long a log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLength {
    pub pages: i64,
    /// With so many pages the database makes a checkpoint by itself.
    pub most: i64,
}

/// The duty to make a checkpoint, which one has at a time.
#[derive(Debug)]
pub(crate) struct Checkpoint<'a>(&'a Checkpoints);

impl Checkpoints {
    /// A turn has ended. `pays`: whether others write meanwhile.
    pub(crate) fn due(&self, pays: impl FnOnce() -> bool) -> Option<Checkpoint<'_>> {
        let turns = self.turns.fetch_add(1, Ordering::Relaxed) + 1;
        let due = turns >= self.period.load(Ordering::Relaxed).max(LEAST_TURNS);
        let begins = due && pays() && !self.under_way.swap(true, Ordering::Relaxed);
        begins.then_some(Checkpoint(self))
    }
}

impl Checkpoint<'_> {
    /// `length`: how long the log was, if checkpoints are wanted.
    pub(crate) fn ends(self, length: Option<LogLength>) {
        let of = self.0;
        let turns = of.turns.swap(0, Ordering::Relaxed);
        let Some(LogLength { pages, most }) = length else {
            return of.period.store(NOT_WANTED, Ordering::Relaxed);
        };
        let grown = pages - of.pages.swap(pages, Ordering::Relaxed);
        // one that has begun anew does not tell how fast it grows
        if grown > 0 {
            of.period.store(turns * most / PARTS / grown, Ordering::Relaxed);
        }
    }
}

impl Drop for Checkpoint<'_> {
    fn drop(&mut self) {
        self.0.under_way.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After how many turns the next is made, of a log that then has so many pages.
    fn turns(of: &Checkpoints, pages: Option<i64>) -> usize {
        let mut turns = 1..;
        let made = turns.find_map(|turn| of.due(|| true).map(|checkpoint| (turn, checkpoint)));
        let (turn, checkpoint) = made.expect("some time");
        checkpoint.ends(pages.map(|pages| LogLength { pages, most: 1_000 }));
        turn
    }

    #[test]
    fn four_before_the_log_is_full() {
        let of = Checkpoints::default();
        // 5 pages a turn: a quarter of the log after 50 turns
        assert_eq!(turns(&of, Some(80)), 16, "nothing is known yet");
        assert_eq!(turns(&of, Some(80 + 250)), 50);
        assert_eq!(turns(&of, Some(30)), 50);
        assert_eq!(turns(&of, Some(30 + 1_000)), 50, "the log began anew");
        // 20 pages a turn
        assert_eq!(turns(&of, Some(1_030)), 16, "no more often");
        assert_eq!(turns(&of, None), 16);
        assert_eq!(turns(&of, None), 1_000, "the database makes none");
    }

    #[test]
    fn one_at_a_time_and_only_if_it_pays() {
        let of = Checkpoints::default();
        let mut first = None;
        while first.is_none() {
            assert!(of.due(|| false).is_none());
            first = of.due(|| true);
        }
        assert!(of.due(|| true).is_none(), "one is under way");
        drop(first);
        assert!(of.due(|| true).is_some(), "the other has failed");
    }
}
