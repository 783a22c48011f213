//! Every state is reached, and a completed one can be reached from it.

use super::{Edge, Finding, Graph};

/// Unreachable states and dead ends, each cause once: a state that only follows from another
/// finding is none of its own.
pub(super) fn findings(graph: &Graph) -> Vec<Finding> {
    let next = next(graph);
    let standing = graph.entries.iter().map(|entry| entry.state);
    let reached = flood(&next, standing.chain([graph.initial]));
    let lost: Vec<usize> = missing(&reached);
    let alive = ending(graph);
    let stuck: Vec<usize> = missing(&alive).into_iter().filter(|&state| reached[state]).collect();
    let stranded = stranded(graph, &alive);
    if lost.is_empty() && stuck.is_empty() && stranded.is_empty() {
        return Vec::new();
    }
    let (heads, tails) = (first_of(&lost, &next), last_of(&stuck, graph, &next));
    let never = |state: usize| never_run(graph, state, &reached);
    // one missing transition, from the dead end to the unreachable state, would explain both
    if let ([state], [dead_end]) = (&*heads, &*tails)
        && alive[*state]
    {
        let (state, dead_end) = (*state, Some(*dead_end));
        return vec![Finding::Unreachable { state, dead_end, never: never(state) }];
    }
    let unreachable = heads.into_iter().map(|state| Finding::Unreachable {
        state,
        dead_end: None,
        never: never(state),
    });
    let stranded: Vec<_> = stranded
        .into_iter()
        .filter(|state| !tails.iter().any(|tail| flood(&next, [*state])[*tail]))
        .map(|state| Finding::Stranded { state })
        .collect();
    let dead_ends = tails
        .into_iter()
        .map(|state| Finding::DeadEnd { state, in_a_loop: in_a_loop(state, &stuck, &next) });
    unreachable.chain(dead_ends).chain(stranded).collect()
}

/// The states in which records stand that had a way to an end before, and have none now.
fn stranded(graph: &Graph, alive: &[bool]) -> Vec<usize> {
    graph.ended_before.iter().copied().filter(|state| !alive[*state]).collect()
}

/// The dead ends that lead to this one and back.
fn in_a_loop(state: usize, stuck: &[usize], next: &[Vec<usize>]) -> Vec<usize> {
    let reached = flood(next, [state]);
    let leads_back = |other: usize| reached[other] && flood(next, [other])[state];
    stuck.iter().copied().filter(|&other| other != state && leads_back(other)).collect()
}

/// The transitions out of an unreachable state that start from no other state that is reached.
fn never_run(graph: &Graph, state: usize, reached: &[bool]) -> Vec<usize> {
    let edges = graph.transitions.iter().enumerate();
    edges
        .filter(|(_, edge)| edge.from.contains(&state))
        .filter(|(_, edge)| !edge.from.iter().any(|&state| reached[state]))
        .map(|(transition, _)| transition)
        .collect()
}

/// For each state, the states one transition away.
fn next(graph: &Graph) -> Vec<Vec<usize>> {
    let leaving = graph.leaving();
    let to = |transitions: &Vec<usize>| {
        transitions.iter().map(|&transition| graph.transitions[transition].to).collect()
    };
    leaving.iter().map(to).collect()
}

/// The states from which a completed one can be reached.
fn ending(graph: &Graph) -> Vec<bool> {
    let states = graph.states.iter().enumerate();
    let completed = states.filter(|(_, node)| node.is_completed).map(|(state, _)| state);
    leading_to(completed, &graph.transitions, graph.states.len())
}

/// The states from which one of these can be reached over these edges.
pub(super) fn leading_to(
    ends: impl IntoIterator<Item = usize>,
    edges: &[Edge],
    states: usize,
) -> Vec<bool> {
    let mut before = vec![Vec::new(); states];
    for edge in edges {
        before[edge.to].extend(edge.from.iter().copied());
    }
    flood(&before, ends)
}

/// The states that are reached from these, themselves included.
fn flood(next: &[Vec<usize>], from: impl IntoIterator<Item = usize>) -> Vec<bool> {
    let mut reached = vec![false; next.len()];
    let mut open: Vec<usize> = from.into_iter().collect();
    while let Some(state) = open.pop() {
        if !std::mem::replace(&mut reached[state], true) {
            open.extend(next[state].iter().copied());
        }
    }
    reached
}

fn missing(reached: &[bool]) -> Vec<usize> {
    (0..reached.len()).filter(|&state| !reached[state]).collect()
}

/// The unreachable states that no other one leads to; of a loop, its first.
fn first_of(lost: &[usize], next: &[Vec<usize>]) -> Vec<usize> {
    let reach: Vec<_> = lost.iter().map(|&state| flood(next, [state])).collect();
    let is_first = |&(i, &state): &(usize, &usize)| {
        lost.iter().enumerate().all(|(j, &other)| {
            let leads_here = reach[j][state];
            let back = reach[i][other];
            !leads_here || (back && i <= j)
        })
    };
    lost.iter().enumerate().filter(is_first).map(|(_, &state)| state).collect()
}

/// The dead ends that lead to no other one; of a loop, its first. Error states may be one.
fn last_of(stuck: &[usize], graph: &Graph, next: &[Vec<usize>]) -> Vec<usize> {
    let stuck: Vec<usize> =
        stuck.iter().copied().filter(|&state| !graph.states[state].is_error).collect();
    let reach: Vec<_> = stuck.iter().map(|&state| flood(next, [state])).collect();
    let is_last = |&(i, &state): &(usize, &usize)| {
        stuck.iter().enumerate().all(|(j, &other)| {
            let leads_on = reach[i][other];
            let back = reach[j][state];
            !leads_on || (back && i <= j)
        })
    };
    stuck.iter().enumerate().filter(is_last).map(|(_, &state)| state).collect()
}
