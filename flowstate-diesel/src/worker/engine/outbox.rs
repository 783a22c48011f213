//! What has ended and is still to be written, in order; and when to try it again.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The first pause before something is tried again; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// The pauses of what keeps others waiting each time that it is tried.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// So often and what the database refuses, while it answers, it refuses for good.
const MOST_REFUSALS: u32 = 5;
/// A write that the database refuses without a reason that is known here may succeed within this time.
const PATIENCE: Duration = Duration::from_secs(5);

/// Ends that wait to be written, or are being written.
#[derive(Debug)]
pub(super) struct Outbox<T> {
    fresh: VecDeque<T>,
    /// The ends of claims that could not be written yet, and when they are tried again.
    later: Vec<(Instant, T)>,
    /// How many are being written.
    taken: usize,
    /// With so many in it, no more is worked on.
    most: usize,
}

impl<T> Outbox<T> {
    pub(super) fn new(most: usize) -> Self {
        Self { fresh: VecDeque::new(), later: Vec::new(), taken: 0, most }
    }

    fn len(&self) -> usize {
        self.fresh.len() + self.later.len() + self.taken
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether whoever has something for it has to wait.
    pub(super) fn is_full(&self) -> bool {
        self.len() >= self.most
    }

    /// Returns whether nothing that is fresh was there before.
    pub(super) fn put(&mut self, item: T) -> bool {
        self.fresh.push_back(item);
        self.fresh.len() == 1
    }

    /// Takes up to `most` whose time has come. Each is then [`Self::settled`] or [`Self::put_back`].
    pub(super) fn take(&mut self, now: Instant, most: usize) -> Vec<T> {
        let mut taken = Vec::new();
        let mut at = 0;
        while at < self.later.len() && taken.len() < most {
            if self.later[at].0 <= now {
                taken.push(self.later.remove(at).1);
            } else {
                at += 1;
            }
        }
        let left = (most - taken.len()).min(self.fresh.len());
        taken.extend(self.fresh.drain(..left));
        self.taken += taken.len();
        taken
    }

    /// One that was taken is written, or given up.
    pub(super) fn settled(&mut self) {
        self.taken = self.taken.saturating_sub(1);
    }

    /// One that was taken is tried again then.
    pub(super) fn put_back(&mut self, item: T, at: Instant) {
        self.settled();
        self.later.push((at, item));
    }

    /// When there is something to be taken: now, later, or `None` if there is nothing.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        if !self.fresh.is_empty() {
            return Some(now);
        }
        self.later.iter().map(|(at, _)| *at).min()
    }
}

/// Why something was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unwritten {
    /// Something was in the way, or the database was away: that passes, however long it takes.
    Hindered,
    /// A lock of others was waited for in vain, behind its own row: that passes as well.
    Waited,
    /// The database has refused it, for a reason of its own.
    Refused,
    /// It was refused, and nobody knows why.
    Unexplained,
}

/// How often one thing was tried in vain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tries {
    pause: Duration,
    has_waited: bool,
    refusals: u32,
    refused_since: Option<Instant>,
}

impl Default for Tries {
    fn default() -> Self {
        Self { pause: FIRST_PAUSE, has_waited: false, refusals: 0, refused_since: None }
    }
}

impl Tries {
    /// Whether it was tried before.
    pub(super) fn is_first(&self) -> bool {
        self.pause == FIRST_PAUSE
    }

    /// Whether a lock of others was waited for in one of them.
    pub(super) fn has_waited(&self) -> bool {
        self.has_waited
    }

    /// When to try again; `None` if it is known by now that it cannot be written.
    pub(super) fn again(&mut self, why: Unwritten, now: Instant) -> Option<Instant> {
        if matches!(why, Unwritten::Hindered | Unwritten::Waited) {
            (self.refusals, self.refused_since) = (0, None);
        } else {
            self.refusals += 1;
            let since = *self.refused_since.get_or_insert(now);
            let is_known = why == Unwritten::Refused || now.duration_since(since) >= PATIENCE;
            if self.refusals >= MOST_REFUSALS && is_known {
                return None;
            }
        }
        let longest = if why == Unwritten::Waited {
            (self.has_waited, self.pause) = (true, self.pause.max(FIRST_WAIT));
            LONGEST_WAIT
        } else {
            LONGEST_PAUSE
        };
        let at = now + self.pause;
        self.pause = (self.pause * 2).min(longest);
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_is_there_and_what_is_due_again() {
        let (mut of, now) = (Outbox::new(4), Instant::now());
        assert_eq!((of.is_empty(), of.next(now)), (true, None));
        let is_first: Vec<_> = (1..=3).map(|item| of.put(item)).collect();
        assert_eq!(is_first, [true, false, false], "the settle stage is called once");
        assert_eq!((of.next(now), of.is_full()), (Some(now), false));
        assert_eq!(of.take(now, 2), [1, 2]);
        of.settled();
        let later = now + Duration::from_millis(7);
        of.put_back(2, later);
        of.put(4);
        assert_eq!(of.take(now, 10), [3, 4], "the other one's time has not come");
        assert_eq!(of.next(now), Some(later));
        of.put(5);
        assert!(of.is_full(), "what is being written counts");
        assert_eq!(of.take(later, 10), [2, 5]);
        (0..4).for_each(|_| of.settled());
        assert!(of.is_empty());
    }

    #[test]
    fn what_is_in_the_way_is_outlasted() {
        let (mut tries, mut now) = (Tries::default(), Instant::now());
        for _ in 0..1000 {
            let at = tries.again(Unwritten::Hindered, now).expect("again");
            assert!(at <= now + LONGEST_PAUSE);
            now = at;
        }
    }

    #[test]
    fn what_keeps_others_waiting_is_tried_less_and_less() {
        let (mut tries, now) = (Tries::default(), Instant::now());
        let mut pauses = Vec::new();
        for _ in 0..8 {
            assert_eq!(tries.has_waited(), !pauses.is_empty());
            let at = tries.again(Unwritten::Waited, now).expect("again");
            pauses.push(at.duration_since(now).as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn what_is_refused_again_and_again_is_given_up() {
        let (mut tries, now) = (Tries::default(), Instant::now());
        for _ in 1..MOST_REFUSALS {
            assert!(tries.again(Unwritten::Refused, now).is_some());
        }
        assert_eq!(tries.again(Unwritten::Refused, now), None);
        // one that passes in between begins anew
        let mut tries = Tries::default();
        for _ in 0..10 {
            assert!(tries.again(Unwritten::Refused, now).is_some());
            assert!(tries.again(Unwritten::Hindered, now).is_some());
        }
    }

    #[test]
    fn without_a_known_reason_it_is_tried_for_a_while() {
        let (mut tries, now) = (Tries::default(), Instant::now());
        for _ in 0..100 {
            assert!(tries.again(Unwritten::Unexplained, now).is_some());
        }
        assert_eq!(tries.again(Unwritten::Unexplained, now + PATIENCE), None);
    }
}
