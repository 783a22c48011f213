//! Definite assignment: an artefact that is loaded was persisted, whichever way was taken.

use std::collections::VecDeque;

use super::{Finding, Graph, Path};

/// Artefacts that nothing persists, and loads that some path reaches too early.
pub(super) fn findings(graph: &Graph) -> Vec<Finding> {
    let leaving = graph.leaving_ever();
    (0..graph.artefacts).flat_map(|artefact| of(graph, &leaving, artefact)).collect()
}

/// Artefacts that nothing persists.
pub(super) fn never_persisted(graph: &Graph) -> Vec<Finding> {
    let never = (0..graph.artefacts).filter(|artefact| !is_persisted(graph, *artefact));
    never.map(|artefact| Finding::NeverPersisted { artefact }).collect()
}

fn is_persisted(graph: &Graph, artefact: usize) -> bool {
    graph.all().any(|edge| edge.persists.contains(&artefact))
}

fn of(graph: &Graph, leaving: &[Vec<usize>], artefact: usize) -> Vec<Finding> {
    if !is_persisted(graph, artefact) {
        return vec![Finding::NeverPersisted { artefact }];
    }
    let mut loads =
        graph.all().enumerate().filter(|(_, edge)| edge.loads.contains(&artefact)).peekable();
    if loads.peek().is_none() {
        return Vec::new();
    }
    let ways = Ways::without(graph, leaving, artefact);
    let is_own = |transition: usize| transition < graph.transitions.len();
    loads
        .filter_map(|(transition, edge)| {
            let (stand, path) = ways.shortest(&edge.from)?;
            // where older programs alone bring a record, this flow changes nothing
            let changes = is_own(transition) || path.iter().any(|(by, _)| is_own(*by));
            changes.then_some(Finding::MayBeMissing { transition, artefact, stand, path })
        })
        .collect()
}

/// For each state, the artefacts that every path to it has persisted.
pub(super) fn kept(graph: &Graph) -> Vec<Vec<usize>> {
    let leaving = graph.leaving_ever();
    let mut kept = vec![Vec::new(); graph.states.len()];
    for artefact in (0..graph.artefacts).filter(|artefact| is_persisted(graph, *artefact)) {
        let mut open: Vec<_> = beginnings(graph, artefact).collect();
        let mut lacks = vec![false; graph.states.len()];
        while let Some(state) = open.pop() {
            if std::mem::replace(&mut lacks[state], true) {
                continue;
            }
            let edges = leaving[state].iter().map(|&transition| graph.edge(transition));
            open.extend(
                edges.filter(|edge| !edge.persists.contains(&artefact)).map(|edge| edge.to),
            );
        }
        for (state, _) in lacks.iter().enumerate().filter(|(_, lacks)| !**lacks) {
            kept[state].push(artefact);
        }
    }
    kept
}

/// The states in which a record may stand that lacks the artefact, before it has taken any
/// transition: the initial one, and those of the lock.
fn beginnings(graph: &Graph, artefact: usize) -> impl Iterator<Item = usize> {
    let lacking = graph.entries.iter().filter(move |entry| !entry.has.contains(&artefact));
    std::iter::once(graph.initial).chain(lacking.map(|entry| entry.state))
}

/// The shortest ways from the initial state, and from where records stand already, on which an artefact is not persisted.
///
/// A transition that loads it ends the search as well: beyond it the artefact is there, and what
/// is wrong is found at that load.
struct Ways {
    initial: usize,
    /// How long the way to each state is that has one.
    length: Vec<Option<usize>>,
    /// The state and the transition by which it was entered.
    came_by: Vec<Option<(usize, usize)>>,
}

impl Ways {
    fn without(graph: &Graph, leaving: &[Vec<usize>], artefact: usize) -> Self {
        let states = graph.states.len();
        let initial = graph.initial;
        let mut ways = Self { initial, length: vec![None; states], came_by: vec![None; states] };
        let mut open = VecDeque::new();
        for state in beginnings(graph, artefact) {
            if ways.length[state].is_none() {
                ways.length[state] = Some(0);
                open.push_back((state, 0));
            }
        }
        while let Some((state, length)) = open.pop_front() {
            for &transition in &leaving[state] {
                let edge = graph.edge(transition);
                let ends = edge.persists.contains(&artefact) || edge.loads.contains(&artefact);
                if !ends && ways.length[edge.to].is_none() {
                    ways.length[edge.to] = Some(length + 1);
                    ways.came_by[edge.to] = Some((state, transition));
                    open.push_back((edge.to, length + 1));
                }
            }
        }
        ways
    }

    /// The way to the nearest of these states, if there is one to any, and where it begins if that is
    /// not the initial state.
    fn shortest(&self, states: &[usize]) -> Option<(Option<usize>, Path)> {
        let known = states.iter().filter_map(|&state| Some((self.length[state]?, state)));
        let (_, mut state) = known.min_by_key(|(length, _)| *length)?;
        let mut path = Path::new();
        while let Some((before, transition)) = self.came_by[state] {
            path.push((transition, state));
            state = before;
        }
        path.reverse();
        Some(((state != self.initial).then_some(state), path))
    }
}
