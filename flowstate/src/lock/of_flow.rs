//! What a lock file should say of a flow.

use super::format::{Gone, Kind, Lock, LockedState, LockedTransition};
use crate::{Definition, Flow};

/// What the lock file of a flow says when it is current.
#[must_use]
pub fn of<F: Flow>() -> Lock {
    of_definition(F::DEFINITION)
}

fn of_definition(flow: &Definition) -> Lock {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    let states = flow.states.iter().map(|state| {
        let (is_error, is_completed) = (state.is_error, state.is_completed);
        (state.name.to_owned(), LockedState { is_error, is_completed, has: owned(state.has) })
    });
    let transitions = flow.transitions.iter().map(|transition| LockedTransition {
        name: transition.name.to_owned(),
        from: owned(transition.from),
        to: transition.to.to_owned(),
        persists: owned(transition.persists),
        loads: owned(transition.loads)
            .into_iter()
            .filter(|name: &String| !transition.optional.contains(&name.as_str()))
            .collect(),
    });
    let gone = |kind, name: &str, aliases: &[&str]| {
        let gone = aliases.iter().map(move |&alias| (kind, alias.to_owned()));
        let now = name.to_owned();
        gone.map(|(kind, name)| Gone { kind, name, now: now.clone() }).collect::<Vec<_>>()
    };
    let all_states = flow.states.iter().flat_map(|it| gone(Kind::State, it.name, it.aliases));
    let all_transitions =
        flow.transitions.iter().flat_map(|it| gone(Kind::Transition, it.name, it.aliases));
    let all_artefacts =
        flow.artefacts.iter().flat_map(|it| gone(Kind::Artefact, it.name, it.aliases));
    let all_names = gone(Kind::Itself, flow.name, flow.aliases).into_iter();
    Lock {
        flow: flow.name.to_owned(),
        version: flow.version,
        artefacts: flow.artefacts.iter().map(|it| (it.name.to_owned(), it.version)).collect(),
        states: states.collect(),
        transitions: transitions.collect(),
        gone: all_names.chain(all_states).chain(all_transitions).chain(all_artefacts).collect(),
    }
}
