//! Units of work, as types.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use crate::__private::DeclaredStep;
use crate::{
    ArtefactSet, ArtefactWriter, Backoff, Flow, Policy, StepDefinition, StepError, Transition,
};

/// A declared unit of work: a unit type and a constant on the flow, such as
/// `SyncThirdPartyApi::FETCH`.
///
/// The derive implements it for every `#[step(…)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no step",
    label = "no step",
    note = "`#[step(…)]` declares a step; take the constant on the flow that is named as it is"
)]
pub trait Step: Copy + Send + Sync + 'static {
    /// The flow it belongs to.
    type Flow: Flow;

    /// The transition that claims a record and leads to the running state.
    type Start: Transition<Flow = Self::Flow, Loads = Self::Loads, Persists = ()>;

    /// The transition that a failed try takes.
    type Fail: Transition<Flow = Self::Flow, Loads = (), Persists = ()>;

    /// The transition that the last failed try takes: [`Fail`](Self::Fail), unless `give_up(…)` says
    /// otherwise.
    type GiveUp: Transition<Flow = Self::Flow, Loads = (), Persists = ()>;

    /// The artefacts that a handler is given.
    type Loads: ArtefactSet<Self::Flow>;

    /// What a handler returns: with one outcome just what it persists, with several an enum.
    type Outcome: StepOutcome<Self::Flow>;

    /// The name in the code.
    const NAME: &'static str = Self::DEFINITION.name;

    /// What the attribute says of it.
    const DEFINITION: &'static StepDefinition = Self::DECLARED.definition();

    /// What only the derive can say.
    #[doc(hidden)]
    const DECLARED: DeclaredStep;

    /// Hands the artefacts of an outcome to `writer`, in order. Returns which outcome it is: its
    /// position in [`StepDefinition::outcomes`].
    ///
    /// # Errors
    /// The first error of the writer.
    fn write_outcome<W: ArtefactWriter<Self::Flow>>(
        outcome: &Self::Outcome,
        writer: &mut W,
    ) -> Result<usize, W::Error> {
        outcome.write_to(writer)?;
        Ok(outcome.position())
    }

    /// This step with another lease than [`Policy::lease`] says.
    fn lease(self, lease: Duration) -> StepWithPolicy<Self> {
        StepWithPolicy::from(self).lease(lease)
    }

    /// This step with these tries and pauses.
    fn retry(self, retry: Backoff) -> StepWithPolicy<Self> {
        StepWithPolicy::from(self).retry(retry)
    }

    /// This step, at most so many of it at once in one worker.
    fn concurrency(self, most: usize) -> StepWithPolicy<Self> {
        StepWithPolicy::from(self).concurrency(most)
    }

    /// This step, claimed up to so many at once.
    fn batch(self, most: usize) -> StepWithPolicy<Self> {
        StepWithPolicy::from(self).batch(most)
    }
}

/// What a handler returns: the artefacts of a step's only outcome, or one of several outcomes, an
/// enum that the derive generates.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no outcome of a step of `{F}`",
    label = "no outcome of a step"
)]
pub trait StepOutcome<F: Flow> {
    /// Which outcome it is: its position in [`StepDefinition::outcomes`].
    fn position(&self) -> usize;

    /// Hands its artefacts to `writer`, in order; ends at its first error.
    ///
    /// # Errors
    /// That of the writer.
    fn write_to<W: ArtefactWriter<F>>(&self, writer: &mut W) -> Result<(), W::Error>;
}

#[diagnostic::do_not_recommend]
impl<F: Flow, A: ArtefactSet<F>> StepOutcome<F> for A {
    fn position(&self) -> usize {
        0
    }

    fn write_to<W: ArtefactWriter<F>>(&self, writer: &mut W) -> Result<(), W::Error> {
        ArtefactSet::write_to(self, writer)
    }
}

/// A step with a [`Policy`] of its own: `SyncThirdPartyApi::FETCH.lease(…).retry(…)`.
#[must_use = "a step does nothing until a worker has it"]
pub struct StepWithPolicy<S> {
    policy: Policy,
    step: PhantomData<fn() -> S>,
}

impl<S> Clone for StepWithPolicy<S> {
    fn clone(&self) -> Self {
        Self { policy: self.policy.clone(), step: PhantomData }
    }
}

impl<S: Step> fmt::Debug for StepWithPolicy<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Step").field("name", &S::NAME).field("policy", &self.policy).finish()
    }
}

impl<S: Step> From<S> for StepWithPolicy<S> {
    fn from(_: S) -> Self {
        Self { policy: Policy::default(), step: PhantomData }
    }
}

impl<S> StepWithPolicy<S> {
    /// See [`Policy::lease`].
    pub fn lease(mut self, lease: Duration) -> Self {
        self.policy = self.policy.lease(lease);
        self
    }

    /// See [`Policy::retry`].
    pub fn retry(mut self, retry: Backoff) -> Self {
        self.policy = self.policy.retry(retry);
        self
    }

    /// See [`Policy::concurrency`].
    pub fn concurrency(mut self, most: usize) -> Self {
        self.policy = self.policy.concurrency(most);
        self
    }

    /// See [`Policy::batch`].
    pub fn batch(mut self, most: usize) -> Self {
        self.policy = self.policy.batch(most);
        self
    }
}

/// A step as a worker takes it: `Order::SHIP`, or `Order::SHIP.lease(…)`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no step",
    label = "no step",
    note = "`#[step(…)]` declares a step; take the constant on the flow that is named as it is"
)]
pub trait IntoStep {
    /// The step.
    type Step: Step;

    /// How it is leased and tried.
    fn into_policy(self) -> Policy;
}

impl<S: Step> IntoStep for S {
    type Step = S;

    fn into_policy(self) -> Policy {
        Policy::default()
    }
}

impl<S: Step> IntoStep for &StepWithPolicy<S> {
    type Step = S;

    fn into_policy(self) -> Policy {
        self.policy.clone()
    }
}

impl<S: Step> IntoStep for StepWithPolicy<S> {
    type Step = S;

    fn into_policy(self) -> Policy {
        self.policy
    }
}

/// How a try of a step ended, for what runs in the transaction that ends it.
pub enum StepEnd<'a, S: Step> {
    /// With this outcome.
    Finished(&'a S::Outcome),
    /// With this error, a panic or a lease that ran out: the record goes to the `fail` state, where
    /// the step is tried again, or another step takes it.
    Failed(&'a StepError),
    /// With this error, and nothing follows by itself: the record goes to the `give_up` state, or to
    /// the `fail` state with nothing due, since the attempts are used up or no step starts there.
    GaveUp(&'a StepError),
}
