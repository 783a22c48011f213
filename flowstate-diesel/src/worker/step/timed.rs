//! Transitions that workers take by themselves when a record's time in a state is over.

use std::sync::Arc;

use flowstate::{Flow, State as _, TransitionDefinition};

use super::{StepSpec, landing_at};
use crate::dialect::change::{Landing, Link};
use crate::dialect::rows::FlowRow;
use crate::error::Result;
use crate::text::time::micros;
use crate::transition::decode::stored_names;

/// Work of the user's in the transaction of a timed transition, on the row under its lock.
pub(crate) type Expire<C> = Arc<dyn Fn(FlowRow, &mut C) -> Result<()> + Send + Sync>;

/// A timed transition out of one state.
pub(crate) struct Timed<C> {
    /// The name under which the records are stored.
    pub(crate) flow: &'static str,
    /// The state, by one of its stored names.
    pub(crate) state: &'static str,
    pub(crate) transition: &'static TransitionDefinition,
    /// How long the state may last, in microseconds.
    pub(crate) after: i64,
    pub(crate) link: Link,
    pub(crate) landing: Landing,
    /// The user's work in the transaction of the timed transition.
    pub(crate) expire: Option<Expire<C>>,
}

impl<C> Timed<C> {
    /// Whether it ends a try of this step.
    pub(crate) fn ends(&self, step: &StepSpec) -> bool {
        step.flow == self.flow
            && step.running_names.contains(&self.state)
            && step.sources.contains(&self.transition.to)
    }
}

/// The timed transitions of a flow, one for each stored name of a state that has one, under each name
/// of the flow.
pub(crate) fn all<F: Flow, C>() -> impl Iterator<Item = Timed<C>> {
    let states = F::State::ALL.iter().copied();
    let names = F::DEFINITION.names();
    names
        .flat_map(move |name| states.clone().filter_map(move |state| of::<F, C>(name, state)))
        .flatten()
}

fn of<F: Flow, C>(name: &'static str, state: F::State) -> Option<impl Iterator<Item = Timed<C>>> {
    let flow = F::DEFINITION;
    let (transition, after) = flow.timed(state.as_str())?;
    Some(stored_names(state).map(move |state| Timed {
        flow: name,
        state,
        transition,
        after: micros(after),
        link: Link::by(flow, transition.name, transition.to),
        landing: landing_at(flow, transition.to),
        expire: None,
    }))
}
