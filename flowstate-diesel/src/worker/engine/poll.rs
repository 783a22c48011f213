//! The poll stage: one statement says what there is, one transaction a batch takes it.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use diesel::r2d2::ManageConnection;

use super::core::{Core, Job, Phase, Stage, wait_at};
use super::found::{Found, Unseen};
use super::passed_over::Work;
use super::questions::{Label, Questions};
use super::schedule::{LONGEST_OUTAGE_PAUSE, Search, Verdict};
use super::stats::count;
use super::unknown::REPORT_EVERY;
use super::unwind::{caught, report};
use super::visit::Visit;
use super::watermark::Source;
use crate::dialect::change::Which;
use crate::dialect::connection::Store;
use crate::dialect::rows::{ClaimedRow, CountRow};
use crate::dialect::{PollGroup, PollStates, Reads as _};
use crate::error::Result;
use crate::store::identity::identity;
use crate::text::chain::chain;
use crate::text::time::micros;
use crate::transaction::explain::Explain as _;
use crate::transaction::notify::{Listener, Notification};
use crate::transaction::parts::{each_part, is_of_a_record};
use crate::worker::claim::batches::{self, EVERYTHING};

/// The answer of the database to a poll.
#[derive(Debug, Default)]
struct Seen {
    /// Step and state, the longest overdue first.
    due: Vec<Source>,
    /// Step and state of expired leases.
    leased: Vec<Source>,
    /// Timed transitions whose time has come.
    timed: Vec<usize>,
}

impl<M: ManageConnection<Connection: Store>> Core<M> {
    /// The thread: polls whenever the schedule says so, until the worker stops.
    pub(super) fn poll(&self) {
        let mut next_deadlines = Instant::now();
        while let Some(search) = self.next_search() {
            if Instant::now() >= next_deadlines {
                let pause =
                    if self.correct_deadlines() { REPORT_EVERY } else { LONGEST_OUTAGE_PAUSE };
                next_deadlines = Instant::now() + pause;
            }
            self.poll_and_tell(&search);
            if self.watch.has_given_up() {
                return;
            }
        }
        if self.shared().phase == Phase::Abandoned {
            self.part();
        }
        self.end(Stage::Poll);
    }

    /// Whether that could be done: records which an older program moves meanwhile are found the next
    /// time.
    fn correct_deadlines(&self) -> bool {
        let corrected = caught("giving deadlines", || self.give_deadlines());
        if let Err(error) = &corrected {
            let error = chain(error);
            report(|| tracing::warn!(error, "deadlines could not be given"));
        }
        corrected.is_ok()
    }

    fn next_search(&self) -> Option<Search> {
        let mut shared = self.shared();
        loop {
            if shared.phase >= Phase::Stopping {
                return None;
            }
            let room = shared.room(self.threads);
            match shared.schedule.next(Instant::now(), room) {
                Ok(search) => return Some(search),
                Err(pause) => shared = wait_at(&self.demand, shared, pause),
            }
        }
    }

    fn poll_and_tell(&self, search: &Search) {
        let mut jobs = Vec::new();
        // what was claimed before a panic is among the jobs
        let found = caught("polling", || self.look(search, &mut jobs));
        if let Err(error) = &found {
            self.poll_failed(error);
        }
        let problem = found.as_ref().err().map(|error| chain(error));
        let mut shared = self.shared();
        let called = jobs.len().min(shared.waiting);
        shared.ready.extend(jobs);
        if self.watch.has_given_up() {
            // what else it has claimed is given back by the thread that polls now
            shared.trouble.stray = true;
            drop(shared);
            (0..called).for_each(|_| self.work.notify_one());
            return;
        }
        let now = (shared.room(self.threads), shared.works());
        let (found, failed) = match found {
            Ok(found) => (Ok(found), None),
            Err(error) => (Err(()), Some(error)),
        };
        match shared.schedule.polled(search, found, Instant::now(), now) {
            Verdict::Busy => shared.idle = None,
            Verdict::Idle => shared.idle = Some(failed.map_or(Ok(()), Err)),
        }
        let told = shared.idle.is_some() || shared.phase >= Phase::Stopping;
        drop(shared);
        (0..called).for_each(|_| self.work.notify_one());
        if told {
            self.changed.notify_all();
        }
        if let Some(error) = problem {
            report(|| tracing::warn!(error, "the database could not be looked at"));
        }
    }

    /// Polls once, and takes what there is for the threads that are free.
    fn look(&self, search: &Search, jobs: &mut Vec<Job>) -> Result<Found> {
        if let Some(hints) = &search.hints {
            let told = hints.told.iter().filter(|source| !hints.left.contains(source));
            let due: Vec<_> = told.chain(&hints.left).copied().collect();
            return self.claim(&mut self.visit(), &due, search, jobs);
        }
        // nobody else claims meanwhile
        let strays = self.release_strays()?;
        self.read_again()?;
        let Questions { running, timed, .. } = &self.questions;
        let wide = self.watermark.is_wide();
        let but = [Work::Claim, Work::Reap, Work::Timed].map(|work| self.passed_over(work));
        let (sources, asked) = (self.questions.sources(&self.watermark), Instant::now());
        let mut visit = self.visit();
        let rows = visit.call(|conn| {
            let group = |states, but| PollGroup { states, but };
            let sources = group(&sources, &but[0]);
            let (running, timed) = (group(running, &but[1]), group(timed, &but[2]));
            conn.poll(PollStates { sources, running, timed }).explain(conn)
        })?;
        self.note_stall(asked);
        let seen = self.understand(rows, asked);
        if !(seen.leased.is_empty() && seen.timed.is_empty()) {
            // what is done about them wants a connection, too, and so may its hooks
            visit.pause();
        }
        let overdue = strays | self.reap(&seen.leased)? | self.take_timed(&seen.timed)?;
        // where something is due, more is asked next time
        let narrow =
            seen.due.is_empty() && sources.iter().any(|asked| asked.reach < micros(EVERYTHING));
        let claimed = self.claim(&mut visit, &seen.due, search, jobs)?;
        // what was due when it was seen may lie further back by the time the claim arrives
        let missed = !seen.due.is_empty() && !claimed.any && claimed.left.is_empty();
        self.watermark.set_wide(missed);
        let unseen = match (missed, narrow) {
            (true, _) if wide => Unseen::Missed,
            (true, _) | (false, true) => Unseen::FurtherBack,
            (false, false) => Unseen::Nothing,
        };
        Ok(Found { any: overdue | claimed.any, overdue, unseen, ..claimed })
    }

    fn understand(&self, mut rows: Vec<CountRow>, asked: Instant) -> Seen {
        self.counters.oldest_due.iter().for_each(|oldest| oldest.store(-1, Ordering::Relaxed));
        rows.sort_unstable_by_key(|row| -row.number);
        let (mut seen, mut overdue) = (Seen::default(), HashMap::new());
        for row in rows {
            let label = row.label.parse::<usize>().ok();
            match label.and_then(|label| self.questions.labels.get(label)) {
                Some(&Label::Due(step, state)) => {
                    let oldest = &self.counters.oldest_due[step];
                    oldest.fetch_max(row.number, Ordering::Relaxed);
                    seen.due.push((step, state));
                    let late = u64::try_from(row.number).unwrap_or_default();
                    overdue.insert((step, state), Duration::from_millis(late));
                }
                Some(&Label::Leased(step, state)) => seen.leased.push((step, state)),
                Some(&Label::Timed(at)) => seen.timed.push(at),
                None => {}
            }
        }
        self.watermark.learn(asked, asked.elapsed(), overdue);
        seen
    }

    /// Claims for the steps in turn, beginning with another one each time, so that none starves
    /// behind one with a long queue.
    fn claim(
        &self,
        visit: &mut Visit<'_, M>,
        due: &[Source],
        search: &Search,
        jobs: &mut Vec<Job>,
    ) -> Result<Found> {
        let mut steps: Vec<_> = due.iter().map(|(step, _)| *step).collect();
        steps.sort_unstable();
        steps.dedup();
        let mut found = Found::default();
        if steps.is_empty() {
            return Ok(found);
        }
        let first = self.turn.fetch_add(1, Ordering::Relaxed) % steps.len();
        steps.rotate_left(first);
        let mut left = search.free;
        for (at, step) in steps.iter().enumerate() {
            let share = left.div_ceil(steps.len() - at);
            let sources = due.iter().filter(|(of, _)| of == step).map(|(_, state)| *state);
            let before = jobs.len();
            let left_behind = self.claim_step(visit, *step, sources, (share, search), jobs)?;
            found.left.extend(left_behind.into_iter().map(|source| (*step, source)));
            let taken = jobs.len() - before;
            found.any |= taken > 0;
            left = left.saturating_sub(taken);
        }
        Ok(found)
    }

    /// Returns where there may be more.
    fn claim_step(
        &self,
        visit: &mut Visit<'_, M>,
        at: usize,
        sources: impl Iterator<Item = &'static str>,
        (share, search): (usize, &Search),
        jobs: &mut Vec<Job>,
    ) -> Result<Vec<&'static str>> {
        let step = self.runners[at].step();
        let held = self.held(at);
        let wanted = match step.policy.batch_size() {
            Some(batch) if share > 0 || search.early => batch.max(share),
            _ => share,
        };
        let mut left = wanted.min(step.policy.most_at_once().saturating_sub(held));
        let (before, mut left_behind) = (jobs.len(), Vec::new());
        for source in sources {
            if left == 0 {
                left_behind.push(source);
                continue;
            }
            let reach = self.watermark.reach((at, source), search.is_told((at, source)));
            let before = jobs.len();
            let limit = i64::try_from(left).unwrap_or(i64::MAX);
            self.claim_from(visit, at, source, (reach, limit), jobs)?;
            left -= (jobs.len() - before).min(left);
            if left == 0 {
                left_behind.push(source);
            }
        }
        // a subscriber may panic: by now the claims are in good hands
        for Job { claim, .. } in &jobs[before..] {
            tracing::debug!(
                flow = step.flow,
                id = claim.row.id,
                step = step.name,
                attempt = claim.row.attempts.saturating_add(1),
                "claimed"
            );
        }
        Ok(left_behind)
    }

    fn claim_from(
        &self,
        visit: &mut Visit<'_, M>,
        at: usize,
        source: &'static str,
        (reach, limit): (i64, i64),
        jobs: &mut Vec<Job>,
    ) -> Result<()> {
        let step = self.runners[at].step();
        let but = self.passed_over(Work::Claim);
        let asked = Instant::now();
        let claimed = visit.call(|conn| {
            // before anything is claimed that could not be begun without it
            if self.identity.get().is_none() {
                let identity = identity(conn)?;
                self.identity.get_or_init(|| identity);
            }
            let which = Which::Oldest { reach, but: &but, limit };
            batches::claim(conn, step, source, which, &self.worker)
        });
        // something is due, and nothing was claimed the last time either
        let again = self.watermark.is_wide();
        let one_by_one = match claimed {
            Ok(claimed) if claimed.is_empty() && again => true,
            Ok(claimed) => {
                self.take(at, claimed, asked, jobs);
                return Ok(());
            }
            // what one of them waits for was waited for already
            Err(error) if is_of_a_record::<M::Connection>(&error) => error.is_conflict(),
            Err(error) => return Err(error),
        };
        let found =
            visit.call(|conn| batches::find_due(conn, step, source, (reach, &but, limit)))?;
        let part = if one_by_one { 1 } else { found.len().max(1) };
        for found in found.chunks(part) {
            each_part(
                found,
                is_of_a_record::<M::Connection>,
                &mut |part| {
                    let asked = Instant::now();
                    let claimed = visit.call(|conn| {
                        batches::claim_found(conn, step, source, part, &self.worker)
                    })?;
                    self.take(at, claimed, asked, jobs);
                    Ok(())
                },
                &mut |found, error| self.pass_over(Work::Claim, step.flow, found.id, &error),
            )?;
        }
        Ok(())
    }

    fn take(&self, at: usize, claimed: Vec<ClaimedRow>, asked: Instant, jobs: &mut Vec<Job>) {
        for claim in claimed {
            count(&self.counters.claimed);
            let signals = self.hold(at, &claim, asked);
            jobs.push(Job { step: at, claim, signals });
        }
    }
}

impl<M: ManageConnection<Connection: Store>> Listener for Core<M> {
    fn notify(&self, notification: Option<Notification>) {
        let mut shared = self.shared();
        match notification {
            None => shared.schedule.wake(),
            Some(notification) => shared.schedule.told(self.questions.served(notification)),
        }
        // if nobody is free, whoever is next calls
        let calls = shared.schedule.calls(shared.room(self.threads));
        drop(shared);
        if calls {
            self.demand.notify_one();
        }
    }
}
