//! Threads that start at the same moment.

use std::sync::Barrier;
use std::thread;

/// Runs `racer` in so many threads, each with its number. It is given the barrier at which all of
/// them must wait once, and they go on together.
pub fn race<R: Send>(racers: usize, racer: impl Fn(usize, &Barrier) -> R + Sync) -> Vec<R> {
    let barrier = Barrier::new(racers);
    let (racer, barrier) = (&racer, &barrier);
    thread::scope(|scope| {
        let threads: Vec<_> =
            (0..racers).map(|number| scope.spawn(move || racer(number, barrier))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    })
}
