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
pub trait Handles<F: Flow, C>: Send + Sync + Sized + 'static {
    /// Hands every step of the flow to `registry`, in the order of declaration.
    fn register<R: StepRegistry<Self, C>>(registry: &mut R);
}

#[diagnostic::do_not_recommend]
impl<F, C, H> Handles<F, C> for H
where
    F: Flow + ServedBy<H, C>,
    H: Send + Sync + 'static,
{
    fn register<R: StepRegistry<H, C>>(registry: &mut R) {
        F::register(registry);
    }
}

/// A flow whose steps are handled by `H`: what the derive implements, and [`Handles`] follows from.
pub trait ServedBy<H, C> {
    /// Hands every step of the flow to `registry`, in the order of declaration.
    fn register<R: StepRegistry<H, C>>(registry: &mut R);
}

/// A step that ends with its handler: it does not say `within`, so that a closure can serve it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` says `within`, and nothing here runs in the transaction that ends it",
    label = "a step that says `within`",
    note = "serve the flow with `Worker::serve`, whose handlers have the method that runs then"
)]
pub trait EndsAlone: Step {}

/// A flow none of whose timed transitions says `within`, so that a worker takes them without handlers.
#[diagnostic::on_unimplemented(
    message = "a timed transition of `{Self}` says `within`, and nothing here runs in its transaction",
    label = "a flow with a timed transition that says `within`",
    note = "serve the flow with `Worker::serve`, whose handlers have the method that runs then"
)]
pub trait ExpiresAlone: Flow {}

/// Where a flow's steps are registered with the methods that handle them: what a worker of a storage
/// backend implements, which holds the handlers `H`. Each step is registered by one of these methods,
/// once.
pub trait StepRegistry<H, C> {
    /// A step whose handler runs without a connection.
    fn plain<S: Step>(&mut self, policy: fn(&H) -> Policy, handler: Handler<H, S>);

    /// A step whose handler writes to the database and commits with the outcome.
    fn transactional<S: Step>(
        &mut self,
        policy: fn(&H) -> Policy,
        handler: TransactionalHandler<H, S, C>,
    );

    /// A step whose handler runs without a connection, after which `end` runs in the transaction that
    /// ends the try, whichever way it ends.
    fn within<S: Step>(
        &mut self,
        policy: fn(&H) -> Policy,
        handler: Handler<H, S>,
        end: EndHandler<H, S, C>,
    );

    /// A timed transition in whose transaction `expire` runs.
    fn timed<T: Transition>(&mut self, expire: ExpireHandler<H, T, C>);

    /// A flow of which every step and every timed transition that says `within` has been registered:
    /// its other timed transitions are taken, too.
    fn flow<F: Flow>(&mut self);
}

/// Does the work of the step `S`.
pub type Handler<H, S> =
    fn(&H, &Claim<S>, <S as Step>::Loads) -> Result<<S as Step>::Outcome, StepError>;

/// Does the work of the step `S` in a transaction.
pub type TransactionalHandler<H, S, C> =
    fn(&H, &Claim<S>, <S as Step>::Loads, &mut C) -> Result<<S as Step>::Outcome, StepError>;

/// Runs in the transaction that ends a try of the step `S`.
pub type EndHandler<H, S, C> =
    fn(&H, &Record<<S as Step>::Flow>, &StepEnd<'_, S>, &mut C) -> Result<(), StepError>;

/// Runs in the transaction in which the transition `T` is taken by itself.
pub type ExpireHandler<H, T, C> =
    fn(&H, &Record<<T as Transition>::Flow>, &mut C) -> Result<(), StepError>;
