//! Every state is reached, and a completed one can be reached from it.

use super::{Finding, Graph};

/// Unreachable states and dead ends, each cause once: a state that only follows from another
/// finding is none of its own.
pub(super) fn findings(graph: &Graph) -> Vec<Finding> {
    let next = next(graph);
    let reached = flood(&next, [graph.initial]);
    let lost: Vec<usize> = missing(&reached);
    let alive = ending(graph);
    let stuck: Vec<usize> = missing(&alive).into_iter().filter(|&state| reached[state]).collect();
    if lost.is_empty() && stuck.is_empty() {
        return Vec::new();
    }
    let stuck = last_of(&stuck, graph, &next);
    pair(&first_of(&lost, &next), &stuck, &alive)
}

/// One missing transition, from a dead end to an unreachable state, explains both.
fn pair(lost: &[usize], stuck: &[usize], alive: &[bool]) -> Vec<Finding> {
    let mut dead_ends = stuck.iter().copied();
    let unreachable = lost.iter().map(|&state| {
        let dead_end = if alive[state] { dead_ends.next() } else { None };
        Finding::Unreachable { state, dead_end }
    });
    let mut findings: Vec<_> = unreachable.collect();
    findings.extend(dead_ends.map(|state| Finding::DeadEnd { state }));
    findings
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
    let mut before = vec![Vec::new(); graph.states.len()];
    for edge in &graph.transitions {
        before[edge.to].extend(edge.from.iter().copied());
    }
    let states = graph.states.iter().enumerate();
    let completed = states.filter(|(_, node)| node.is_completed).map(|(state, _)| state);
    flood(&before, completed)
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
