//! Records in flight: what the lock says of them, and the messages about them.

use super::way::{on_the_way, way};
use super::{Edge, Entry, reach};
use crate::errors::Errors;
use crate::model::Model;
use crate::model::locked::{Former, Locked};
use crate::model::transition::Transition;

/// What a lock says of where records stand, how they came there, and which of those states had a way
/// to an end.
pub(super) fn before(
    lock: &Locked,
    own: &[Edge],
    states: usize,
) -> (Vec<Entry>, Vec<Edge>, Vec<usize>) {
    let former: Vec<Edge> = lock.former.iter().map(edge).collect();
    let had_end = reach::leading_to(lock.ended.iter().copied(), &former, states);
    let ended_before = lock
        .standing
        .iter()
        .map(|(state, _)| *state)
        .filter(|state| had_end[*state] && !lock.ended.contains(state))
        .collect();
    // what this flow still does is said in its own words
    let is_still_done = |edge: &Edge, from: usize| {
        own.iter().any(|other| {
            other.to == edge.to
                && other.from.contains(&from)
                && other.persists.iter().all(|artefact| edge.persists.contains(artefact))
                && edge.loads.iter().all(|artefact| other.loads.contains(artefact))
        })
    };
    let past = |mut edge: Edge| {
        let all = std::mem::take(&mut edge.from);
        edge.from = all.into_iter().filter(|from| !is_still_done(&edge, *from)).collect();
        edge
    };
    let entries =
        lock.standing.iter().map(|(state, has)| Entry { state: *state, has: has.clone() });
    (entries.collect(), former.into_iter().map(past).collect(), ended_before)
}

fn edge(former: &Former) -> Edge {
    let Former { from, to, persists, loads, .. } = former;
    Edge { from: from.clone(), to: *to, persists: persists.clone(), loads: loads.clone() }
}

pub(super) fn stranded(state: usize, model: &Model, errors: &mut Errors) {
    let ident = &model.states[state].ident;
    let lock = model.lock.as_ref();
    let led =
        lock.iter().flat_map(|lock| &lock.former).filter(|former| former.from.contains(&state));
    let led: Vec<_> = led
        .map(|former| format!("`{}` to `{}`", former.name, model.states[former.to].ident))
        .collect();
    let message = format!(
        "records that stand in `{ident}` have no way to an end any more: before, {} led on from there \
         (`{}`); add a transition out of `{ident}`",
        led.join(" and "),
        lock.map_or("", |lock| &lock.path),
    );
    errors.at(ident, message);
}

pub(super) fn missing_in_flight(
    transition: &Transition,
    artefact: usize,
    (stand, path): (usize, &[(usize, usize)]),
    model: &Model,
    errors: &mut Errors,
) {
    let Some(lock) = &model.lock else { return };
    let (name, file, stand) = (&transition.ident, &lock.path, &model.states[stand].ident);
    let ident = &model.artefacts[artefact].ident;
    let (way, add) = match path {
        [] => (String::new(), String::new()),
        path => (
            format!(": nothing persists it on the path `{stand}{}`", way(path, model)),
            on_the_way(transition, artefact, path, model),
        ),
    };
    let add = if add.is_empty() { add } else { format!("{add}, or ") };
    let message = format!(
        "`{name}` loads `{ident}`, but a record that stands in `{stand}` now may lack it \
         (`{file}`){way}; {add}take what is there, `load(optional {ident})`; if every record there \
         has it, add it to the line of that state",
    );
    let token = transition.loads.iter().find(|(load, _)| *load == artefact);
    errors.at(token.map_or(name, |(_, token)| token), message);
}

/// An older program loads what this version does not persist any more on some path.
pub(super) fn missing_before(
    former: usize,
    artefact: usize,
    (begins, path): (usize, &[(usize, usize)]),
    model: &Model,
    errors: &mut Errors,
) {
    let Some(lock) = &model.lock else { return };
    let own = path.iter().rev().find_map(|(by, _)| model.transitions.get(*by));
    let (Some(former), Some(own)) = (lock.former.get(former), own) else { return };
    let (name, file, begins) = (&former.name, &lock.path, &model.states[begins].ident);
    let ident = &model.artefacts[artefact].ident;
    let message = format!(
        "`{name}` of the version before loads `{ident}` (`{file}`), and nothing persists it on the path \
         `{begins}{}`: a program of that version, which runs beside this one, would leave the record \
         alone; persist it there, and first deploy a version whose `{name}` does not load it",
        way(path, model),
    );
    errors.at(&own.ident, message);
}
