//! The graph of a flow as JSON: what programs leave in the database for those who know the flow by
//! name only.

use flowstate::{Definition, StateDefinition, StepDefinition, TransitionDefinition};
use serde::{Deserialize, Serialize};

/// The version of the format. A reader takes what it knows of any version: fields are only added.
///
/// 1 did not say the versions of props and payloads, 2 does.
pub const FORMAT: u32 = 2;

/// A flow's graph as a program has left it in `flowstate_definitions`.
///
/// It describes and never decides: no execution depends on it. The JSON has these fields, by these
/// names; one that is missing reads as empty, `false` or `None`, and one that is unknown is passed
/// over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Graph {
    /// The version of the format: [`FORMAT`].
    pub format: u32,
    /// The stored name of the flow.
    pub flow: String,
    /// The doc comment of the struct.
    pub doc: String,
    /// The version of the props that are written, and the newest that is read. `None` in format 1.
    pub version: Option<u32>,
    /// The state in which records are created.
    pub initial: String,
    /// The states, in the order of declaration.
    pub states: Vec<GraphState>,
    /// The transitions, in the order of declaration.
    pub transitions: Vec<GraphTransition>,
    /// The artefacts, in the order of declaration.
    pub artefacts: Vec<GraphArtefact>,
    /// The steps, in the order of declaration.
    pub steps: Vec<GraphStep>,
    /// The props that records are looked up by.
    pub labels: Vec<String>,
    /// The props that are never shown.
    pub secrets: Vec<String>,
}

/// A state of a [`Graph`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct GraphState {
    /// The stored name.
    pub name: String,
    /// Earlier stored names.
    pub aliases: Vec<String>,
    /// The doc comment.
    pub doc: String,
    /// Whether it stands for a failure.
    pub error: bool,
    /// Whether the process ends here.
    pub completed: bool,
    /// Whether the record is deleted in the transaction that reaches it.
    pub destroys: bool,
}

/// A transition of a [`Graph`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct GraphTransition {
    /// The stored name.
    pub name: String,
    /// Earlier stored names.
    pub aliases: Vec<String>,
    /// The doc comment.
    pub doc: String,
    /// The states from which it starts.
    pub from: Vec<String>,
    /// The state it leads to.
    pub to: String,
    /// The artefacts it persists.
    pub persists: Vec<String>,
    /// The artefacts it loads.
    pub loads: Vec<String>,
    /// After how many microseconds in one of its `from` states it is taken by itself.
    pub after_micros: Option<u64>,
    /// Whether an operator may take it.
    pub operator: bool,
}

/// An artefact of a [`Graph`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct GraphArtefact {
    /// The stored name.
    pub name: String,
    /// Earlier stored names.
    pub aliases: Vec<String>,
    /// The doc comment.
    pub doc: String,
    /// Whether its payload is never shown.
    pub secret: bool,
    /// The version of the payloads that are written, and the newest that is read. `None` in format 1.
    pub version: Option<u32>,
}

/// A step of a [`Graph`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct GraphStep {
    /// The name in the code.
    pub name: String,
    /// The doc comment.
    pub doc: String,
    /// The states from which a record is claimed.
    pub from: Vec<String>,
    /// The state of a claimed record.
    pub running: String,
}

impl Graph {
    /// The state that has this stored name, or had it.
    #[must_use]
    pub fn state(&self, name: &str) -> Option<&GraphState> {
        self.states.iter().find(|state| is_called(&state.name, &state.aliases, name))
    }

    /// The transition that has this stored name, or had it.
    #[must_use]
    pub fn transition(&self, name: &str) -> Option<&GraphTransition> {
        self.transitions.iter().find(|edge| is_called(&edge.name, &edge.aliases, name))
    }

    /// The artefact that has this stored name, or had it.
    #[must_use]
    pub fn artefact(&self, name: &str) -> Option<&GraphArtefact> {
        self.artefacts.iter().find(|known| is_called(&known.name, &known.aliases, name))
    }

    /// Whether a completed state can be reached from this one.
    #[must_use]
    pub fn can_end(&self, state: &str) -> bool {
        let mut reached: Vec<_> = self.state(state).into_iter().collect();
        let mut at = 0;
        while let Some(state) = reached.get(at) {
            if state.completed {
                return true;
            }
            for next in self.leaving(&state.name).filter_map(|edge| self.state(&edge.to)) {
                if !reached.contains(&next) {
                    reached.push(next);
                }
            }
            at += 1;
        }
        false
    }

    /// Whether records leave this state for a completed one: those in a completed state do not.
    pub(crate) fn can_go_on(&self, state: &str) -> bool {
        self.can_end(state) && self.state(state).is_some_and(|state| !state.completed)
    }

    /// The transitions that start from this state.
    pub fn leaving<'a>(&'a self, state: &str) -> impl Iterator<Item = &'a GraphTransition> {
        let name = self.state(state).map(|state| state.name.as_str());
        self.transitions
            .iter()
            .filter(move |edge| edge.from.iter().any(|from| Some(&**from) == name))
    }

    /// After how many microseconds a timed transition takes a record out of this state.
    #[must_use]
    pub fn deadline_micros(&self, state: &str) -> Option<i64> {
        let micros = self.leaving(state).find_map(|edge| edge.after_micros)?;
        Some(i64::try_from(micros).unwrap_or(i64::MAX))
    }

    /// Whether a step claims records from this state.
    #[must_use]
    pub fn is_queue(&self, state: &str) -> bool {
        let name = self.state(state).map(|state| state.name.as_str());
        self.steps.iter().any(|step| step.from.iter().any(|from| Some(&**from) == name))
    }

    /// Whether a step runs while a record is in this state: whoever has claimed it leaves it from there.
    #[must_use]
    pub fn is_running(&self, state: &str) -> bool {
        let name = self.state(state).map(|state| state.name.as_str());
        self.steps.iter().any(|step| Some(&*step.running) == name)
    }

    /// Whether the payload of this artefact is never shown.
    #[must_use]
    pub fn hides(&self, artefact: &str) -> bool {
        self.artefact(artefact).is_some_and(|known| known.secret)
    }

    /// Whether no state of this graph is one of the other's, by any of their names.
    #[must_use]
    pub fn shares_no_state_with(&self, other: &Self) -> bool {
        let mut names =
            self.states.iter().flat_map(|state| state.aliases.iter().chain([&state.name]));
        !names.any(|name| other.state(name).is_some())
    }

    /// The stored form. The same graph always gives the same text.
    pub(crate) fn to_text(&self) -> String {
        // strings, numbers and lists of them always have a JSON
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads the stored form. `None` if it is none.
    pub(crate) fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

/// 128 bits of FNV-1a in hexadecimal: tells the graphs of one flow's versions apart, among which
/// nobody makes them collide.
pub(crate) fn hash(text: &str) -> String {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let step = |hash: u128, byte: u8| (hash ^ u128::from(byte)).wrapping_mul(PRIME);
    format!("{:032x}", text.bytes().fold(BASIS, step))
}

fn is_called(name: &str, aliases: &[String], wanted: &str) -> bool {
    name == wanted || aliases.iter().any(|alias| alias == wanted)
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

impl From<&Definition> for Graph {
    fn from(definition: &Definition) -> Self {
        let artefact = |artefact: &flowstate::ArtefactDefinition| GraphArtefact {
            name: artefact.name.to_owned(),
            aliases: owned(artefact.aliases),
            doc: artefact.doc.to_owned(),
            secret: artefact.secret,
            version: Some(artefact.version),
        };
        Self {
            format: FORMAT,
            flow: definition.name.to_owned(),
            doc: definition.doc.to_owned(),
            version: Some(definition.version),
            initial: definition.initial.to_owned(),
            states: definition.states.iter().map(GraphState::from).collect(),
            transitions: definition.transitions.iter().map(GraphTransition::from).collect(),
            artefacts: definition.artefacts.iter().map(artefact).collect(),
            steps: definition.steps.iter().map(GraphStep::from).collect(),
            labels: owned(definition.labels),
            secrets: owned(definition.secrets),
        }
    }
}

impl From<&StateDefinition> for GraphState {
    fn from(state: &StateDefinition) -> Self {
        Self {
            name: state.name.to_owned(),
            aliases: owned(state.aliases),
            doc: state.doc.to_owned(),
            error: state.is_error,
            completed: state.is_completed,
            destroys: state.destroys,
        }
    }
}

impl From<&TransitionDefinition> for GraphTransition {
    fn from(edge: &TransitionDefinition) -> Self {
        let micros =
            |after: std::time::Duration| u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
        Self {
            name: edge.name.to_owned(),
            aliases: owned(edge.aliases),
            doc: edge.doc.to_owned(),
            from: owned(edge.from),
            to: edge.to.to_owned(),
            persists: owned(edge.persists),
            loads: owned(edge.loads),
            after_micros: edge.after.map(micros),
            operator: edge.operator,
        }
    }
}

impl From<&StepDefinition> for GraphStep {
    fn from(step: &StepDefinition) -> Self {
        Self {
            name: step.name.to_owned(),
            doc: step.doc.to_owned(),
            from: owned(step.from),
            running: step.running.to_owned(),
        }
    }
}
