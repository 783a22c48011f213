//! What an operator may do, decided on plain data: where the record stands and what graphs say.

use std::collections::{HashMap, VecDeque};

use serde::Serialize;

use super::error::Refusal;
use super::graph::{Graph, GraphState, GraphTransition};
use super::registry::Registry;
use super::standing::Standing;

/// What an operator wishes for a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// Due now, with no failed tries. For an error state.
    Retry,
    /// A transition that the graph declares `operator`.
    Take {
        /// Its stored name.
        transition: String,
    },
    /// Into any state that a registered graph knows, whatever the graph says of the way there.
    Force {
        /// The stored name of the state.
        state: String,
    },
    /// A claim is given back to where it was claimed from; the try does not count.
    Release {
        /// A holder that is known to be gone, though its lease has not run out. Without it a claim
        /// is released whose lease has run out, or whose worker has not been seen for 30 seconds.
        gone: Option<String>,
    },
}

impl Action {
    /// The word for it, as the command has it.
    #[must_use]
    pub const fn verb(&self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Take { .. } => "take",
            Self::Force { .. } => "force",
            Self::Release { .. } => "release",
        }
    }
}

/// A move that was decided on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Move {
    /// In the history.
    pub(crate) transition: String,
    pub(crate) to: String,
    pub(crate) attempts: i32,
    pub(crate) is_error: bool,
    pub(crate) completes: bool,
    pub(crate) destroys: bool,
    pub(crate) deadline: Deadline,
    /// The transitions of the shortest way that `force` has left out.
    pub(crate) skipped: Option<Vec<String>>,
}

/// When the timed transition of the state is due after a move by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deadline {
    /// It stays when it was.
    Kept,
    /// So many microseconds from now; never, if there is none.
    Anew(Option<i64>),
}

/// Decides. `origin` is the state from which the record was claimed, as its history tells.
pub(crate) fn decide(
    standing: &Standing,
    action: &Action,
    registry: &Registry,
    origin: Option<&str>,
) -> Result<Move, Refusal> {
    let state = || standing.state.clone();
    if standing.completed_at.is_some() && !matches!(action, Action::Force { .. }) {
        return Err(Refusal::Completed { state: state() });
    }
    match action {
        Action::Retry if standing.last_errored_at.is_none() => {
            Err(Refusal::NotFailed { state: state() })
        }
        Action::Retry => Ok(Move {
            transition: "operator.retry".to_owned(),
            to: state(),
            attempts: 0,
            is_error: true,
            completes: false,
            destroys: false,
            deadline: Deadline::Kept,
            skipped: None,
        }),
        Action::Take { transition } => take(standing, transition, registry),
        Action::Force { state } => force(standing, state, registry),
        Action::Release { gone } => release(standing, gone.as_deref(), registry, origin),
    }
}

fn take(standing: &Standing, name: &str, registry: &Registry) -> Result<Move, Refusal> {
    let graphs: Vec<_> = registry.graphs(&standing.flow).map(|known| &known.graph).collect();
    let newest = *graphs.first().ok_or(Refusal::NoDefinition)?;
    // the newest version that knows where the record stands, and has the transition
    let knows = |graph: &&&Graph| graph.state(&standing.state).is_some();
    let graph = graphs.iter().filter(knows).find(|graph| graph.transition(name).is_some());
    let graph = graph.copied().unwrap_or(newest);
    let allowed = || {
        let leaving = graph.leaving(&standing.state).filter(|edge| is_for_operators(edge));
        leaving.map(|edge| edge.name.clone()).collect()
    };
    let transition = name.to_owned();
    let Some(edge) = graph.transition(name) else {
        return Err(Refusal::UnknownTransition { transition, allowed: allowed() });
    };
    if !edge.operator {
        return Err(Refusal::NotForOperators { transition, allowed: allowed() });
    }
    if !is_for_operators(edge) {
        return Err(Refusal::CarriesArtefacts { transition });
    }
    if !graph.leaving(&standing.state).any(|leaving| leaving.name == edge.name) {
        let (state, from) = (standing.state.clone(), edge.from.clone());
        return Err(Refusal::WrongState { transition, state, from });
    }
    let to = graph.state(&edge.to).ok_or(Refusal::NoDefinition)?;
    Ok(arrive(edge.name.clone(), graph, to))
}

fn is_for_operators(edge: &GraphTransition) -> bool {
    edge.operator && edge.persists.is_empty() && edge.loads.is_empty()
}

fn force(standing: &Standing, wanted: &str, registry: &Registry) -> Result<Move, Refusal> {
    let newest = registry.graph(&standing.flow).ok_or(Refusal::NoDefinition)?;
    let unknown = || Refusal::UnknownState {
        state: wanted.to_owned(),
        known: newest.states.iter().map(|state| state.name.clone()).collect(),
    };
    let graph = registry.graph_with(&standing.flow, wanted).ok_or_else(unknown)?;
    let to = graph.state(wanted).ok_or_else(unknown)?;
    let skipped = way(graph, &standing.state, &to.name);
    Ok(Move { skipped, ..arrive("operator.force".to_owned(), graph, to) })
}

fn release(
    standing: &Standing,
    gone: Option<&str>,
    registry: &Registry,
    origin: Option<&str>,
) -> Result<Move, Refusal> {
    let (Some(holder), Some(until)) = (&standing.leased_by, standing.leased_until) else {
        return Err(Refusal::NotClaimed { state: standing.state.clone() });
    };
    let is_known = registry.workers.iter().any(|worker| worker.id == *holder);
    let is_gone =
        until <= registry.now || gone == Some(holder) || (is_known && !registry.is_alive(holder));
    if !is_gone {
        return Err(Refusal::HolderLives { holder: holder.clone(), until });
    }
    let origin = origin.ok_or(Refusal::NoOrigin)?;
    let graph = registry.graph_with(&standing.flow, origin);
    let state = graph.and_then(|graph| graph.state(origin));
    Ok(Move {
        transition: "operator.release".to_owned(),
        to: origin.to_owned(),
        attempts: standing.attempts,
        // without a graph: whoever tries again has failed before
        is_error: state.map_or(standing.attempts > 0, |state| state.error),
        completes: false,
        destroys: false,
        deadline: Deadline::Anew(graph.and_then(|graph| graph.deadline_micros(origin))),
        skipped: None,
    })
}

fn arrive(transition: String, graph: &Graph, to: &GraphState) -> Move {
    Move {
        transition,
        to: to.name.clone(),
        attempts: 0,
        is_error: to.error,
        completes: to.completed,
        destroys: to.destroys,
        deadline: Deadline::Anew(graph.deadline_micros(&to.name)),
        skipped: None,
    }
}

/// The transitions of the shortest way from one state to another; `None` if there is none.
fn way(graph: &Graph, from: &str, to: &str) -> Option<Vec<String>> {
    let from = &*graph.state(from)?.name;
    let mut came: HashMap<&str, &GraphTransition> = HashMap::new();
    let mut left = HashMap::new();
    let mut next = VecDeque::from([from]);
    while let Some(state) = next.pop_front() {
        for edge in graph.leaving(state) {
            if edge.to != from && !came.contains_key(&*edge.to) {
                came.insert(&edge.to, edge);
                left.insert(&*edge.to, state);
                next.push_back(&edge.to);
            }
        }
    }
    let mut names = Vec::new();
    let mut at = to;
    while at != from {
        names.push(came.get(at)?.name.clone());
        at = left.get(at)?;
    }
    names.reverse();
    Some(names)
}
