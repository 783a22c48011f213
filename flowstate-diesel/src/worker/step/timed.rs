//! Transitions that workers take by themselves when a record's time in a state is over.

use std::sync::Arc;

use flowstate::{Flow, State as _, TransitionDefinition};

use super::{Landing, StepSpec};
use crate::dialect::change::Link;
use crate::dialect::rows::FlowRow;
use crate::error::Result;
use crate::store::flow_store::stored_names;

/// Work of the user's in the transaction of a timed transition, on the row under its lock.
pub(crate) type Expire<C> = Arc<dyn Fn(FlowRow, &mut C) -> Result<()> + Send + Sync>;

/// A timed transition out of one state.
pub(crate) struct Timed<C> {
    pub(crate) flow: &'static str,
    /// The state, by one of its stored names.
    pub(crate) state: &'static str,
    pub(crate) transition: &'static TransitionDefinition,
    pub(crate) link: Link,
    pub(crate) landing: Landing,
    /// What runs in its transaction.
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

/// The timed transitions of a flow, one for each stored name of a state that has one.
pub(crate) fn all<F: Flow, C>() -> Vec<Timed<C>> {
    let states = F::State::ALL.iter().copied();
    states.flat_map(|state| of::<F, C>(state).into_iter().flatten()).collect()
}

fn of<F: Flow, C>(state: F::State) -> Option<impl Iterator<Item = Timed<C>>> {
    let flow = F::DEFINITION;
    let (transition, _) = flow.timed(state.as_str())?;
    Some(stored_names(state).map(move |state| Timed {
        flow: F::NAME,
        state,
        transition,
        link: Link::by(flow, transition.name, transition.to),
        landing: Landing::at(flow, transition.to),
        expire: None,
    }))
}
