//! Records that this program cannot read: each stays due for a program that can, and this worker
//! claims it no more. It reads the record again after a pause, without a claim.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use crate::worker::claim::settle::Fence;

/// The first pause before a record is read again; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// By then it is known at the latest that another program has moved a record on.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// So many are remembered. The statements that pass them over are told each.
const MOST: usize = 1000;
/// So many are read again before others are claimed.
const MOST_AT_ONCE: usize = 100;

/// The records that this worker could not read.
#[derive(Debug, Default)]
pub(super) struct LeftAlone(HashMap<i64, Entry>);

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// The step that would have taken it.
    step: usize,
    /// Where it was given back.
    seq: i64,
    next: Instant,
    pause: Duration,
}

impl LeftAlone {
    /// Remembers a record whose claim is about to be given back. `false` if too many are remembered.
    pub(super) fn add(&mut self, step: usize, claim: &Fence, now: Instant) -> bool {
        let has_room = self.0.len() < MOST || self.0.contains_key(&claim.id);
        if has_room {
            let (seq, pause) = (claim.seq.saturating_add(1), FIRST_PAUSE);
            self.0.insert(claim.id, Entry { step, seq, next: now + pause, pause });
        }
        has_room
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = i64> {
        self.0.keys().copied()
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// How many each step would have taken.
    pub(super) fn by_step(&self) -> BTreeMap<usize, usize> {
        let mut counts = BTreeMap::new();
        for entry in self.0.values() {
            *counts.entry(entry.step).or_default() += 1;
        }
        counts
    }

    /// Those that are to be read again now, each with its step and `seq`. The pause after that has
    /// begun.
    pub(super) fn again(&mut self, now: Instant) -> Vec<(i64, usize, i64)> {
        let over = self.0.iter_mut().filter(|(_, entry)| entry.next <= now).take(MOST_AT_ONCE);
        let over = over.map(|(id, entry)| {
            entry.pause = (entry.pause * 2).min(LONGEST_PAUSE);
            entry.next = now + entry.pause;
            (*id, entry.step, entry.seq)
        });
        over.collect()
    }

    pub(super) fn forget(&mut self, id: i64) {
        self.0.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(id: i64) -> Fence {
        Fence { id, seq: 1, attempts: 0, worker: "w".into() }
    }

    #[test]
    fn a_record_is_read_again_after_a_second_and_then_later_up_to_a_minute() {
        let (mut of, mut now) = (LeftAlone::default(), Instant::now());
        assert!(of.add(3, &claim(7), now));
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let pause = (0..=60).find(|secs| {
                let over = of.again(now + Duration::from_secs(*secs));
                assert!(over.iter().all(|found| *found == (7, 3, 2)), "where it was given back");
                !over.is_empty()
            });
            let pause = pause.expect("a minute at the most");
            pauses.push(pause);
            now += Duration::from_secs(pause);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(of.ids().collect::<Vec<_>>(), [7], "passed over meanwhile");
        of.forget(7);
        assert_eq!(of.count(), 0);
    }

    #[test]
    fn no_more_are_remembered_than_statements_can_be_told() {
        let (mut of, now) = (LeftAlone::default(), Instant::now());
        for id in 0..1500 {
            assert_eq!(of.add(0, &claim(id), now), id < 1000);
        }
        assert!(of.add(0, &claim(7), now), "one that is known already");
        assert_eq!((of.count(), of.by_step()[&0]), (1000, 1000));
        assert_eq!(of.again(now + FIRST_PAUSE).len(), MOST_AT_ONCE);
    }
}
