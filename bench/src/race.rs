//! Two ways of doing the same, in turn: A B A B …

use std::sync::Barrier;
use std::time::{Duration, Instant};

/// One way of doing the work, on one thread.
pub(crate) trait Side {
    /// Does the work once. Each operation is told to `watch`.
    fn once(&mut self, watch: &mut Watch);
}

impl<F: FnMut(&mut Watch)> Side for F {
    fn once(&mut self, watch: &mut Watch) {
        self(watch);
    }
}

/// Makes a [`Side`] on the thread that will use it.
pub(crate) type Make<'m, 'a> = &'m (dyn Fn() -> Box<dyn Side + 'a> + Sync);

/// Counts the operations and remembers the longest.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    operations: u32,
    longest: Duration,
}

impl Watch {
    pub(crate) fn time<R>(&mut self, operation: impl FnOnce() -> R) -> R {
        let start = Instant::now();
        let result = operation();
        self.longest = self.longest.max(start.elapsed());
        self.operations += 1;
        result
    }
}

/// What one round of one side came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lap {
    /// Operations a second, of all threads together.
    pub(crate) speed: f64,
    /// The longest operation, in milliseconds.
    pub(crate) longest: f64,
}

/// How long and how often to run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) rounds: usize,
    pub(crate) length: Duration,
}

/// Runs both sides in turn on so many threads. The laps are in pairs.
pub(crate) fn race(
    pace: Pace,
    threads: usize,
    first: Make<'_, '_>,
    second: Make<'_, '_>,
) -> Vec<[Lap; 2]> {
    let lap = |make: Make<'_, '_>| lap(pace.length, threads, make);
    // connections of the server's, caches and files are warm for both
    lap(first);
    lap(second);
    (0..pace.rounds).map(|_| [lap(first), lap(second)]).collect()
}

fn lap(length: Duration, threads: usize, make: Make<'_, '_>) -> Lap {
    let start = Barrier::new(threads);
    std::thread::scope(|scope| {
        let run = || {
            let mut side = make();
            side.once(&mut Watch::default());
            start.wait();
            let (begun, mut watch) = (Instant::now(), Watch::default());
            while begun.elapsed() < length {
                side.once(&mut watch);
            }
            let speed = f64::from(watch.operations) / begun.elapsed().as_secs_f64();
            Lap { speed, longest: watch.longest.as_secs_f64() * 1e3 }
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        let laps = threads.into_iter().map(|thread| thread.join().expect("a lap"));
        laps.fold(Lap::default(), |all, lap| Lap {
            speed: all.speed + lap.speed,
            longest: all.longest.max(lap.longest),
        })
    })
}
