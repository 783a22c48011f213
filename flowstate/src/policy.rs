//! How a worker serves a step.

use std::time::Duration;

use crate::Backoff;

/// How a worker serves a step: how long a claim holds, how often it is tried, how many at once.
///
/// ```
/// use std::time::Duration;
/// use flowstate::{Backoff, Policy};
///
/// let minute = Duration::from_secs(60);
/// Policy::default().lease(5 * minute).retry(Backoff::fixed(minute).attempts(3)).concurrency(2);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a policy does nothing until a worker has it"]
pub struct Policy {
    lease: Duration,
    retry: Backoff,
    concurrency: usize,
    batch: Option<usize>,
}

impl Default for Policy {
    /// A lease of 60 seconds, [`Backoff::default`], as many at once as a worker has threads, and
    /// claimed as they become free.
    fn default() -> Self {
        let lease = Duration::from_mins(1);
        Self { lease, retry: Backoff::default(), concurrency: usize::MAX, batch: None }
    }
}

impl Policy {
    /// The shortest lease: 10 milliseconds.
    pub const SHORTEST_LEASE: Duration = Duration::from_millis(10);

    /// The longest lease: 1000 days.
    pub const LONGEST_LEASE: Duration = Duration::from_hours(24_000);

    /// How long a claim holds, from [`SHORTEST_LEASE`](Self::SHORTEST_LEASE) to
    /// [`LONGEST_LEASE`](Self::LONGEST_LEASE): 60 seconds by default. A worker extends it while the
    /// handler runs, so it says how soon a step whose process died is failed over. After an outage of
    /// the database that takes half a minute more, which leaves the living the time to extend theirs.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease.clamp(Self::SHORTEST_LEASE, Self::LONGEST_LEASE);
        self
    }

    /// How often it is tried and how long it waits in between: see [`Backoff::default`].
    pub fn retry(mut self, retry: Backoff) -> Self {
        self.retry = retry;
        self
    }

    /// At most so many at once in one worker, and at least one: as many as it has threads by default.
    pub fn concurrency(mut self, most: usize) -> Self {
        self.concurrency = most.max(1);
        self
    }

    /// Claims up to so many at once, and at least one. By default as many as there are free threads,
    /// so that no record is claimed before it can be worked on; a larger batch pays where handlers
    /// take milliseconds. The next batch is fetched before the last is through, so that a worker may
    /// hold up to two.
    pub fn batch(mut self, most: usize) -> Self {
        self.batch = Some(most.max(1));
        self
    }

    /// How long a claim holds: for storage backends.
    #[must_use]
    pub fn lease_time(&self) -> Duration {
        self.lease
    }

    /// How often the step is tried: for storage backends.
    #[must_use]
    pub fn backoff(&self) -> &Backoff {
        &self.retry
    }

    /// How many at once in one worker: for storage backends.
    #[must_use]
    pub fn most_at_once(&self) -> usize {
        self.concurrency
    }

    /// How many are claimed at once, if that was said: for storage backends.
    #[must_use]
    pub fn batch_size(&self) -> Option<usize> {
        self.batch
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Policy;

    #[test]
    fn what_is_out_of_range_is_brought_into_it() {
        let policy = Policy::default().lease(Duration::ZERO).concurrency(0).batch(0);
        assert_eq!(policy.lease_time(), Policy::SHORTEST_LEASE);
        assert_eq!((policy.most_at_once(), policy.batch_size()), (1, Some(1)));
        assert_eq!(Policy::default().lease(Duration::MAX).lease_time(), Policy::LONGEST_LEASE);
    }
}
