//! Two versions of a random flow, whose records take transitions of both in any mixture.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::random::graphs;
use crate::graph::{Edge, Entry, Finding, Graph, Path};

/// The second version, over a lock of the first: its states and artefacts are those that both have.
fn versions() -> impl Strategy<Value = (Graph, Graph)> {
    (graphs(), graphs(), 0..3_usize).prop_map(|(before, mut now, fresh)| {
        // a version that keeps nothing of the other would be another flow
        now.states.truncate(before.states.len() + fresh);
        let states = now.states.len();
        let fits = |edge: &Edge| edge.to < states && edge.from.iter().all(|from| *from < states);
        now.transitions.retain(fits);
        now.artefacts = now.artefacts.max(before.artefacts);
        let mut before = before;
        before.artefacts = now.artefacts;
        before.transitions.retain(fits);
        now.entries = entries(&before).filter(|entry| entry.state < states).collect();
        // the lock says nothing of what they load
        let former = before.transitions.iter();
        now.former = former.map(|edge| Edge { loads: Vec::new(), ..edge.clone() }).collect();
        (before, now)
    })
}

/// What the lock of a version says: where its records may stand, and what every one there has.
fn entries(graph: &Graph) -> impl Iterator<Item = Entry> {
    let kept = crate::graph::assignment::kept(graph);
    let states: BTreeSet<_> = (0..graph.states.len()).collect();
    states.into_iter().map(move |state| Entry { state, has: kept[state].clone() })
}

/// The transitions that a record in this state may take, of either version, by their numbers.
fn open(now: &Graph, state: usize) -> Vec<usize> {
    let all = now.transitions.iter().chain(&now.former).enumerate();
    all.filter(|(_, edge)| edge.from.contains(&state)).map(|(at, _)| at).collect()
}

fn is_counter_example(
    now: &Graph,
    (transition, artefact): (usize, usize),
    (stand, path): (Option<usize>, &Path),
) -> bool {
    let mut state = stand.unwrap_or(now.initial);
    let lacks = |entry: &Entry| entry.state == state && !entry.has.contains(&artefact);
    if stand.is_some() && !now.entries.iter().any(lacks) {
        return false;
    }
    for &(by, to) in path {
        let edge = now.edge(by);
        if !edge.from.contains(&state) || edge.to != to || edge.persists.contains(&artefact) {
            return false;
        }
        state = to;
    }
    let edge = &now.transitions[transition];
    edge.from.contains(&state) && edge.loads.contains(&artefact)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_accepted_never_loads_what_is_not_there(
        (before, now) in versions(),
        first in prop::collection::vec(0..10_usize, 0..10),
        then in prop::collection::vec(0..10_usize, 0..30),
    ) {
        let findings = now.findings();
        let (mut state, mut kept) = (before.initial, BTreeSet::new());
        // alone with the first version, where no load is held against what is there
        for choice in first {
            let leaving: Vec<_> =
                before.transitions.iter().filter(|edge| edge.from.contains(&state)).collect();
            if leaving.is_empty() { break }
            let edge = leaving[choice % leaving.len()];
            state = edge.to;
            kept.extend(edge.persists.iter().copied());
        }
        for choice in then {
            if state >= now.states.len() { break }
            let open = open(&now, state);
            if open.is_empty() { break }
            let by = open[choice % open.len()];
            let edge = now.edge(by);
            if let Some(&artefact) = edge.loads.iter().find(|artefact| !kept.contains(*artefact))
                && by < now.transitions.len()
            {
                let found = findings.iter().any(|finding| match finding {
                    Finding::NeverPersisted { artefact: other } => *other == artefact,
                    Finding::MayBeMissing { transition, artefact: other, .. } => {
                        (*transition, *other) == (by, artefact)
                    }
                    _ => false,
                });
                prop_assert!(found, "{by} loads {artefact} too early in {now:?}");
                break;
            }
            state = edge.to;
            kept.extend(edge.persists.iter().copied());
        }
    }

    #[test]
    fn what_is_refused_has_the_path_that_it_names((_, now) in versions()) {
        for finding in now.findings() {
            if let Finding::MayBeMissing { transition, artefact, stand, path } = finding {
                let example = is_counter_example(&now, (transition, artefact), (stand, &path));
                prop_assert!(example, "{transition} {artefact} {stand:?} {path:?} in {now:?}");
            }
        }
    }
}
