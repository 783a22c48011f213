//! Looking for work: one statement says what there is, one transaction a batch takes it.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use diesel::r2d2::ManageConnection;

use super::passed_over::Work;
use super::run::{Core, Job};
use super::runner::Runner;
use super::schedule::{Found, Search, Unseen};
use super::stats::count;
use super::unwind::caught;
use super::watermark::{EVERYTHING, Horizon, Source};
use crate::dialect::change::Which;
use crate::dialect::connection::Store;
use crate::dialect::rows::{ClaimedRow, CountRow};
use crate::dialect::{PollGroup, PollState, PollStates, Reads as _};
use crate::error::Result;
use crate::store::identity::identity;
use crate::text::time::micros;
use crate::transaction::explain::explain;
use crate::transaction::notify::Notification;
use crate::worker::claim::batches;
use crate::worker::claim::parts::{each_part, is_of_a_record};
use crate::worker::step::timed::Timed;

/// What to ask the database.
#[derive(Debug)]
pub(crate) struct Questions {
    /// Every state from which a step starts, with what is asked of it but for how far back to look.
    sources: Vec<(Source, PollState<'static>)>,
    /// Every state in which a step runs.
    running: Vec<PollState<'static>>,
    /// Every state with a timed transition.
    timed: Vec<PollState<'static>>,
    /// For each label what it stands for.
    labels: Vec<Label>,
    /// Which steps start where.
    served: Vec<(Notification, Vec<Source>)>,
}

/// What the database says something about: by its place in the list of steps, or of timed
/// transitions.
#[derive(Clone, Copy, Debug)]
enum Label {
    Due(usize, &'static str),
    Leased(usize, &'static str),
    Timed(usize),
}

impl Questions {
    pub(crate) fn new<C>(runners: &[std::sync::Arc<dyn Runner<C>>], timed: &[Timed<C>]) -> Self {
        let mut labels = Vec::new();
        let mut ask = |flow, state, label| {
            labels.push(label);
            PollState { label: labels.len() - 1, flow, state, reach: 0 }
        };
        let (mut sources, mut running) = (Vec::new(), Vec::new());
        let mut served = Vec::<(Notification, Vec<Source>)>::new();
        for (at, runner) in runners.iter().enumerate() {
            let step = runner.step();
            for source in step.sources.iter().copied() {
                let asked = ask(step.flow, source, Label::Due(at, source));
                sources.push(((at, source), asked));
                let notification = Notification { flow: step.flow, state: source };
                match served.iter_mut().find(|(known, _)| *known == notification) {
                    Some((_, steps)) => steps.push((at, source)),
                    None => served.push((notification, vec![(at, source)])),
                }
            }
            for name in &step.running_names {
                running.push(ask(step.flow, name, Label::Leased(at, name)));
            }
        }
        let timed = timed.iter().enumerate();
        let timed =
            timed.map(|(at, timed)| ask(timed.flow, timed.state, Label::Timed(at))).collect();
        Self { sources, running, timed, labels, served }
    }

    /// The sources, each with how far back to look.
    fn sources(&self, horizon: &Horizon) -> Vec<PollState<'static>> {
        let sources: Vec<_> = self.sources.iter().map(|(source, _)| *source).collect();
        let asked = self.sources.iter().zip(horizon.reaches(&sources));
        asked.map(|((_, asked), reach)| PollState { reach, ..*asked }).collect()
    }

    /// The steps that start where a record has come to.
    pub(super) fn served(&self, notification: Notification) -> &[Source] {
        let served = self.served.iter().find(|(known, _)| *known == notification);
        served.map_or(&[], |(_, steps)| steps)
    }
}

/// What the database answered.
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
    /// Looks once, and takes what there is for the threads that are free.
    pub(super) fn look(&self, search: &Search, jobs: &mut Vec<Job>) -> Result<Found> {
        if let Some(hints) = &search.hints {
            let told = hints.told.iter().filter(|source| !hints.left.contains(source));
            let due: Vec<_> = told.chain(&hints.left).copied().collect();
            return self.claim(&due, search, jobs);
        }
        let Questions { running, timed, .. } = &self.questions;
        let wide = self.horizon.is_wide();
        let but = [Work::Claim, Work::Reap, Work::Timed].map(|work| self.passed_over(work));
        let (sources, asked) = (self.questions.sources(&self.horizon), Instant::now());
        let rows = self.with(|conn| {
            let group = |states, but| PollGroup { states, but };
            let sources = group(&sources, &but[0]);
            let (running, timed) = (group(running, &but[1]), group(timed, &but[2]));
            let rows = conn.poll(PollStates { sources, running, timed });
            rows.map_err(|error| explain(conn, None, error))
        })?;
        self.note_stall(asked);
        let seen = self.understand(rows, asked);
        // only a thread that is free looks with no other look under way
        let strays = search.free > 0 && self.release_strays()?;
        let swept = strays | self.reap(&seen.leased)? | self.take_timed(&seen.timed)?;
        // where something is due, more is asked next time
        let narrow =
            seen.due.is_empty() && sources.iter().any(|asked| asked.reach < micros(EVERYTHING));
        let claimed = self.claim(&seen.due, search, jobs)?;
        // what was due when it was seen may lie further back by the time the claim arrives
        let missed = !seen.due.is_empty() && !claimed.any && claimed.left.is_empty();
        self.horizon.set_wide(missed);
        let unseen = match (missed, narrow) {
            (true, _) if wide => Unseen::Missed,
            (true, _) | (false, true) => Unseen::FurtherBack,
            (false, false) => Unseen::Nothing,
        };
        Ok(Found { any: swept | claimed.any, swept, unseen, ..claimed })
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
        self.horizon.learn(asked, overdue);
        seen
    }

    /// Claims for the steps in turn, beginning with another one each time, so that none starves
    /// behind one with a long queue.
    fn claim(&self, due: &[Source], search: &Search, jobs: &mut Vec<Job>) -> Result<Found> {
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
            let left_behind = self.claim_step(*step, sources, share, search, jobs)?;
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
        at: usize,
        sources: impl Iterator<Item = &'static str>,
        share: usize,
        search: &Search,
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
            let reach = self.horizon.reach((at, source), search.is_told((at, source)));
            let before = jobs.len();
            let limit = i64::try_from(left).unwrap_or(i64::MAX);
            self.claim_from(at, source, (reach, limit), jobs)?;
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
        at: usize,
        source: &'static str,
        (reach, limit): (i64, i64),
        jobs: &mut Vec<Job>,
    ) -> Result<()> {
        let step = self.runners[at].step();
        let but = self.passed_over(Work::Claim);
        let asked = Instant::now();
        let claimed = self.with(|conn| {
            // before anything is claimed that could not be begun without it
            if self.identity.get().is_none() {
                let identity = identity(conn)?;
                self.identity.get_or_init(|| identity);
            }
            let which = Which::Oldest { reach, but: &but, limit };
            batches::claim(conn, step, source, which, &self.worker)
        });
        // something is due, and nothing was claimed the last time either
        let again = self.horizon.is_wide();
        let by_halves = match claimed {
            Ok(claimed) if claimed.is_empty() && again => false,
            Ok(claimed) => {
                self.take(at, claimed, asked, jobs);
                return Ok(());
            }
            Err(error) if is_of_a_record::<M::Connection>(&error) => true,
            Err(error) => return Err(error),
        };
        let found =
            self.with(|conn| batches::find_due(conn, step, source, (reach, &but, limit)))?;
        let all = if by_halves { found.len() } else { 1 };
        for found in found.chunks(all.max(1)) {
            each_part(
                found,
                is_of_a_record::<M::Connection>,
                &mut |part| {
                    let asked = Instant::now();
                    let claimed = self.with(|conn| {
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

    fn reap(&self, leased: &[Source]) -> Result<bool> {
        let mut found = false;
        if !self.may_reap() {
            return Ok(false);
        }
        for &(at, state) in leased {
            let step = self.runners[at].step();
            let but = self.passed_over(Work::Reap);
            let mut expired = self.with(|conn| batches::find_expired(conn, step, state, &but))?;
            expired.retain(|found| !self.holds(found.id, found.seq));
            let fail_over = |row, error: &_, last, conn: &mut _| {
                self.runners[at].fail_over(row, error, last, conn)
            };
            let (mut reaped, mut refused) = (0, 0);
            each_part(
                &expired,
                is_of_a_record::<M::Connection>,
                &mut |part| {
                    let what = "failing claims over";
                    let part = caught(what, || {
                        self.with(|conn| batches::reap(conn, step, part, &fail_over))
                    })?;
                    reaped += part.reaped;
                    if part.stalled {
                        self.note_outage_at(Instant::now());
                    }
                    Ok(())
                },
                &mut |found, error| {
                    refused += 1;
                    self.pass_over(Work::Reap, step.flow, found.id, &error);
                },
            )?;
            if reaped == 0 && refused == 0 {
                self.pass_over_locked(Work::Reap, &expired);
            }
            if reaped > 0 {
                found = true;
                let reaped_before = u64::try_from(reaped).unwrap_or_default();
                self.counters.reaped.fetch_add(reaped_before, Ordering::Relaxed);
                tracing::warn!(flow = step.flow, step = step.name, reaped, "leases expired");
            }
        }
        Ok(found)
    }

    fn take_timed(&self, overdue: &[usize]) -> Result<bool> {
        let mut found = false;
        for timed in overdue.iter().map(|at| &self.timed[*at]) {
            let mut steps = self.runners.iter().map(|runner| &**runner.step());
            let step = steps.find(|step| timed.ends(step));
            let but = self.passed_over(Work::Timed);
            let overdue = self.with(|conn| batches::find_overdue(conn, timed, &but))?;
            let (mut taken, mut refused) = (0, 0);
            each_part(
                &overdue,
                is_of_a_record::<M::Connection>,
                &mut |part| {
                    let what = "taking timed transitions";
                    taken += caught(what, || {
                        self.with(|conn| batches::take_timed(conn, timed, step, part))
                    })?;
                    Ok(())
                },
                &mut |found, error| {
                    refused += 1;
                    self.pass_over(Work::Timed, timed.flow, found.id, &error);
                },
            )?;
            if taken == 0 && refused == 0 {
                self.pass_over_locked(Work::Timed, &overdue);
            }
            if taken > 0 {
                found = true;
                let more = u64::try_from(taken).unwrap_or_default();
                self.counters.timed.fetch_add(more, Ordering::Relaxed);
                let transition = timed.transition.name;
                tracing::debug!(flow = timed.flow, transition, taken, "time was over");
            }
        }
        Ok(found)
    }
}
