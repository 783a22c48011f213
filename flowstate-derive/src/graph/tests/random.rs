//! The proofs on random graphs, against a walk through them.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::graph::{Edge, Finding, Graph, Node, Path};

prop_compose! {
    fn sets(of: usize)(set in prop::collection::btree_set(0..of, 0..=1)) -> Vec<usize> {
        set.into_iter().collect()
    }
}

fn edges(states: usize, artefacts: usize) -> impl Strategy<Value = Edge> {
    let from = prop::collection::btree_set(0..states, 1..=3.min(states));
    (from, 0..states, sets(artefacts), sets(artefacts)).prop_map(|(from, to, persists, loads)| {
        Edge { from: from.into_iter().collect(), to, persists, loads }
    })
}

pub(super) fn graphs() -> impl Strategy<Value = Graph> {
    (2..7_usize, 1..4_usize).prop_flat_map(|(states, artefacts)| {
        let node = (prop::bool::weighted(0.2), prop::bool::weighted(0.3));
        let node = node.prop_map(|(is_error, is_completed)| Node { is_error, is_completed });
        let nodes = prop::collection::vec(node, states);
        let edges = prop::collection::vec(edges(states, artefacts), 1..10);
        (nodes, edges).prop_map(move |(states, transitions)| {
            let mut graph = Graph { states, transitions, artefacts, ..Graph::default() };
            leave_no_completed_state(&mut graph);
            graph
        })
    })
}

/// Most random graphs would fail for this alone.
fn leave_no_completed_state(graph: &mut Graph) {
    graph.states[0].is_completed = false;
    let states = &graph.states;
    for edge in &mut graph.transitions {
        edge.from.retain(|&state| !states[state].is_completed);
    }
    graph.transitions.retain(|edge| !edge.from.is_empty());
}

/// One step of a walk: what a store would do with this transition.
fn step(graph: &Graph, state: &mut usize, kept: &mut BTreeSet<usize>, choice: usize) -> Step {
    let leaving = graph.leaving();
    let open = &leaving[*state];
    if open.is_empty() {
        return Step::Ended;
    }
    let transition = open[choice % open.len()];
    let edge = &graph.transitions[transition];
    if let Some(&artefact) = edge.loads.iter().find(|artefact| !kept.contains(artefact)) {
        return Step::Missing { transition, artefact };
    }
    *state = edge.to;
    kept.extend(&edge.persists);
    Step::Moved
}

#[derive(Debug)]
enum Step {
    Moved,
    Ended,
    Missing { transition: usize, artefact: usize },
}

/// Whether a path is one that the graph allows, from the initial state to `transition`, and keeps
/// nothing of `artefact`.
fn is_counter_example(graph: &Graph, transition: usize, artefact: usize, path: &Path) -> bool {
    let mut state = graph.initial;
    for &(by, to) in path {
        let edge = &graph.transitions[by];
        let fits = edge.from.contains(&state) && edge.to == to;
        if !fits || edge.persists.contains(&artefact) {
            return false;
        }
        state = to;
    }
    let edge = &graph.transitions[transition];
    edge.from.contains(&state) && edge.loads.contains(&artefact)
}

/// The states that a search, written another way than the proofs, reaches from here.
fn closure(graph: &Graph, from: usize) -> BTreeSet<usize> {
    let mut reached = BTreeSet::from([from]);
    loop {
        let before = reached.len();
        for edge in &graph.transitions {
            if edge.from.iter().any(|state| reached.contains(state)) {
                reached.insert(edge.to);
            }
        }
        if reached.len() == before {
            return reached;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_walk_meets_no_missing_artefact_that_was_not_found(
        graph in graphs(),
        choices in prop::collection::vec(0..10_usize, 0..40),
    ) {
        let findings = graph.findings();
        let (mut state, mut kept) = (graph.initial, BTreeSet::new());
        for choice in choices {
            let Step::Missing { transition, artefact } =
                step(&graph, &mut state, &mut kept, choice) else { continue };
            let found = findings.iter().any(|finding| match finding {
                Finding::NeverPersisted { artefact: other } => *other == artefact,
                Finding::MayBeMissing { transition: by, artefact: other, .. } => {
                    (*by, *other) == (transition, artefact)
                }
                _ => false,
            });
            prop_assert!(found, "{transition} loads {artefact} too early in {graph:?}");
            break;
        }
    }

    #[test]
    fn what_is_found_is_true(graph in graphs()) {
        for finding in graph.findings() {
            match &finding {
                Finding::MayBeMissing { transition, artefact, path, .. } => {
                    prop_assert!(is_counter_example(&graph, *transition, *artefact, path));
                }
                Finding::NeverPersisted { artefact } => {
                    let mut edges = graph.transitions.iter();
                    prop_assert!(!edges.any(|edge| edge.persists.contains(artefact)));
                }
                Finding::Unreachable { state, .. } => {
                    prop_assert!(!closure(&graph, graph.initial).contains(state));
                }
                Finding::DeadEnd { state, .. } => prop_assert!(!ends(&graph, *state)),
                other => prop_assert!(false, "{other:?}"),
            }
        }
    }

    #[test]
    fn what_is_accepted_reaches_every_state_and_an_end(graph in graphs()) {
        let findings = graph.findings();
        let reached = closure(&graph, graph.initial);
        let all_reached = reached.len() == graph.states.len();
        let all_end = (0..graph.states.len())
            .all(|state| graph.states[state].is_error || ends(&graph, state));
        let found = findings.iter().any(|finding| {
            matches!(finding, Finding::Unreachable { .. } | Finding::DeadEnd { .. })
        });
        // a state that cannot be reached is told first; whether it ends is seen later
        prop_assert_eq!(!found, all_reached && all_end);
    }
}

fn ends(graph: &Graph, state: usize) -> bool {
    closure(graph, state).iter().any(|&state| graph.states[state].is_completed)
}
