//! Records to which something could not be done: they are passed over for a while, so that nothing
//! behind them waits.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The first pause of a record; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_hours(1);
/// So many are remembered. The statements that pass them over are told each.
const MOST: usize = 1000;

/// What could not be done to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Work {
    Claim,
    Reap,
    Timed,
    Extend,
    Release,
}

impl Work {
    /// The name of the work in events.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Claim => "claim",
            Self::Reap => "reap",
            Self::Timed => "timed",
            Self::Extend => "extend",
            Self::Release => "release",
        }
    }
}

/// The records that are passed over.
#[derive(Debug, Default)]
pub(super) struct PassedOver(HashMap<(Work, i64), Entry>);

#[derive(Debug)]
struct Entry {
    until: Instant,
    pause: Duration,
}

impl PassedOver {
    /// Passes a record over from now on, for longer than the last time. Returns whether it is the
    /// first time, as far as is remembered: then it is to be told.
    ///
    /// If too many are remembered, the one whose pause ends first is forgotten.
    pub(super) fn add(&mut self, work: Work, id: i64, now: Instant) -> bool {
        self.0.retain(|_, entry| !entry.is_forgotten(now));
        let last = self.0.remove(&(work, id));
        if self.0.len() >= MOST {
            let first = self.0.iter().min_by_key(|(_, entry)| entry.until).map(|(key, _)| *key);
            first.and_then(|key| self.0.remove(&key));
        }
        let pause = last.as_ref().map_or(FIRST_PAUSE, |last| (last.pause * 2).min(LONGEST_PAUSE));
        self.0.insert((work, id), Entry { until: now + pause, pause });
        last.is_none()
    }

    /// The ids of those that are passed over now.
    pub(super) fn ids(&self, work: Work, now: Instant) -> impl Iterator<Item = i64> {
        let paused = self.0.iter().filter(move |((of, _), entry)| *of == work && now < entry.until);
        paused.map(|((_, id), _)| *id)
    }
}

impl Entry {
    /// Whether it did not fail again for so long that it may have been done.
    fn is_forgotten(&self, now: Instant) -> bool {
        now >= self.until + self.pause.max(Duration::from_mins(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paused(of: &PassedOver, work: Work, now: Instant) -> Vec<i64> {
        let mut ids: Vec<_> = of.ids(work, now).collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn pauses_grow_from_a_second_to_an_hour_and_are_told_once() {
        let (mut of, mut now) = (PassedOver::default(), Instant::now());
        let mut pauses = Vec::new();
        for at in 0..14 {
            assert_eq!(of.add(Work::Claim, 7, now), at == 0, "told the first time alone");
            assert_eq!(paused(&of, Work::Claim, now), [7]);
            let pause = (0..=3600)
                .find(|secs| paused(&of, Work::Claim, now + Duration::from_secs(*secs)).is_empty());
            let pause = pause.expect("an hour at the most");
            pauses.push(pause);
            now += Duration::from_secs(pause);
        }
        assert_eq!(pauses[..4], [1, 2, 4, 8]);
        assert_eq!(pauses[12..], [3600, 3600]);
    }

    #[test]
    fn each_kind_of_work_has_its_own() {
        let (mut of, now) = (PassedOver::default(), Instant::now());
        assert!(of.add(Work::Claim, 1, now) && of.add(Work::Timed, 1, now));
        assert_eq!(paused(&of, Work::Claim, now), [1]);
        assert!(paused(&of, Work::Reap, now).is_empty());
    }

    #[test]
    fn a_record_that_did_not_fail_again_is_forgotten() {
        let (mut of, now) = (PassedOver::default(), Instant::now());
        assert!(of.add(Work::Claim, 1, now));
        assert!(!of.add(Work::Claim, 1, now + Duration::from_secs(2)));
        assert!(of.add(Work::Claim, 1, now + Duration::from_mins(5)), "as if for the first time");
    }

    #[test]
    fn no_more_are_remembered_than_statements_can_be_told() {
        let (mut of, now) = (PassedOver::default(), Instant::now());
        for id in 0..1500 {
            of.add(Work::Claim, id, now);
        }
        assert_eq!(of.ids(Work::Claim, now).count(), MOST);
    }
}
