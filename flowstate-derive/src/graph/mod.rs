//! The proofs over the graph: what no order of transitions can get wrong.
//!
//! Everything here is numbers; [`explain`] turns what is found into messages at tokens.

mod assignment;
mod explain;
mod in_flight;
mod reach;
#[cfg(test)]
mod tests;
mod way;

pub(crate) use explain::{explain, kept};

/// A flow as states, edges and artefacts that are known by their position.
#[derive(Clone, Debug, Default)]
pub(crate) struct Graph {
    pub(crate) initial: usize,
    pub(crate) states: Vec<Node>,
    pub(crate) transitions: Vec<Edge>,
    pub(crate) artefacts: usize,
    /// Where records stand already, and what every one there has.
    pub(crate) entries: Vec<Entry>,
    /// Transitions that older programs may take. They count on from `transitions`.
    pub(crate) former: Vec<Edge>,
    /// The states from which a record that stands there had a way to an end before.
    pub(crate) ended_before: Vec<usize>,
}

/// Records that stand in a state.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    pub(crate) state: usize,
    pub(crate) has: Vec<usize>,
}

/// A state.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Node {
    pub(crate) is_error: bool,
    pub(crate) is_completed: bool,
}

/// A transition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Edge {
    pub(crate) from: Vec<usize>,
    pub(crate) to: usize,
    pub(crate) persists: Vec<usize>,
    pub(crate) loads: Vec<usize>,
}

/// A way through the graph: transitions, and the state each of them leads to.
pub(crate) type Path = Vec<(usize, usize)>;

/// What is wrong with a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// The process has ended before it began.
    InitialIsCompleted,
    /// A transition leaves a completed state.
    LeavesCompleted { transition: usize, state: usize },
    /// No path leads from the initial state to this one, so that `never` can never run. One from
    /// `dead_end`, which has no way to a completed state, may be what is missing.
    Unreachable { state: usize, dead_end: Option<usize>, never: Vec<usize> },
    /// No path leads from this state to a completed one, nor from those that lead back to it.
    DeadEnd { state: usize, in_a_loop: Vec<usize> },
    /// Nothing persists this artefact.
    NeverPersisted { artefact: usize },
    /// Records that stand in this state have no way to an end any more.
    Stranded { state: usize },
    /// This shortest path leads to a load of an artefact that nothing on it persists. It begins in
    /// the initial state, or where records `stand` already that may lack it. One that leads to a load
    /// of an older program has a transition of this flow.
    MayBeMissing { transition: usize, artefact: usize, stand: Option<usize>, path: Path },
}

impl Graph {
    /// All that is wrong, each cause once.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        if self.states[self.initial].is_completed {
            return self.completed_at_once();
        }
        let mut findings = self.misplaced();
        findings.extend(reach::findings(self));
        findings.extend(assignment::findings(self));
        findings
    }

    /// What is wrong if the initial state is completed, and besides, whichever state it should be.
    fn completed_at_once(&self) -> Vec<Finding> {
        let of_initial = |finding: &Finding| matches!(finding, Finding::LeavesCompleted { state, .. } if *state == self.initial);
        let mut findings = vec![Finding::InitialIsCompleted];
        findings.extend(self.misplaced().into_iter().filter(|finding| !of_initial(finding)));
        findings.extend(assignment::never_persisted(self));
        findings
    }

    fn misplaced(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (transition, edge) in self.transitions.iter().enumerate() {
            let completed = edge.from.iter().filter(|state| self.states[**state].is_completed);
            findings.extend(completed.map(|&state| Finding::LeavesCompleted { transition, state }));
        }
        findings
    }

    /// For each state, the transitions that leave it.
    fn leaving(&self) -> Vec<Vec<usize>> {
        let mut leaving = vec![Vec::new(); self.states.len()];
        for (transition, edge) in self.transitions.iter().enumerate() {
            for &state in &edge.from {
                leaving[state].push(transition);
            }
        }
        leaving
    }

    /// The transitions of this flow and then those of before.
    fn all(&self) -> impl Iterator<Item = &Edge> {
        self.transitions.iter().chain(&self.former)
    }

    /// A transition of this flow, or else of before.
    fn edge(&self, transition: usize) -> &Edge {
        let former = || &self.former[transition - self.transitions.len()];
        self.transitions.get(transition).unwrap_or_else(former)
    }

    /// For each state, the transitions that leave it or left it before.
    fn leaving_ever(&self) -> Vec<Vec<usize>> {
        let mut leaving = vec![Vec::new(); self.states.len()];
        for (transition, edge) in self.all().enumerate() {
            for &state in &edge.from {
                leaving[state].push(transition);
            }
        }
        leaving
    }
}
