//! What was found, as messages at tokens.

use proc_macro2::Ident;

use super::in_flight::{before, missing_before, missing_in_flight, stranded};
use super::way::{on_the_way, way};
use super::{Edge, Finding, Graph, Node, assignment};
use crate::errors::Errors;
use crate::model::Model;
use crate::model::transition::Transition;
use crate::name::plain;

/// Proves the graph of a model of which every name is known, or says what is wrong.
pub(crate) fn explain(model: &Model, errors: &mut Errors) {
    for finding in Graph::of(model).findings() {
        report(&finding, model, errors);
    }
}

/// For each state of the model, the artefacts that every path to it has persisted.
pub(crate) fn kept(model: &Model) -> Vec<Vec<usize>> {
    assignment::kept(&Graph::of(model))
}

impl Graph {
    fn of(model: &Model) -> Self {
        let artefacts =
            |set: &[(usize, _)]| set.iter().map(|(artefact, _)| *artefact).collect::<Vec<_>>();
        let edge = |transition: &Transition| Edge {
            from: transition.from.clone(),
            to: transition.to,
            persists: artefacts(&transition.persists),
            loads: artefacts(&transition.loads)
                .into_iter()
                .filter(|artefact| !transition.optional.contains(artefact))
                .collect(),
        };
        let states = model.states.iter();
        let own: Vec<Edge> = model.transitions.iter().map(edge).collect();
        let (entries, former, ended_before) = match &model.lock {
            Some(lock) => before(lock, &own, model.states.len()),
            None => Default::default(),
        };
        Self {
            initial: model.initial,
            states: states
                .map(|state| Node { is_error: state.is_error, is_completed: state.is_completed })
                .collect(),
            transitions: own,
            artefacts: model.artefacts.len(),
            entries,
            former,
            ended_before,
        }
    }
}

fn report(finding: &Finding, model: &Model, errors: &mut Errors) {
    match finding {
        Finding::InitialIsCompleted => initial_is_completed(model, errors),
        Finding::LeavesCompleted { transition, state } => {
            leaves_completed(&model.transitions[*transition], *state, model, errors);
        }
        Finding::Unreachable { state, dead_end, never } => {
            unreachable(*state, *dead_end, never, model, errors);
        }
        Finding::DeadEnd { state, in_a_loop } => dead_end(*state, in_a_loop, model, errors),
        Finding::NeverPersisted { artefact } => {
            let ident = &model.artefacts[*artefact].ident;
            let message = format!(
                "nothing persists the artefact `{ident}`: add `persist({ident})` to the \
                 transition that obtains it"
            );
            errors.at(ident, message);
        }
        Finding::Stranded { state } => stranded(*state, model, errors),
        Finding::MayBeMissing { transition, artefact, stand, path }
            if *transition >= model.transitions.len() =>
        {
            let (former, begins) =
                (transition - model.transitions.len(), stand.unwrap_or(model.initial));
            missing_before(former, *artefact, (begins, path), model, errors);
        }
        Finding::MayBeMissing { transition, artefact, stand: None, path } => {
            may_be_missing(&model.transitions[*transition], *artefact, path, model, errors);
        }
        Finding::MayBeMissing { transition, artefact, stand: Some(stand), path } => {
            let transition = &model.transitions[*transition];
            missing_in_flight(transition, *artefact, (*stand, path), model, errors);
        }
    }
}

fn initial_is_completed(model: &Model, errors: &mut Errors) {
    let ident = &model.initial_token;
    let message = format!(
        "the initial state `{ident}` is completed, so that nothing could ever happen: name \
         another state in `#[initial(…)]`"
    );
    errors.at(ident, message);
}

fn leaves_completed(transition: &Transition, state: usize, model: &Model, errors: &mut Errors) {
    let name = &transition.ident;
    let completed = &model.states[state].ident;
    let token = transition.from_tokens.iter().find(|token| plain(token) == plain(completed));
    let is_group = |token: &&Ident| {
        let group = model.groups.iter().find(|group| plain(&group.ident) == plain(token));
        group.is_some_and(|group| group.states.contains(&state))
    };
    let token = token.or_else(|| transition.from_tokens.iter().find(is_group));
    let message = format!(
        "nothing leaves the completed state `{completed}`: take it out of the states that \
         `{name}` starts from, or out of `#[completed(…)]`"
    );
    errors.at(token.unwrap_or(name), message);
}

fn unreachable(
    state: usize,
    dead_end: Option<usize>,
    never: &[usize],
    model: &Model,
    errors: &mut Errors,
) {
    let ident = &model.states[state].ident;
    let initial = &model.states[model.initial].ident;
    let never: Vec<_> = never
        .iter()
        .map(|transition| format!("`{}`", model.transitions[*transition].ident))
        .collect();
    let never = match never.as_slice() {
        [] => String::new(),
        names => format!(", so that {} can never run", names.join(" and ")),
    };
    let remedy = match dead_end.map(|state| &model.states[state].ident) {
        Some(from) => format!(
            ", and none from `{from}` to a completed state: perhaps \
             `#[transition(name: {from} => {ident})]` is missing"
        ),
        None => format!(": add `#[transition(name: From => {ident})]`, or remove the state"),
    };
    let message = format!("no path leads from `{initial}` to the state `{ident}`{never}{remedy}");
    errors.at(ident, message);
}

fn dead_end(state: usize, in_a_loop: &[usize], model: &Model, errors: &mut Errors) {
    let ident = &model.states[state].ident;
    if !in_a_loop.is_empty() {
        let others = in_a_loop.iter().map(|state| format!(" and `{}`", model.states[*state].ident));
        let message = format!(
            "the loop of `{ident}`{} has no way out: add a transition from one of them to a state \
             that leads to a completed one",
            others.collect::<String>()
        );
        return errors.at(ident, message);
    }
    let message = format!(
        "no path leads from the state `{ident}` to a completed one: add a transition out of it, \
         or declare `#[completed({ident})]`, or make it a failure with `{ident}(error)`"
    );
    errors.at(ident, message);
}

/// What to do about a load in the initial state.
fn not_at_the_start(transition: &Transition, artefact: usize, model: &Model) -> String {
    let ident = &model.artefacts[artefact].ident;
    let initial = &model.states[model.initial].ident;
    let persists_itself = transition.persists.iter().any(|(persisted, _)| *persisted == artefact);
    if persists_itself {
        format!("a transition loads before it persists, so remove `load({ident})`")
    } else if transition.from_tokens.len() > 1 {
        format!("remove `load({ident})`, or take `{initial}` out of the states it starts from")
    } else if transition.from_any {
        format!("remove `load({ident})`, or name later states in place of `*`")
    } else {
        format!("remove `load({ident})`, or start from a later state")
    }
}

fn may_be_missing(
    transition: &Transition,
    artefact: usize,
    path: &[(usize, usize)],
    model: &Model,
    errors: &mut Errors,
) {
    let initial = &model.states[model.initial].ident;
    let artefact_ident = &model.artefacts[artefact].ident;
    let name = &transition.ident;
    let message = if path.is_empty() {
        format!(
            "`{name}` loads `{artefact_ident}`, but starts from the initial state `{initial}`, \
             where nothing is persisted yet: {}",
            not_at_the_start(transition, artefact, model)
        )
    } else {
        format!(
            "`{name}` loads `{artefact_ident}`, but it may not be there: nothing persists it on \
             the path `{initial}{}`; {}",
            way(path, model),
            on_the_way(transition, artefact, path, model)
        )
    };
    let token = transition.loads.iter().find(|(load, _)| *load == artefact);
    errors.at(token.map_or(name, |(_, token)| token), message);
}
