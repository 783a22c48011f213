//! What a driver has to do next.

use std::collections::{BTreeSet, HashMap};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// So often a step is tried in one run; the next run tries again.
///
/// Up to three fail by plan; the others are for a machine that is too busy to answer in time.
const TRIES: u32 = 12;
/// Before the second try; twice as long before each further one, up to a limit.
const PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

/// Ids from a channel, and ids that wait for a further try.
///
/// It is only a reminder: what is to be done is what the states in the database say.
pub(crate) struct Queue {
    /// `None` once every sender is gone.
    incoming: Option<Receiver<i64>>,
    later: BTreeSet<(Instant, i64)>,
    failed: HashMap<i64, u32>,
}

impl Queue {
    pub(crate) fn new(incoming: Receiver<i64>) -> Self {
        Self { incoming: Some(incoming), later: BTreeSet::new(), failed: HashMap::new() }
    }

    /// Gives the id again after a pause. `false` if it has been tried often enough.
    pub(crate) fn try_again(&mut self, id: i64) -> bool {
        let failed = self.failed.entry(id).or_default();
        *failed += 1;
        if *failed >= TRIES {
            return false;
        }
        let pause = (PAUSE * 2_u32.pow(*failed - 1)).min(LONGEST_PAUSE);
        self.later.insert((Instant::now() + pause, id))
    }

    fn time_to_next(&self) -> Option<Duration> {
        let (due, _) = self.later.first()?;
        Some(due.saturating_duration_since(Instant::now()))
    }
}

impl Iterator for Queue {
    type Item = i64;

    /// Waits. `None` once every sender is gone and nothing waits for a further try.
    fn next(&mut self) -> Option<i64> {
        loop {
            let pause = self.time_to_next();
            if pause == Some(Duration::ZERO) {
                return self.later.pop_first().map(|(_, id)| id);
            }
            match (&self.incoming, pause) {
                (None, None) => return None,
                (None, Some(pause)) => thread::sleep(pause),
                (Some(incoming), None) => match incoming.recv() {
                    Ok(id) => return Some(id),
                    Err(_) => self.incoming = None,
                },
                (Some(incoming), Some(pause)) => match incoming.recv_timeout(pause) {
                    Ok(id) => return Some(id),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => self.incoming = None,
                },
            }
        }
    }
}
