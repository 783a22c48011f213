//! What a timed transition cannot do, and that a state has one at the most.

use super::state::States;
use super::transition::Transition;
use crate::errors::Errors;

/// Holds the timed transitions against each other and against what nobody is there for.
pub(crate) fn check(transitions: &[Transition], states: &States, errors: &mut Errors) {
    let timed = |transition: &&Transition| transition.after.is_some();
    for (at, transition) in transitions.iter().enumerate() {
        let ident = &transition.ident;
        if !timed(&transition) {
            if let Some(within) = &transition.within {
                let message = format!(
                    "`within` is for what a worker takes by itself: give `{ident}` a time, \
                     `after(\"3 days\"), within`, or remove it"
                );
                errors.at(within, message);
            }
            continue;
        }
        for (_, artefact) in transition.persists.iter().chain(&transition.loads) {
            errors.at(
                artefact,
                format_args!(
                    "`{ident}` is taken by itself, where nobody hands over or takes `{artefact}`: \
                     remove it here"
                ),
            );
        }
        for other in transitions[..at].iter().filter(timed) {
            if let Some(state) = transition.from.iter().find(|state| other.from.contains(state)) {
                let (state, other) = (&states.all()[*state].ident, &other.ident);
                errors.at(ident, format_args!(
                    "the state `{state}` would have two timed transitions, `{other}` and `{ident}`: \
                     keep `after(…)` on one of them"
                ));
                break;
            }
        }
    }
}
