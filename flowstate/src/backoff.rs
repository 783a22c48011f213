//! How long a failed step waits, and how often it is tried.

use std::time::Duration;

/// How often a step is tried, and how long it waits in between.
///
/// It decides whenever a worker ends a try: the handler failed or panicked, the lease ran out, or a timed
/// transition led from the running state to where the step starts. A transition that other code takes
/// from the running state to the error state counts as a try, but the next one is due when that
/// transition says, at once or after its delay, and it never gives up.
///
/// ```
/// use std::time::Duration;
/// use flowstate::Backoff;
///
/// let minutes = |n: u64| Duration::from_secs(60 * n);
/// Backoff::exponential(Duration::from_secs(10)).cap(minutes(30)).attempts(8);
/// Backoff::fixed(minutes(1)).attempts(3);
/// Backoff::list([minutes(1), minutes(5), minutes(60)]); // 4 attempts
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Backoff {
    pauses: Pauses,
    cap: Option<Duration>,
    jitter: f64,
    attempts: u32,
}

#[derive(Clone, Debug, PartialEq)]
enum Pauses {
    Exponential(Duration),
    Fixed(Duration),
    List(Vec<Duration>),
}

/// A thousand years: longer ones cannot be stored.
const LONGEST: Duration = Duration::from_hours(24 * 365 * 1_000);

impl Default for Backoff {
    /// 5 attempts, after pauses of about 10, 20, 40 and 80 seconds.
    fn default() -> Self {
        Self::exponential(Duration::from_secs(10))
    }
}

impl Backoff {
    fn new(pauses: Pauses, attempts: u32) -> Self {
        Self { pauses, cap: None, jitter: 0.1, attempts }
    }

    /// Twice as long each time, up to the [cap](Self::cap): an hour, unless it is set.
    #[must_use]
    pub fn exponential(first: Duration) -> Self {
        Self::new(Pauses::Exponential(first), 5).cap(Duration::from_hours(1))
    }

    /// As long each time, but for the [jitter](Self::jitter).
    #[must_use]
    pub fn fixed(pause: Duration) -> Self {
        Self::new(Pauses::Fixed(pause), 5)
    }

    /// These, one after the other: one attempt more than there are pauses. If
    /// [more attempts](Self::attempts) are set, the last pause is repeated.
    #[must_use]
    pub fn list(pauses: impl IntoIterator<Item = Duration>) -> Self {
        let pauses: Vec<_> = pauses.into_iter().collect();
        let attempts = u32::try_from(pauses.len()).unwrap_or(u32::MAX).saturating_add(1);
        Self::new(Pauses::List(pauses), attempts)
    }

    /// No pause is longer, jitter included.
    #[must_use]
    pub fn cap(mut self, cap: Duration) -> Self {
        self.cap = Some(cap);
        self
    }

    /// By how much a pause varies at random, up and down, as a part of it from 0 to 1 (what is no
    /// number counts as 0): 0.1 by default, so that what failed together is not tried again at the same instant. At the cap it
    /// varies down only.
    #[must_use]
    pub fn jitter(mut self, part: f64) -> Self {
        self.jitter = part_of(part);
        self
    }

    /// How often a step is tried in all, at least once.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// The pause after so many failed tries in a row, from 1. `None` when they are used up. For
    /// storage backends, which draw `random` from 0 to 1 for the jitter.
    #[must_use]
    pub fn pause(&self, failed: i32, random: f64) -> Option<Duration> {
        let failed = u32::try_from(failed).unwrap_or(0).max(1);
        if failed >= self.attempts {
            return None;
        }
        let pause = match &self.pauses {
            Pauses::Exponential(first) => first.saturating_mul(1 << (failed - 1).min(30)),
            Pauses::Fixed(pause) => *pause,
            Pauses::List(pauses) => {
                let at = usize::try_from(failed - 1).unwrap_or(usize::MAX);
                *pauses.get(at).or(pauses.last())?
            }
        };
        let cap = self.cap.unwrap_or(LONGEST).min(LONGEST);
        let pause = pause.min(cap);
        let varied = pause.mul_f64(1.0 + self.jitter * (2.0 * part_of(random) - 1.0));
        // as far below the cap as it would be above
        Some(if varied > cap { (cap + cap).saturating_sub(varied) } else { varied })
    }
}

/// A part from 0 to 1, whatever was given.
fn part_of(number: f64) -> f64 {
    if number.is_nan() { 0.0 } else { number.clamp(0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Backoff;

    #[test]
    fn pauses_grow_to_the_cap_and_end_with_the_attempts() {
        let second = Duration::from_secs(1);
        let backoff = Backoff::exponential(second).cap(5 * second).jitter(0.0).attempts(6);
        let pauses: Vec<_> = (1..=6).map(|failed| backoff.pause(failed, 0.5)).collect();
        let expected = [1, 2, 4, 5, 5].map(|n| Some(n * second));
        assert_eq!(pauses[..5], expected);
        assert_eq!(pauses[5], None);

        let list = Backoff::list([second, 3 * second]).jitter(0.0);
        assert_eq!(
            [1, 2, 3].map(|failed| list.pause(failed, 0.5)),
            [Some(second), Some(3 * second), None]
        );
        assert_eq!(Backoff::fixed(second).attempts(1).pause(1, 0.5), None);
        assert_eq!(
            Backoff::exponential(second)
                .attempts(u32::MAX)
                .jitter(0.0)
                .pause(i32::MAX, 0.5)
                .map(|p| p.as_secs()),
            Some(3600)
        );
    }

    #[test]
    fn what_was_asked_for_has_no_cap() {
        let day = Duration::from_hours(24);
        assert_eq!(Backoff::fixed(day).jitter(0.0).pause(1, 0.5), Some(day));
        assert_eq!(Backoff::list([day, 2 * day]).jitter(0.0).pause(2, 0.5), Some(2 * day));
        assert_eq!(Backoff::fixed(day).cap(day / 2).jitter(0.0).pause(1, 0.5), Some(day / 2));
        assert!(Backoff::fixed(Duration::MAX).jitter(1.0).pause(1, 0.5).is_some());
    }

    #[test]
    fn no_pause_is_longer_than_the_cap() {
        let cap = Duration::from_mins(1);
        let backoff = Backoff::exponential(cap).jitter(1.0).cap(cap).attempts(9);
        let pauses: Vec<_> =
            (0..100).filter_map(|draw| backoff.pause(8, f64::from(draw) / 100.0)).collect();
        assert!(pauses.iter().all(|pause| *pause <= cap), "{pauses:?}");
        assert!(pauses.iter().any(|pause| *pause < cap / 2), "still varied: {pauses:?}");
    }

    #[test]
    fn jitter_keeps_within_its_part() {
        let backoff = Backoff::fixed(Duration::from_secs(10)).jitter(0.2);
        for draw in 0..=100 {
            let pause =
                backoff.pause(1, f64::from(draw) / 100.0).expect("a second attempt").as_secs_f64();
            assert!((8.0..=12.0).contains(&pause), "{pause}");
        }
    }

    #[test]
    fn what_is_no_part_is_none() {
        let pause = Duration::from_secs(10);
        for (part, random) in [(f64::NAN, 0.0), (0.5, f64::NAN), (9.0, -9.0), (-1.0, 9.0)] {
            let varied = Backoff::fixed(pause).jitter(part).pause(1, random);
            assert!(
                varied.is_some_and(|varied| varied <= 2 * pause),
                "{part} {random}: {varied:?}"
            );
        }
        assert_eq!(Backoff::fixed(pause).jitter(f64::NAN).pause(1, 0.0), Some(pause));
    }
}
