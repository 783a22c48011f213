//! From a flow's handlers to a worker: every step of the flow, and none forgotten.

use crate::{Claim, Flow, Policy, Record, Step, StepEnd, StepError, Transition};

/// Has a method for every step of the flow `F`, on connections `C`.
///
/// Implement the trait `…Steps<C>` that the derive writes beside the flow: this one follows from it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not handle the steps of `{F}` on connections of type `{C}`",
    label = "no handlers for `{F}`",
    note = "implement the trait that is named as the flow, with `Steps` after it, for `{Self}`: a method for each step, the connection of the worker's pool in its angle brackets; handlers are `Send`, `Sync` and `'static`"
)]
pub trait Handles<F: Flow, C>: Sized {
    /// Hands every step of the flow to `registry`, in the order of declaration.
    fn register<R: StepRegistry<C>>(self, registry: &mut R);
}

#[diagnostic::do_not_recommend]
impl<F: Flow + ServedBy<H, C>, C, H> Handles<F, C> for H {
    fn register<R: StepRegistry<C>>(self, registry: &mut R) {
        F::register(self, registry);
    }
}

/// A flow whose steps are handled by `H`: what the derive implements, and [`Handles`] follows from.
pub trait ServedBy<H, C> {
    /// Hands every step of the flow to `registry`, in the order of declaration.
    fn register<R: StepRegistry<C>>(handlers: H, registry: &mut R);
}

/// Where a flow's steps are registered with their handlers: what a worker of a storage backend
/// implements. Each step is registered by one of these methods, once.
pub trait StepRegistry<C> {
    /// A step whose handler runs without a connection.
    fn plain<S: Step>(
        &mut self,
        policy: Policy,
        handler: impl Fn(&Claim<S>, S::Loads) -> Result<S::Outcome, StepError> + Send + Sync + 'static,
    );

    /// A step whose handler writes to the database and commits with the outcome.
    fn transactional<S: Step>(
        &mut self,
        policy: Policy,
        handler: impl Fn(&Claim<S>, S::Loads, &mut C) -> Result<S::Outcome, StepError>
        + Send
        + Sync
        + 'static,
    );

    /// A step whose handler runs without a connection, after which `end` runs in the transaction that
    /// ends the try, whichever way it ends.
    fn within<S: Step>(
        &mut self,
        policy: Policy,
        handler: impl Fn(&Claim<S>, S::Loads) -> Result<S::Outcome, StepError> + Send + Sync + 'static,
        end: impl Fn(&Record<S::Flow>, &StepEnd<'_, S>, &mut C) -> Result<(), StepError>
        + Send
        + Sync
        + 'static,
    );

    /// A timed transition in whose transaction `expire` runs.
    fn timed<T: Transition>(
        &mut self,
        expire: impl Fn(&Record<T::Flow>, &mut C) -> Result<(), StepError> + Send + Sync + 'static,
    );

    /// A flow of which every step and every timed transition that says `within` has been registered:
    /// its other timed transitions are taken, too.
    fn flow<F: Flow>(&mut self);
}
