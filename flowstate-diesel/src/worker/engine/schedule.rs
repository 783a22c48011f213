//! When to poll, and for what: the rules of the poll stage, as plain data.

use std::time::{Duration, Instant};

use super::found::{Found, Unseen};
use super::watermark::Source;

/// The first pause after a poll that found nothing; each further one is twice as long.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// While there was work lately, a pause is no longer than this part of the time since.
const PART_OF_REST: u32 = 8;
/// The longest pause while the database cannot be reached.
pub(super) const LONGEST_OUTAGE_PAUSE: Duration = Duration::from_secs(2);
/// Where the last poll left some behind, more are claimed without polling again, for so long: only
/// a poll tells what else there is.
const POLL_EVERY: Duration = Duration::from_millis(20);

/// How many more claims a worker has room for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// How many handlers have nothing to do.
    pub(super) free: usize,
    /// How many claims wait for a handler.
    pub(super) ready: usize,
}

/// The questions of one poll.
#[derive(Debug)]
pub(super) struct Search {
    /// How many handlers have nothing to do.
    pub(super) free: usize,
    /// Batches may be claimed though no handler is free.
    pub(super) early: bool,
    /// Where something is known to be due: it is claimed without polling. `None` to poll for
    /// everything.
    pub(super) hints: Option<Hints>,
}

/// Steps, and states from which they start, where something is known to be due.
#[derive(Debug, Default)]
pub(super) struct Hints {
    /// A transaction of this process has told.
    pub(super) told: Vec<Source>,
    /// The last poll left some behind.
    pub(super) left: Vec<Source>,
}

impl Search {
    pub(super) fn is_told(&self, source: Source) -> bool {
        self.hints.as_ref().is_some_and(|hints| hints.told.contains(&source))
    }
}

/// The schedule's judgement of a poll that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There is, or may be, something to do.
    Busy,
    /// There is nothing to do, as far as can be known; or it could not be asked.
    Idle,
}

/// Claims that are wanted as soon as there is room for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Press {
    Nothing,
    /// The due records that the last poll left behind.
    Again,
    /// There may be work that no poll has seen.
    Everything,
}

/// When the next poll is, and why.
#[derive(Debug)]
pub(super) struct Schedule {
    press: Press,
    /// Where a record has become due since the last poll began.
    hints: Vec<Source>,
    /// Where the last poll left some behind.
    left: Vec<Source>,
    /// Somebody waits until there is no more work.
    pub(super) awaited: bool,
    /// A poll is under way.
    pub(super) polling: bool,
    next: Instant,
    /// When everything was last polled for.
    polled: Instant,
    pause: Duration,
    longest: Duration,
    /// When a poll last found work.
    worked: Option<Instant>,
    /// With fewer claims than this ready, the next batch is fetched; between these bounds, if there
    /// are batches.
    lead: usize,
    bounds: Option<(usize, usize)>,
}

impl Schedule {
    /// Of a worker with so many handlers, that begins now. `batch`: the most that a step claims at
    /// once, if one claims batches.
    pub(super) fn new(
        now: Instant,
        handlers: usize,
        longest: Duration,
        batch: Option<usize>,
    ) -> Self {
        Self {
            press: Press::Everything,
            hints: Vec::new(),
            left: Vec::new(),
            awaited: false,
            polling: false,
            next: now,
            polled: now,
            pause: FIRST_PAUSE,
            longest,
            worked: None,
            lead: handlers,
            bounds: batch.map(|batch| (handlers, batch.max(handlers))),
        }
    }

    /// What to poll for now; or how long there is nothing to poll for, unless something happens.
    pub(super) fn next(&mut self, now: Instant, room: Room) -> Result<Search, Duration> {
        let stale = now.duration_since(self.polled) >= POLL_EVERY;
        let again = self.press == Press::Again;
        let everything = self.press == Press::Everything || now >= self.next || (again && stale);
        let wanted = everything || self.is_pressing();
        // a batch is claimed while the handlers still have work of the one before
        let early = self.is_low(room) && self.press > Press::Nothing;
        // leases and deadlines do not wait for a handler that is free
        let beside = (self.polled + self.longest.max(FIRST_PAUSE)).max(self.next);
        if !(wanted && (room.free > 0 || early) || now >= beside) {
            let at = if room.free > 0 { self.next } else { beside };
            return Err(at.saturating_duration_since(now).max(Duration::from_millis(1)));
        }
        let told = std::mem::take(&mut self.hints);
        let left = if again { self.left.clone() } else { Vec::new() };
        let everything = everything || now >= beside;
        (self.press, self.polling) = (Press::Nothing, true);
        let hints = (!everything).then_some(Hints { told, left });
        Ok(Search { free: room.free, early: early && room.free == 0, hints })
    }

    fn is_low(&self, room: Room) -> bool {
        self.bounds.is_some() && room.ready < self.lead
    }

    /// A poll has ended, and may have failed. `works`: something runs, waits or is unsettled.
    pub(super) fn polled(
        &mut self,
        search: &Search,
        found: Result<Found, ()>,
        now: Instant,
        (room, works): (Room, bool),
    ) -> Verdict {
        self.polling = false;
        if search.hints.is_none() {
            self.polled = now;
        }
        if let (true, Some((least, most))) = (search.early, self.bounds) {
            self.lead = lead(self.lead, room.ready, least, most);
        }
        match found {
            Ok(Found { any: true, overdue, left, .. }) => {
                self.keep(search, left);
                // if no more is to be claimed now, then as soon as a handler is free
                self.press_if(!self.left.is_empty(), Press::Again);
                self.press_if(overdue, Press::Everything);
                (self.pause, self.next) = (FIRST_PAUSE, now + FIRST_PAUSE);
                self.worked = Some(now);
                Verdict::Busy
            }
            Ok(Found { left, .. }) if search.hints.is_some() => {
                self.keep(search, left);
                Verdict::Busy
            }
            Ok(Found { unseen: Unseen::FurtherBack, .. }) => {
                // what lies further back is polled for before anybody is told that there is nothing
                self.left = Vec::new();
                self.press = Press::Everything;
                Verdict::Busy
            }
            found => {
                let missed = found.as_ref().is_ok_and(|found| found.unseen == Unseen::Missed);
                let mut longest = LONGEST_OUTAGE_PAUSE;
                if let Ok(found) = found {
                    (self.left, longest) = (found.left, self.longest);
                    if let Some(worked) = self.worked {
                        let rest = now.duration_since(worked) / PART_OF_REST;
                        self.pause = self.pause.min(rest.max(FIRST_PAUSE));
                    }
                }
                self.next = now + self.pause;
                self.pause = (self.pause * 2).min(longest);
                let idle = !works && !self.is_pressing() && !missed;
                if idle { Verdict::Idle } else { Verdict::Busy }
            }
        }
    }

    /// Whether to poll as soon as there is room.
    pub(super) fn is_pressing(&self) -> bool {
        self.press > Press::Nothing || !self.hints.is_empty()
    }

    /// Whether the poll stage has something to do now.
    pub(super) fn calls(&self, room: Room) -> bool {
        !self.polling && self.is_pressing() && (room.free > 0 || self.is_low(room))
    }

    /// Anything may be due.
    pub(super) fn wake(&mut self) {
        self.press = Press::Everything;
    }

    fn press_if(&mut self, pressing: bool, by: Press) {
        if pressing {
            self.press = self.press.max(by);
        }
    }

    /// Something has become due in these sources.
    pub(super) fn told(&mut self, sources: &[Source]) {
        for source in sources {
            if !self.hints.contains(source) {
                self.hints.push(*source);
            }
        }
    }

    /// A handler is free again, or a claim settled. `works`: something else is still to be done.
    pub(super) fn freed(&mut self, works: bool) {
        self.press_if(!self.left.is_empty(), Press::Again);
        self.press_if(self.awaited && !works, Press::Everything);
    }

    /// Remembers where a poll left some behind. One that knew where to claim says nothing of the
    /// rest.
    fn keep(&mut self, search: &Search, left: Vec<Source>) {
        match &search.hints {
            None => self.left = left,
            Some(Hints { told, left: asked }) => {
                let seen = |source: &Source| told.contains(source) || asked.contains(source);
                self.left.retain(|source| !seen(source));
                self.left.extend(left);
            }
        }
    }
}

/// How early to fetch the next batch: handlers must not run out of work meanwhile, nor shall more be
/// held than that takes. `left`: what was left when the last was there.
fn lead(lead: usize, left: usize, least: usize, most: usize) -> usize {
    match left {
        0 => lead.saturating_mul(2).min(most),
        _ if left > least => (lead - 1).max(least),
        _ => lead,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const PICKED: Source = (0, "picked");
    const FREE: Room = Room { free: 2, ready: 0 };
    const FULL: Room = Room { free: 0, ready: 0 };

    fn nothing() -> Found {
        Found::default()
    }

    /// A schedule whose first poll has found nothing, and when.
    fn idle() -> (Schedule, Instant) {
        let now = Instant::now();
        let mut of = Schedule::new(now, 2, SECOND, None);
        let search = of.next(now, FREE).expect("a worker begins with a poll");
        assert!(search.hints.is_none(), "for everything");
        assert_eq!(of.polled(&search, Ok(nothing()), now, (FREE, false)), Verdict::Idle);
        (of, now)
    }

    #[test]
    fn a_batch_is_fetched_as_early_as_needed() {
        assert_eq!(lead(8, 0, 8, 32), 16, "they ran dry");
        assert_eq!(lead(24, 0, 8, 32), 32, "a batch at the most");
        assert_eq!(lead(16, 3, 8, 32), 16, "just right");
        assert_eq!(lead(16, 9, 8, 32), 15, "too early");
        assert_eq!(lead(8, 9, 8, 32), 8, "one for each thread at the least");
    }

    #[test]
    fn pauses_grow_to_the_longest() {
        let (mut of, mut now) = idle();
        let mut pauses = Vec::new();
        for _ in 0..10 {
            let pause = of.next(now, FREE).expect_err("nothing to do");
            pauses.push(pause.as_millis());
            now += pause;
            let search = of.next(now, FREE).expect("its time has come");
            of.polled(&search, Ok(nothing()), now, (FREE, false));
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
    }

    #[test]
    fn pauses_are_short_while_there_was_work_lately() {
        let (mut of, worked) = idle();
        let mut now = worked;
        of.worked = Some(worked);
        while now < worked + 20 * SECOND {
            let pause = of.next(now, FREE).expect_err("nothing to do");
            let most = ((now - worked) / PART_OF_REST).clamp(FIRST_PAUSE, SECOND);
            assert!(pause <= most && pause >= most / 2, "{pause:?} after {:?}", now - worked);
            now += pause;
            let search = of.next(now, FREE).expect("its time has come");
            of.polled(&search, Ok(nothing()), now, (FREE, false));
        }
    }

    #[test]
    fn what_is_told_is_claimed_without_a_poll() {
        let (mut of, now) = idle();
        of.told(&[PICKED]);
        assert!(of.calls(FREE) && !of.calls(FULL), "only if somebody is free");
        assert!(of.next(now, FULL).is_err());
        let search = of.next(now, FREE).expect("told");
        assert!(search.is_told(PICKED) && search.free == 2);
        assert!(!of.calls(FREE), "one poll at a time");
        let found = Found { any: true, left: vec![PICKED], ..Found::default() };
        of.polled(&search, Ok(found), now, (FULL, true));
        // more were left: they are claimed as soon as a handler is free
        assert!(of.next(now, FULL).is_err());
        let search = of.next(now, FREE).expect("left behind");
        assert_eq!(search.hints.expect("known").left, [PICKED]);
    }

    #[test]
    fn deadlines_are_polled_for_though_nobody_is_free() {
        let (mut of, now) = idle();
        of.wake();
        assert_eq!(of.next(now, FULL).expect_err("nobody is free"), SECOND);
        let search = of.next(now + SECOND, FULL).expect("leases run out meanwhile");
        assert_eq!((search.free, search.early, search.hints.is_none()), (0, false, true));
    }

    #[test]
    fn batches_are_fetched_before_the_last_is_worked_off() {
        let now = Instant::now();
        let mut of = Schedule::new(now, 2, SECOND, Some(8));
        let search = of.next(now, FREE).expect("the first");
        let found = || Ok(Found { any: true, left: vec![PICKED], ..Found::default() });
        of.polled(&search, found(), now, (Room { free: 0, ready: 8 }, true));
        assert!(of.next(now, Room { free: 0, ready: 2 }).is_err(), "enough is ready");
        let low = Room { free: 0, ready: 1 };
        let search = of.next(now, low).expect("soon they have none");
        assert!(search.early && search.hints.is_some());
        of.polled(&search, found(), now, (FULL, true));
        assert!(of.next(now, Room { free: 0, ready: 3 }).is_ok(), "they ran dry: earlier now");
    }

    #[test]
    fn nobody_is_told_that_there_is_nothing_before_it_is_known() {
        let (mut of, now) = idle();
        let narrow = || Ok(Found { unseen: Unseen::FurtherBack, ..Found::default() });
        let missed = || Ok(Found { unseen: Unseen::Missed, ..Found::default() });
        let mut poll = |found, works| {
            of.wake();
            let search = of.next(now, FREE).expect("woken");
            of.polled(&search, found, now, (FREE, works))
        };
        assert_eq!(poll(narrow(), false), Verdict::Busy, "it may lie further back");
        assert_eq!(poll(missed(), false), Verdict::Busy, "somebody else claims it");
        assert_eq!(poll(Ok(nothing()), true), Verdict::Busy, "a handler runs");
        assert_eq!(poll(Ok(nothing()), false), Verdict::Idle);
        assert_eq!(poll(Err(()), false), Verdict::Idle, "or it cannot be asked");
        of.awaited = true;
        of.freed(false);
        assert!(of.calls(FREE), "who waits for the end has it looked at once more");
    }
}
