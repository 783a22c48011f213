//! Declared edges, as types.

use std::marker::PhantomData;

use crate::derived::Derived;
use crate::{ArtefactSet, Flow};

/// A declared edge of a flow: a unit type and a constant on the flow, such as `Approval::APPROVE`.
///
/// The derive implements it for every `#[transition(…)]`.
#[diagnostic::on_unimplemented(
    message = "a transition is missing: `{Self}` is none",
    label = "no transition",
    note = "a step has a finish transition before it has another one and before a worker takes it: add `.finish(…)`"
)]
pub trait Transition: Derived + Copy + Send + Sync + 'static {
    /// The flow it belongs to.
    type Flow: Flow;

    /// A marker for the state it leads to: what [`StartsFrom`] compares.
    type To;

    /// The artefacts that must be handed over to run it.
    type Persists: ArtefactSet<Self::Flow>;

    /// The artefacts that running it returns.
    type Loads: ArtefactSet<Self::Flow>;

    /// The stored name.
    const NAME: &'static str;

    /// The states in which it may run.
    const FROM: &'static [<Self::Flow as Flow>::State];

    /// The state it leads to.
    const TO: <Self::Flow as Flow>::State;
}

/// Implemented for a transition once for each state in which it may run, so that a transition that
/// cannot follow another is a type error.
#[diagnostic::on_unimplemented(
    message = "this transition does not start from the state that has been reached: it cannot come next",
    label = "does not start from `{S}`",
    note = "take another transition, or add `{S}` to the states it starts from: `name: … | {S} => …`"
)]
pub trait StartsFrom<S>: Transition {}

/// A transition of the flow `F`: what a record of that flow takes.
///
/// The derive implements it beside [`Transition`], since the compiler shows the message of a trait
/// only where no impl could be meant.
#[diagnostic::on_unimplemented(
    message = "this is a transition of another flow than `{F}`",
    label = "not a transition of `{F}`",
    note = "each flow has transitions of its own: take one of the constants on `{F}`"
)]
pub trait TransitionOf<F: Flow>: Transition<Flow = F> {
    /// The transition itself; unknown if it is of another flow, so that nothing more is said of it.
    type Own: Transition<Flow = F>;
}

/// A transition that can come next where one has led to the state `S` of the flow `F`.
#[diagnostic::on_unimplemented(
    message = "this transition does not start from the state of `{F}` that has been reached: it cannot come next",
    label = "does not start from `{S}`",
    note = "take another transition, or add `{S}` to the states it starts from: `name: … | {S} => …`"
)]
pub trait Follows<S, F: Flow>: StartsFrom<S> + Transition<Flow = F> {}

#[diagnostic::do_not_recommend]
impl<S, F: Flow, T: StartsFrom<S> + Transition<Flow = F>> Follows<S, F> for T {}

/// The start transition of a step: it leads to the state in which the step runs.
///
/// The derive implements it for one transition of every `#[step(…)]`.
#[diagnostic::on_unimplemented(
    message = "this transition starts no step: what it leaves has no `fail(…)` to be failed over by",
    label = "no start transition of a step",
    note = "a lease is for the transition that a step begins with, such as `START_FETCH` of `fetch`"
)]
pub trait StartsStep: Transition {}

/// What a transition loads if it can be taken where nobody asks for artefacts: nothing.
#[diagnostic::on_unimplemented(
    message = "this transition loads `{Self}`: nobody would be given it here",
    label = "a transition that loads artefacts cannot be taken here",
    note = "only the transition that begins a request or a step can load: declare its `load(…)` there"
)]
pub trait LoadsNothing {}

#[diagnostic::do_not_recommend]
impl LoadsNothing for () {}

/// What a transition persists if it can be taken where nobody hands over artefacts: nothing.
#[diagnostic::on_unimplemented(
    message = "this transition persists `{Self}`: nobody could hand it over here",
    label = "a transition that persists artefacts cannot be taken here",
    note = "of a step, only the finish transition can persist: the handler returns its artefacts"
)]
pub trait PersistsNothing {}

#[diagnostic::do_not_recommend]
impl PersistsNothing for () {}

/// What a request asks for: its first transition, whose artefacts it returns, the last one that
/// follows at once, and whether the artefacts of that have been handed over.
#[derive(Debug)]
pub struct Chain<First, Last = First, Given = Unsupplied>(PhantomData<(First, Last, Given)>);

/// What a request may be made of: a [`Chain`].
pub trait Asks: sealed::Sealed {
    /// The flow that it is about.
    type Flow: Flow;
}

impl<First: Transition, Last, Given> Asks for Chain<First, Last, Given> {
    type Flow = First::Flow;
}

mod sealed {
    pub trait Sealed {}

    impl<First, Last, Given> Sealed for super::Chain<First, Last, Given> {}
}

/// The artefacts of a request have been handed over.
#[derive(Debug)]
pub struct Supplied;

/// The artefacts of a request have not been handed over yet.
#[derive(Debug)]
pub struct Unsupplied;

/// Whether a request may run: its artefacts were handed over, or it persists none.
#[diagnostic::on_unimplemented(
    message = "this transition persists `{Self}`: hand it over with `.persist(…)` first",
    label = "`{Self}` has not been handed over"
)]
pub trait Provided<S> {
    /// `U`, the transition that comes next; unknown if this one's artefacts are missing, so that the
    /// compiler reports that alone.
    type Next<U: Transition>: Transition;
}

#[diagnostic::do_not_recommend]
impl Provided<Unsupplied> for () {
    type Next<U: Transition> = U;
}

#[diagnostic::do_not_recommend]
impl<P> Provided<Supplied> for P {
    type Next<U: Transition> = U;
}

/// Whether the artefacts of a request can still be handed over.
#[diagnostic::on_unimplemented(
    message = "the artefacts of this transition have been handed over already",
    label = "a second `.persist(…)`",
    note = "several artefacts of one transition are handed over as one tuple: `.persist((a, b))`"
)]
pub trait Awaiting {}

#[diagnostic::do_not_recommend]
impl Awaiting for Unsupplied {}
