//! The proofs on small graphs.

mod random;
mod versions;

use super::{Edge, Finding, Graph, Node};

/// States are letters, the first is initial; `!` marks an error state, `.` a completed one. Edges
/// are from, to, and artefacts by number: `+0` persists, `-0` loads.
fn graph(states: &str, edges: &[(&str, char, &str)]) -> Graph {
    let mut names = Vec::new();
    let mut nodes: Vec<Node> = Vec::new();
    for c in states.chars() {
        match (c, nodes.last_mut()) {
            ('!', Some(node)) => node.is_error = true,
            ('.', Some(node)) => node.is_completed = true,
            _ => {
                names.push(c);
                nodes.push(Node::default());
            }
        }
    }
    let state = |name: char| names.iter().position(|other| *other == name).unwrap();
    let numbers = |text: &str, sign: char| {
        let signed = text.split_inclusive(char::is_numeric).filter(|part| part.starts_with(sign));
        signed.map(|part| part[1..].parse().unwrap()).collect::<Vec<usize>>()
    };
    let edge = |&(from, to, artefacts): &(&str, char, &str)| Edge {
        from: from.chars().map(state).collect(),
        to: state(to),
        persists: numbers(artefacts, '+'),
        loads: numbers(artefacts, '-'),
    };
    let transitions: Vec<Edge> = edges.iter().map(edge).collect();
    let used = transitions.iter().flat_map(|edge| edge.persists.iter().chain(&edge.loads));
    let artefacts = used.max().map_or(0, |last| last + 1);
    Graph { states: nodes, transitions, artefacts, ..Graph::default() }
}

#[track_caller]
fn finds(states: &str, edges: &[(&str, char, &str)], expected: &[Finding]) {
    assert_eq!(graph(states, edges).findings(), expected);
}

#[test]
fn a_line_is_fine() {
    finds("abc.", &[("a", 'b', ""), ("b", 'c', "")], &[]);
}

#[test]
fn loops_and_parallel_edges_are_fine() {
    finds("ab.", &[("a", 'a', ""), ("a", 'b', ""), ("a", 'b', "")], &[]);
    finds("abc.", &[("a", 'b', ""), ("b", 'a', ""), ("b", 'c', "")], &[]);
}

#[test]
fn an_error_state_may_be_an_end_or_have_an_exit() {
    finds("ae!b.", &[("a", 'e', ""), ("a", 'b', "")], &[]);
    finds("ae!b.", &[("a", 'e', ""), ("e", 'a', ""), ("a", 'b', "")], &[]);
}

fn unreachable(state: usize, never: &[usize]) -> Finding {
    Finding::Unreachable { state, dead_end: None, never: never.to_vec() }
}

fn dead_end(state: usize) -> Finding {
    Finding::DeadEnd { state, in_a_loop: Vec::new() }
}

#[test]
fn an_unreachable_state_is_found() {
    finds("abc.", &[("a", 'c', ""), ("b", 'c', "")], &[unreachable(1, &[1])]);
}

#[test]
fn a_transition_that_starts_from_no_reached_state_never_runs() {
    let edges = [("a", 'd', ""), ("bc", 'd', ""), ("ab", 'd', "")];
    finds("abcd.", &edges, &[unreachable(1, &[1]), unreachable(2, &[1])]);
}

#[test]
fn of_unreachable_states_the_first_is_the_cause() {
    let edges = [("a", 'd', ""), ("c", 'b', ""), ("b", 'd', "")];
    finds("abcd.", &edges, &[unreachable(2, &[1])]);
    finds("abcd.", &[("a", 'd', ""), ("b", 'c', ""), ("c", 'b', "")], &[unreachable(1, &[1])]);
}

#[test]
fn a_dead_end_is_found() {
    finds("abc.", &[("a", 'b', ""), ("a", 'c', "")], &[dead_end(1)]);
}

#[test]
fn of_dead_ends_the_last_is_the_cause() {
    let edges = [("a", 'b', ""), ("b", 'c', ""), ("a", 'd', "")];
    finds("abcd.", &edges, &[dead_end(2)]);
    let edges = [("a", 'b', ""), ("b", 'c', ""), ("c", 'b', ""), ("a", 'd', "")];
    finds("abcd.", &edges, &[Finding::DeadEnd { state: 1, in_a_loop: vec![2] }]);
    // an error state behind it is no excuse
    let edges = [("a", 'b', ""), ("b", 'e', ""), ("a", 'd', "")];
    finds("abe!d.", &edges, &[dead_end(1)]);
}

#[test]
fn a_missing_transition_is_one_mistake() {
    let missing = Finding::Unreachable { state: 2, dead_end: Some(1), never: vec![1] };
    finds("abcd.", &[("a", 'b', ""), ("c", 'd', "")], std::slice::from_ref(&missing));
    finds("abcd.", &[("a", 'b', ""), ("c", 'd', ""), ("a", 'd', "")], &[missing]);
    let missing = Finding::Unreachable { state: 1, dead_end: Some(0), never: vec![] };
    finds("ab.", &[], &[missing]);
}

#[test]
fn of_several_gaps_nobody_knows_which_belong_together() {
    let edges = [("a", 'b', ""), ("c", 'd', ""), ("e", 'f', "")];

    finds("abcdef.", &edges, &[unreachable(2, &[1]), unreachable(4, &[2]), dead_end(1)]);
}

#[test]
fn misplaced_transitions_are_found() {
    let leaves = Finding::LeavesCompleted { transition: 1, state: 1 };
    finds("ab.", &[("a", 'b', ""), ("b", 'a', "")], &[leaves]);
    finds("a.b.", &[("a", 'b', "")], &[Finding::InitialIsCompleted]);
    finds("a.b", &[("a", 'b', "")], &[Finding::InitialIsCompleted]);
    // what is wrong whichever state it should be is told as well
    let leaves = Finding::LeavesCompleted { transition: 1, state: 2 };
    let never = Finding::NeverPersisted { artefact: 0 };
    let edges = [("a", 'b', "-0"), ("c", 'b', "")];
    finds("a.bc.", &edges, &[Finding::InitialIsCompleted, leaves, never]);
}

#[test]
fn an_artefact_persisted_on_every_path_is_there() {
    finds("abc.", &[("a", 'b', "+0"), ("b", 'c', "-0")], &[]);
    let edges = [("a", 'b', "+0"), ("a", 'c', "+0"), ("bc", 'd', ""), ("d", 'e', "-0")];
    finds("abcde.", &edges, &[]);
    // written again in a loop, read again after a failure
    let edges = [("ab", 'b', "+0"), ("be", 'c', "-0"), ("c", 'e', ""), ("c", 'd', "")];
    finds("abce!d.", &edges, &[]);
}

fn missing(transition: usize, path: &[(usize, usize)]) -> Finding {
    Finding::MayBeMissing { transition, artefact: 0, stand: None, path: path.to_vec() }
}

#[test]
fn an_artefact_that_one_path_lacks_is_found_with_that_path() {
    let edges = [("a", 'b', "+0"), ("a", 'b', ""), ("b", 'c', "-0")];
    finds("abc.", &edges, &[missing(2, &[(1, 1)])]);
    let edges = [("a", 'b', ""), ("b", 'b', "+0"), ("b", 'c', "-0")];
    finds("abc.", &edges, &[missing(2, &[(0, 1)])]);
    finds("ab.", &[("a", 'a', "+0"), ("a", 'b', "-0")], &[missing(1, &[])]);
}

#[test]
fn the_counter_example_is_the_shortest() {
    let edges =
        [("a", 'b', ""), ("b", 'c', ""), ("a", 'c', ""), ("a", 'd', "+0"), ("bcd", 'e', "-0")];
    finds("abcde.", &edges, &[missing(4, &[(0, 1)])]);
    let edges =
        [("a", 'b', ""), ("b", 'c', ""), ("a", 'c', ""), ("a", 'd', "+0"), ("cd", 'e', "-0")];
    finds("abcde.", &edges, &[missing(4, &[(2, 2)])]);
}

#[test]
fn a_transition_does_not_load_what_it_persists_itself() {
    finds("ab.", &[("a", 'b', "+0-0")], &[missing(0, &[])]);
}

#[test]
fn a_second_load_behind_a_wrong_one_is_no_second_mistake() {
    let edges = [("a", 'b', "-0"), ("b", 'c', "-0"), ("c", 'd', "+0")];
    finds("abcd.", &edges, &[missing(0, &[])]);
}

#[test]
fn what_nothing_persists_is_found_once() {
    let edges = [("a", 'b', "-0"), ("b", 'c', "-0")];
    finds("abc.", &edges, &[Finding::NeverPersisted { artefact: 0 }]);
}
