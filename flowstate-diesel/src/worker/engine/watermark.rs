//! How far back due records are looked for.
//!
//! Where a transaction stays open for hours, PostgreSQL and MySQL keep the index entries of all that
//! was claimed since: a search that begins at the oldest entry walks over every one of them. So a
//! worker begins where the oldest due record was when it last asked, and asks from the very
//! beginning now and then.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::text::time::micros;
use crate::worker::claim::batches::EVERYTHING;

/// A record may become visible so much later than it became due: its transaction was still open. No
/// more, since of many that were created at once all that are claimed lie in the way.
const LEEWAY: Duration = Duration::from_millis(20);
/// A due record that becomes visible later than [`LEEWAY`], or lay further back, is found after so
/// long at the most.
const REFRESH: Duration = Duration::from_secs(5);
/// As [`REFRESH`], for a record of which a transaction of this process has told.
const TOLD: Duration = Duration::from_secs(1);

/// A state from which a step starts: the step's place, and the stored name.
pub(super) type Source = (usize, &'static str);

/// Where in each source the oldest due record was at the last poll.
#[derive(Debug, Default)]
pub(super) struct Watermark(Mutex<Bounds>);

#[derive(Debug, Default)]
struct Bounds {
    /// When it was asked.
    asked: Option<Instant>,
    /// How long the answer took.
    trip: Duration,
    /// Something was due that a claim did not find: the next one looks all the way back.
    wide: bool,
    /// When everything was last asked for.
    refreshed: Option<Instant>,
    /// By how much the oldest record was overdue; not those where none was due.
    overdue: HashMap<Source, Duration>,
}

impl Watermark {
    /// How far back to look in a source for claims, in microseconds. `told`: something is known to
    /// be there.
    pub(super) fn reach(&self, source: Source, told: bool) -> i64 {
        let known = self.known();
        let least = if told { TOLD + known.travel() } else { Duration::ZERO };
        micros(known.reach(source).max(least))
    }

    /// How far back to ask in each of the sources, in microseconds.
    pub(super) fn reaches(&self, sources: &[Source]) -> Vec<i64> {
        let mut known = self.known();
        let fresh = known.refreshed.is_some_and(|at| at.elapsed() < REFRESH) && !known.wide;
        // where little is due nothing lies in the way
        if !fresh || known.overdue.is_empty() {
            known.refreshed = Some(Instant::now());
            return vec![micros(EVERYTHING); sources.len()];
        }
        sources.iter().map(|source| micros(known.reach(*source))).collect()
    }

    /// The answer to what was asked at `asked`, which took `trip`: how much the oldest of each source
    /// is overdue.
    pub(super) fn learn(&self, asked: Instant, trip: Duration, overdue: HashMap<Source, Duration>) {
        let mut known = self.known();
        (known.asked, known.trip, known.overdue) = (Some(asked), trip, overdue);
    }

    /// Whether all the way back is looked.
    pub(super) fn is_wide(&self) -> bool {
        self.known().wide
    }

    /// Whether to look all the way back the next time, since a claim has missed what was due.
    pub(super) fn set_wide(&self, wide: bool) {
        self.known().wide = wide;
    }

    fn known(&self) -> MutexGuard<'_, Bounds> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bounds {
    fn reach(&self, source: Source) -> Duration {
        let Some(asked) = self.asked.filter(|_| !self.wide) else { return EVERYTHING };
        let overdue = self.overdue.get(&source).copied().unwrap_or_default();
        overdue + asked.elapsed() + LEEWAY + self.travel()
    }

    /// How long it may take before the database counts: a claim has to get there, after the test of
    /// its connection and BEGIN. The question had two round trips at the most.
    fn travel(&self) -> Duration {
        self.trip * 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_that_missed_what_was_due_is_made_again_all_the_way_back() {
        let (watermark, source) = (Watermark::default(), (0, "picked"));
        let asked = Instant::now().checked_sub(Duration::from_millis(500)).expect("since boot");
        watermark.learn(
            asked,
            Duration::from_millis(500),
            HashMap::from([(source, Duration::ZERO)]),
        );
        let reach = watermark.reach(source, false);
        assert!(reach >= micros(Duration::from_millis(2500)), "as far as it travels: {reach}");
        watermark.set_wide(true);
        assert_eq!(watermark.reach(source, false), micros(EVERYTHING));
        assert_eq!(watermark.reaches(&[source]), [micros(EVERYTHING)]);
        watermark.set_wide(false);
        assert!(watermark.reach(source, false) < micros(EVERYTHING));
    }

    #[test]
    fn begins_at_the_oldest_that_was_due_and_now_and_then_at_the_beginning() {
        let (watermark, source, other) = (Watermark::default(), (0, "picked"), (1, "fetched"));
        let everything = micros(EVERYTHING);
        assert_eq!(watermark.reach(source, false), everything, "nothing is known yet");
        assert_eq!(watermark.reaches(&[source, other]), [everything; 2]);

        let hour = Duration::from_hours(1);
        watermark.learn(Instant::now(), Duration::ZERO, HashMap::from([(source, hour)]));
        let reaches = watermark.reaches(&[source, other]);
        assert!(reaches[0] >= micros(hour + LEEWAY) && reaches[0] < micros(2 * hour));
        assert!(reaches[1] >= micros(LEEWAY) && reaches[1] < micros(hour));
        assert!(watermark.reach(source, false) >= reaches[0], "time goes on");

        // nothing is due: whatever lies further back is asked for again
        watermark.learn(Instant::now(), Duration::ZERO, HashMap::new());
        assert_eq!(watermark.reaches(&[source, other]), [everything; 2]);
        assert!(watermark.reach(source, false) < micros(TOLD));
        assert_eq!(watermark.reach(source, true), micros(TOLD));
    }
}
