//! The settle stage: one thread that writes what handlers have come to, as much at once as is there.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use diesel::r2d2::ManageConnection;
use flowstate::StepError;

use super::core::{Core, Phase, Stage, wait_at};
use super::ended::{End, Ended};
use super::outbox::Unwritten;

use super::unwind::{caught, report};
use super::visit::fault;
use crate::dialect::change::Plan;
use crate::dialect::connection::Store;
use crate::dialect::fault::Fault;
use crate::error::ConflictReason::{LockTimeout, StatementTimeout};
use crate::error::{Error, Result};
use crate::text::chain::chain;
use crate::transaction::parts::{chunks, each_part, is_of_a_record};
use crate::worker::claim::events;
use crate::worker::claim::release::{Back, back_plan};
use crate::worker::claim::settle::{
    Settled, end_all, fail_plan, finish_plan, is_ended_by, try_end,
};

/// At most so many are written at once.
const MOST: usize = 1000;
/// With so many bytes of what they keep: servers take no message of any length.
const BYTES: usize = 4 << 20;
/// So long a record that this program cannot read is not due, if too many are to be passed over.
const LEFT_ALONE: Duration = Duration::from_mins(10);

impl<M: ManageConnection<Connection: Store>> Core<M> {
    /// The thread: writes what is there, until every handler has ended, or the worker gives up.
    pub(super) fn settle(&self) {
        while let Some(ends) = self.next_ends() {
            self.settle_these(ends);
            // whoever waits for room
            self.work.notify_all();
            if self.watch.has_given_up() {
                self.ends.notify_all();
                return;
            }
        }
        self.end(Stage::Settle);
        let mut shared = self.shared();
        let left = shared.outbox.take(Instant::now() + Duration::from_hours(1), usize::MAX);
        drop(shared);
        for ended in left {
            self.abandon(ended);
            self.shared().outbox.settled();
        }
    }

    /// Waits for something to write. `None` when there will be nothing more, or the worker gives up.
    fn next_ends(&self) -> Option<Vec<Ended>> {
        let mut shared = self.shared();
        loop {
            let done = shared.handlers_ended() == self.threads && shared.outbox.is_empty();
            if shared.phase >= Phase::Abandoned || (shared.phase == Phase::Stopping && done) {
                return None;
            }
            let now = Instant::now();
            let next = shared.outbox.next(now);
            if next.is_some_and(|next| next <= now) {
                return Some(shared.outbox.take(now, MOST));
            }
            let pause = next.map_or(Duration::from_hours(1), |next| next.duration_since(now));
            shared = wait_at(&self.ends, shared, pause);
        }
    }

    fn settle_these(&self, ends: Vec<Ended>) {
        let (mut together, mut alone) = (Vec::new(), Vec::new());
        for mut ended in ends {
            match self.plan(&mut ended) {
                Ok(plan) if ended.alone || plan.landing.destroys || plan.bytes() > BYTES => {
                    alone.push((ended, plan));
                }
                Ok(plan) => together.push((ended, plan)),
                Err(error) => self.refused(ended, error),
            }
        }
        let (settled, away) = self.settle_together(&together);
        for (ended, plan) in together {
            if settled.contains(&ended.fence.id) {
                self.settled(ended);
            } else {
                alone.push((Ended { alone: !away, ..ended }, plan));
            }
        }
        let mut away = away;
        for (ended, plan) in alone {
            if away {
                // nobody waits for an answer once for each
                let ended = Ended { plan: Some(plan), ..ended };
                self.again(ended, Unwritten::Hindered, None);
            } else {
                away = self.settle_alone(ended, plan);
            }
        }
    }

    /// How an end is written.
    fn plan(&self, ended: &mut Ended) -> Result<Plan> {
        if let Some(plan) = ended.plan.take() {
            return Ok(plan);
        }
        let (step, fence) = (self.runners[ended.step].step(), &ended.fence);
        caught("settling a claim", || match &ended.end {
            End::Finished(outcome) => finish_plan(step, fence, outcome.clone()),
            End::Failed { error, .. } => fail_plan(step, fence, error),
            End::NotYet(pause) => {
                self.with(|conn| back_plan(conn, step, fence, Back::NotYet(*pause)))
            }
            End::Unreadable(error) => {
                // before it is due again, so that it is not claimed once more
                let known = self.shared().left_alone.add(ended.step, fence, Instant::now());
                let pause = if known { Duration::ZERO } else { LEFT_ALONE };
                self.with(|conn| back_plan(conn, step, fence, Back::LeftAlone(pause, error)))
            }
        })
    }

    /// Writes as many at once as can be written so. Returns their ids, and whether the database is
    /// away.
    fn settle_together(&self, ends: &[(Ended, Plan)]) -> (HashSet<i64>, bool) {
        let mut settled = HashSet::new();
        let mut work = |part: &[(Ended, Plan)]| {
            let ends = part
                .iter()
                .map(|(ended, plan)| (&**self.runners[ended.step].step(), &ended.fence, plan));
            let ends: Vec<_> = ends.collect();
            let ids = caught("settling claims", || self.with(|conn| end_all(conn, &ends)))?;
            settled.extend(ids);
            Ok(())
        };
        let mut parts = chunks(ends, MOST, BYTES, &|(_, plan)| plan.bytes());
        let written = parts.try_for_each(|part| {
            // one that is refused is tried alone, and judged then
            each_part(part, is_of_a_record::<M::Connection>, &mut work, &mut |_, _| {})
        });
        if let Err(error) = &written {
            let error = chain(error);
            report(|| tracing::warn!(error, "the database did not answer; trying again"));
        }
        (settled, written.is_err())
    }

    /// Returns whether the database is away.
    fn settle_alone(&self, ended: Ended, plan: Plan) -> bool {
        let (step, fence) = (self.runners[ended.step].step(), &ended.fence);
        let is_first = ended.tries.is_first();
        let tried = caught("settling a claim", || {
            match self.with(|conn| try_end(conn, step, fence, &plan)) {
                // by ourselves, and the answer was lost?
                Err(lost @ Error::LeaseLost { .. }) if !is_first => {
                    let ours = self.with(|conn| is_ended_by(conn, fence, &plan))?;
                    if ours { Ok(true) } else { Err(lost) }
                }
                tried => tried,
            }
        });
        let away = tried.as_ref().is_err_and(|error| is_away::<M>(error));
        let ended = Ended { plan: Some(plan), ..ended };
        match tried {
            Ok(true) => self.settled(ended),
            // somebody has locked it
            Ok(false) => self.again(ended, Unwritten::Hindered, None),
            Err(error) => self.refused(ended, error),
        }
        away
    }

    fn settled(&self, ended: Ended) {
        let Ended { step, fence, span, end, .. } = ended;
        let settled = match end {
            End::Finished(_) => Settled::Finished,
            End::Failed { error, next } => Settled::Failed { error, next },
            End::NotYet(_) => Settled::PutOff,
            End::Unreadable(error) => {
                let records = self.shared().left_alone.count();
                Settled::LeftAlone { error, records }
            }
        };
        self.conclude(step, &fence, span, Ok(settled));
        self.taken_care_of();
    }

    /// It could not be written now.
    fn refused(&self, ended: Ended, error: Error) {
        let step = self.runners[ended.step].step();
        let why = match &error {
            // the fence would refuse our own commit: the next try finds out
            Error::OutcomeUnknown(_) => Unwritten::Hindered,
            // behind its row, which is never waited for
            Error::Conflict { reason: LockTimeout | StatementTimeout, .. } => Unwritten::Waited,
            error if error.is_conflict() || is_away::<M>(error) => Unwritten::Hindered,
            Error::Database { .. } if self.is_writable(step, &ended.fence) => {
                match fault::<M::Connection>(&error) {
                    Some(Fault::Refused) => Unwritten::Refused,
                    _ => Unwritten::Unexplained,
                }
            }
            Error::Database { .. } => Unwritten::Hindered,
            _ => return self.give_up(ended, error),
        };
        self.again(ended, why, Some(error));
    }

    fn again(&self, mut ended: Ended, why: Unwritten, error: Option<Error>) {
        let is_told = ended.tries.has_waited();
        match (ended.tries.again(why, Instant::now()), error) {
            (Some(at), error) => {
                if let (Unwritten::Waited, Some(error)) = (why, &error) {
                    let flow = self.runners[ended.step].step().flow;
                    if !is_told {
                        report(|| events::passed_over(flow, ended.fence.id, "settle", error));
                    }
                } else if let Some(error) = error {
                    let error = chain(&error);
                    report(|| tracing::warn!(error, "the database did not answer; trying again"));
                }
                self.shared().outbox.put_back(ended, at);
            }
            (None, Some(error)) => self.give_up(ended, error),
            (None, None) => self.give_up(ended, Error::skipped("a claim")),
        }
    }

    /// It cannot be written. What could not be finished has failed.
    fn give_up(&self, ended: Ended, error: Error) {
        let Ended { step, fence, span, end, .. } = ended;
        let is_lost = matches!(error, Error::LeaseLost { .. });
        if matches!(end, End::Finished(_)) && !is_lost {
            let end = self.failed(step, &fence, StepError::from(error));
            let ended = Ended { alone: true, ..Ended::new(step, fence, span, end) };
            return self.shared().outbox.put_back(ended, Instant::now());
        }
        self.conclude(step, &fence, span, Err(error));
        self.taken_care_of();
    }

    /// One end less to write.
    fn taken_care_of(&self) {
        let mut shared = self.shared();
        shared.outbox.settled();
        let works = shared.works();
        shared.schedule.freed(works);
        let calls = shared.schedule.calls(shared.room(self.threads));
        drop(shared);
        if calls {
            self.demand.notify_one();
        }
    }
}

fn is_away<M: ManageConnection<Connection: Store>>(error: &Error) -> bool {
    let fault = fault::<M::Connection>(error);
    matches!(error, Error::NoConnection { .. } | Error::OutcomeUnknown(_))
        || matches!(fault, Some(Fault::Full | Fault::ReadOnly | Fault::Lost))
}
