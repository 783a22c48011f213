//! Two versions of a random flow, whose records take transitions of both in any mixture.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::random::graphs;
use crate::graph::{Edge, Entry, Finding, Graph, Node, Path, in_flight};
use crate::lock::format::{Lock, LockedState, LockedTransition};
use crate::model::locked::{Former, Locked};

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
        let locked = locked(&lock(&before, states));
        (now.entries, now.former, now.ended_before) =
            in_flight::before(&locked, &now.transitions, states);
        (before, now)
    })
}

/// The text of the lock of a version, of those of its states that the next one has.
fn lock(graph: &Graph, states: usize) -> String {
    let kept = crate::graph::assignment::kept(graph);
    let names = |sign, set: &[usize]| set.iter().map(|at| name(sign, *at)).collect();
    let state = |(at, node): (usize, &Node)| {
        let Node { is_error, is_completed } = *node;
        (name('s', at), LockedState { is_error, is_completed, has: names('a', &kept[at]) })
    };
    let transition = |(at, edge): (usize, &Edge)| LockedTransition {
        name: name('t', at),
        from: names('s', &edge.from),
        to: name('s', edge.to),
        persists: names('a', &edge.persists),
        loads: names('a', &edge.loads),
    };
    let lock = Lock {
        flow: "random".to_owned(),
        artefacts: (0..graph.artefacts).map(|at| (name('a', at), 1)).collect(),
        states: graph.states.iter().enumerate().take(states).map(state).collect(),
        transitions: graph.transitions.iter().enumerate().map(transition).collect(),
        ..Lock::default()
    };
    lock.to_string()
}

/// A name with its number, in whose order names are sorted.
fn name(sign: char, at: usize) -> String {
    format!("{sign}{at:03}")
}

/// What the text of a lock says.
fn locked(text: &str) -> Locked {
    let lock = Lock::parse(text).expect("a lock");
    let number = |name: &String| name[1..].parse().expect("a number");
    let numbers = |names: &BTreeSet<String>| names.iter().map(number).collect::<Vec<_>>();
    let former = lock.transitions.iter().map(|edge| Former {
        name: edge.name.clone(),
        from: numbers(&edge.from),
        to: number(&edge.to),
        persists: numbers(&edge.persists),
        loads: numbers(&edge.loads),
    });
    let ended = lock.states.iter().filter(|(_, state)| state.is_completed);
    Locked {
        path: "random.flow".to_owned(),
        standing: lock.states.iter().map(|(name, it)| (number(name), numbers(&it.has))).collect(),
        former: former.collect(),
        ended: ended.map(|(name, _)| number(name)).collect(),
    }
}

/// Whether the first version may lack an artefact by itself: nobody has proved it.
fn is_unproved(before: &Graph, artefact: usize) -> bool {
    before.findings().iter().any(|finding| is_of(finding, artefact))
}

fn is_of(finding: &Finding, of: usize) -> bool {
    match finding {
        Finding::NeverPersisted { artefact } | Finding::MayBeMissing { artefact, .. } => {
            *artefact == of
        }
        _ => false,
    }
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
    let ours = now.transitions.len();
    let edge = now.edge(transition);
    edge.from.contains(&state)
        && edge.loads.contains(&artefact)
        && (transition < ours || path.iter().any(|(by, _)| *by < ours))
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
            // either version takes it on
            let all = now.transitions.iter().chain(&before.transitions).enumerate();
            let open: Vec<_> = all.filter(|(_, edge)| edge.from.contains(&state)).collect();
            if open.is_empty() { break }
            let (by, edge) = open[choice % open.len()];
            if let Some(&artefact) = edge.loads.iter().find(|artefact| !kept.contains(*artefact)) {
                let is_own = by < now.transitions.len();
                let found = findings.iter().any(|finding| match finding {
                    Finding::MayBeMissing { transition, artefact: other, .. } if is_own => {
                        (*transition, *other) == (by, artefact)
                    }
                    finding => is_of(finding, artefact),
                });
                let excused = !is_own && is_unproved(&before, artefact);
                prop_assert!(found || excused, "{by} loads {artefact} too early in {now:?}");
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
