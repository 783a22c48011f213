//! What a worker has done so far.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;

/// What a worker has done since it started, and what it is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Records claimed.
    pub claimed: u64,
    /// Steps finished.
    pub finished: u64,
    /// Tries that failed by an error or a panic.
    pub failed: u64,
    /// Claims put off without counting as a try: it was too early, or this program could not read the
    /// record.
    pub put_off: u64,
    /// Claims of any worker whose lease ran out and that this worker failed over.
    pub reaped: u64,
    /// Claims that this worker lost: they came too late.
    pub lost: u64,
    /// Claims given back at a shutdown.
    pub released: u64,
    /// Timed transitions taken.
    pub timed: u64,
    /// Claims that this worker holds now.
    pub running: u64,
    /// For each step, by its name: how long the oldest due record has been waiting, as
    /// of the last look. Steps with nothing due are left out.
    pub oldest_due: Vec<(&'static str, Duration)>,
}

/// The numbers of [`Stats`], counted by many threads.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) claimed: AtomicU64,
    pub(crate) finished: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) put_off: AtomicU64,
    pub(crate) reaped: AtomicU64,
    pub(crate) lost: AtomicU64,
    pub(crate) released: AtomicU64,
    pub(crate) timed: AtomicU64,
    /// Milliseconds by step; negative for none.
    pub(crate) oldest_due: Vec<AtomicI64>,
}

impl Counters {
    pub(crate) fn new(steps: usize) -> Self {
        let oldest_due = (0..steps).map(|_| AtomicI64::new(-1)).collect();
        Self { oldest_due, ..Self::default() }
    }

    pub(crate) fn read(&self, running: usize, steps: &[&'static str]) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let oldest = steps.iter().zip(&self.oldest_due).filter_map(|(step, millis)| {
            let millis = u64::try_from(millis.load(Ordering::Relaxed)).ok()?;
            Some((*step, Duration::from_millis(millis)))
        });
        Stats {
            claimed: read(&self.claimed),
            finished: read(&self.finished),
            failed: read(&self.failed),
            put_off: read(&self.put_off),
            reaped: read(&self.reaped),
            lost: read(&self.lost),
            released: read(&self.released),
            timed: read(&self.timed),
            running: u64::try_from(running).unwrap_or(u64::MAX),
            oldest_due: oldest.collect(),
        }
    }
}

/// Adds one.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
