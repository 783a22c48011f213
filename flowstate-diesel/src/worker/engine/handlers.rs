//! The handler stage: threads that run the user's code, and nothing else.

use std::sync::Arc;

use diesel::r2d2::ManageConnection;
use flowstate::{NextTry, StepError};

use super::core::{Core, Job, Phase, Stage, wait_at};
use super::ended::{End, Ended};
use super::handler::{fail_within, lease_lost};
use super::runner::{Desk as _, Done, Handled, Runner};
use super::stats::count;
use super::unwind::{caught, report};
use crate::dialect::connection::Store;
use crate::error::{Error, RecordRef, Result};
use crate::metrics;
use crate::transaction::hooks::run_hooks;
use crate::transition::trace;
use crate::worker::claim::events;
use crate::worker::claim::settle::{Fence, Settled, failing};
use crate::worker::step::StepSpec;

impl<M: ManageConnection<Connection: Store>> Core<M> {
    /// One thread: runs handlers on what is claimed, until the worker stops.
    pub(super) fn handle(&self) {
        while let Some(job) = self.next_job() {
            self.handle_caught(job);
            self.free_handler();
        }
        if self.shared().phase == Phase::Abandoned {
            self.part();
        }
        self.end(Stage::Handler);
    }

    /// Waits for the next claim. `None` when the worker stops.
    fn next_job(&self) -> Option<Job> {
        let mut shared = self.shared();
        loop {
            if shared.phase >= Phase::Stopping {
                return None;
            }
            if let Some(job) = shared.ready.pop_front() {
                shared.busy += 1;
                return Some(job);
            }
            shared.waiting += 1;
            shared = wait_at(&self.work, shared, self.poll);
            shared.waiting -= 1;
        }
    }

    /// A handler has nothing to do.
    fn free_handler(&self) {
        let mut shared = self.shared();
        shared.busy -= 1;
        let works = shared.works();
        shared.schedule.freed(works);
        let (calls, stopping) =
            (shared.schedule.calls(shared.room(self.threads)), shared.phase >= Phase::Stopping);
        drop(shared);
        if calls {
            self.demand.notify_one();
        }
        if stopping {
            self.changed.notify_all();
        }
    }

    /// Runs a job. If it panics outside its handler, its try has failed.
    fn handle_caught(&self, job: Job) {
        let (at, fence) = (job.step, Fence::of(&job.claim.row, &self.worker));
        let step = self.runners[at].step();
        let made = caught("observing a claim", || Ok(span(step, &fence)));
        let span = made.unwrap_or_else(|_| tracing::Span::none());
        let ended = caught("settling a claim", || {
            let _entered = span.enter();
            Ok(self.run(job, &fence, &span))
        });
        let outcome = ended.unwrap_or_else(|error| {
            let error = StepError::from(error.to_string());
            Outcome::Unsettled(self.failed(at, &fence, error))
        });
        match outcome {
            Outcome::Settled(settled) => self.conclude(at, &fence, span, settled),
            Outcome::Unsettled(end) => self.send(Ended::new(at, fence, span, end)),
        }
    }

    fn run(&self, mut job: Job, fence: &Fence, span: &tracing::Span) -> Outcome {
        let (at, runner) = (job.step, &self.runners[job.step]);
        let step = runner.step();
        if !runner.locks_first() && !self.is_still_held(&job) {
            let record = RecordRef { flow: step.flow, id: Some(fence.id) };
            return Outcome::Settled(Err(lease_lost(step, record)));
        }
        job.signals.traceparent = self.trace_context(step, fence, span);
        match runner.run(job.claim, job.signals, self) {
            Ok(Done::Settled(settled)) => Outcome::Settled(Ok(settled)),
            Ok(Done::Handled(Handled::Finished(outcome))) => {
                Outcome::Unsettled(End::Finished(outcome))
            }
            Ok(Done::Handled(Handled::Failed(error)))
                if runner.ends_within() && !is_not_yet(&error) =>
            {
                Outcome::Settled(self.fail_within(&**runner, fence, error))
            }
            Ok(Done::Handled(Handled::Failed(error))) => {
                Outcome::Unsettled(self.failed(at, fence, error))
            }
            Ok(Done::Handled(Handled::Unreadable(error))) => {
                Outcome::Unsettled(End::Unreadable(error))
            }
            Err(error) => Outcome::Settled(Err(error)),
        }
    }

    /// The trace context of the last caller who moved the record: told to the span, too. The step
    /// does not depend on it.
    fn trace_context(
        &self,
        step: &StepSpec,
        fence: &Fence,
        span: &tracing::Span,
    ) -> Option<Arc<str>> {
        if !trace::is_kept() {
            return None;
        }
        let record = RecordRef { flow: step.flow, id: Some(fence.id) };
        let kept = self.with(|conn| trace::kept(conn, record, fence.id, fence.seq)).ok()??;
        report(|| {
            span.record("traceparent", &*kept);
        });
        Some(kept)
    }

    pub(super) fn failed(&self, step: usize, fence: &Fence, error: StepError) -> End {
        if let NextTry::NotYet(pause) = error.next_try() {
            return End::NotYet(pause);
        }
        let next = failing(self.runners[step].step(), fence.attempts, error.next_try()).next;
        End::Failed { error, next }
    }

    /// Fails a try with the user's part of that.
    fn fail_within(
        &self,
        runner: &dyn Runner<M::Connection>,
        fence: &Fence,
        error: StepError,
    ) -> Result<Settled> {
        let step = runner.step();
        let mut hooks = Vec::new();
        let failed = self
            .insist(step, fence, &mut |conn| fail_within(runner, conn, &mut hooks, fence, &error));
        run_hooks(hooks);
        failed?;
        let next = failing(step, fence.attempts, error.next_try()).next;
        Ok(Settled::Failed { error, next })
    }

    /// Hands an end to the settle stage, which may be behind: then this waits.
    fn send(&self, ended: Ended) {
        let mut shared = self.shared();
        while shared.outbox.is_full() && !shared.ended.contains(&Stage::Settle) {
            shared = wait_at(&self.work, shared, self.poll);
        }
        if shared.ended.contains(&Stage::Settle) {
            drop(shared);
            return self.abandon(ended);
        }
        let is_first = shared.outbox.put(ended);
        drop(shared);
        // to call is a system call, though nobody waits; what comes behind another one is taken with it
        if is_first {
            self.ends.notify_one();
        }
    }

    /// The worker has given up its claims.
    pub(super) fn abandon(&self, ended: Ended) {
        let Ended { step, fence, span, .. } = ended;
        self.conclude(step, &fence, span, Err(Error::WorkerStopped));
    }

    /// Tells how a claim has ended, counts it, and lets go of the claim.
    pub(super) fn conclude(
        &self,
        step: usize,
        fence: &Fence,
        span: tracing::Span,
        settled: Result<Settled>,
    ) {
        let spec = self.runners[step].step();
        let (outcome, counter) = match &settled {
            Ok(Settled::Finished) => ("finished", Some(&self.counters.finished)),
            Ok(Settled::Failed { .. }) => ("failed", Some(&self.counters.failed)),
            Ok(Settled::PutOff | Settled::LeftAlone { .. }) => {
                ("put off", Some(&self.counters.put_off))
            }
            Err(Error::LeaseLost { .. }) => {
                metrics::claim_lost(spec.flow, spec.name);
                ("lost", Some(&self.counters.lost))
            }
            Err(_) => ("abandoned", None),
        };
        // a subscriber may panic: what follows is done all the same
        report(|| {
            let _entered = span.enter();
            span.record("outcome", outcome);
            match &settled {
                Ok(settled) => events::settled(spec, fence, settled),
                Err(error) => events::unsettled(spec, fence, error),
            }
        });
        report(|| drop(span));
        report(|| drop(settled));
        self.let_go(fence, counter.is_some());
        // by now it is no longer among those that run
        if let Some(counter) = counter {
            count(counter);
        }
    }

    fn let_go(&self, fence: &Fence, settled: bool) {
        let mut shared = self.shared();
        // one that could not be settled before the worker gave up can still be given back
        let kept = !settled && shared.phase == Phase::Abandoned;
        if !kept && shared.held.get(&fence.id).is_some_and(|held| held.fence.seq == fence.seq) {
            shared.held.remove(&fence.id);
        }
    }
}

/// The end of a job.
enum Outcome {
    /// It is written, or cannot be.
    Settled(Result<Settled>),
    /// It is still to be written.
    Unsettled(End),
}

fn is_not_yet(error: &StepError) -> bool {
    matches!(error.next_try(), NextTry::NotYet(_))
}

fn span(step: &StepSpec, fence: &Fence) -> tracing::Span {
    tracing::debug_span!(
        "flowstate.step",
        flow = step.flow,
        id = fence.id,
        step = step.name,
        attempt = fence.attempts.saturating_add(1),
        traceparent = tracing::field::Empty,
        outcome = tracing::field::Empty,
    )
}
