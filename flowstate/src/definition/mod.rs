//! The graph as data, for diagrams and tools.

mod lock_file;
mod step;

use std::time::Duration;

pub use lock_file::LockFile;
pub use step::{GroupDefinition, OutcomeDefinition, StepDefinition, StepKind};

/// The longest stored name of a flow, state, transition or artefact, in bytes. The derive refuses
/// longer ones.
pub const MAX_NAME_LENGTH: usize = 64;

/// What the attributes of a flow say, as `'static` data.
///
/// States, transitions and artefacts refer to each other by stored name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Definition {
    /// The stored name of the flow.
    pub name: &'static str,
    /// Earlier stored names: records under them are records of this flow.
    pub aliases: &'static [&'static str],
    /// The doc comment of the struct.
    pub doc: &'static str,
    /// The state in which records are created.
    pub initial: &'static str,
    /// The states, in the order of declaration.
    pub states: &'static [StateDefinition],
    /// The transitions, in the order of declaration.
    pub transitions: &'static [TransitionDefinition],
    /// The artefacts, in the order of declaration.
    pub artefacts: &'static [ArtefactDefinition],
    /// The steps, in the order of declaration. Their transitions are among the others.
    pub steps: &'static [StepDefinition],
    /// The groups of states, in the order of declaration.
    pub groups: &'static [GroupDefinition],
    /// The props that records are looked up by, by their names in the code.
    pub labels: &'static [&'static str],
    /// The props that tools never show.
    pub secrets: &'static [&'static str],
    /// The version of the props that are written.
    pub version: u32,
}

/// A declared state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StateDefinition {
    /// The stored name.
    pub name: &'static str,
    /// The name in the code.
    pub variant: &'static str,
    /// Earlier stored names, still read.
    pub aliases: &'static [&'static str],
    /// The doc comment.
    pub doc: &'static str,
    /// Whether it stands for a failure.
    pub is_error: bool,
    /// Whether the process ends here.
    pub is_completed: bool,
    /// Whether the record is deleted in the transaction that reaches it.
    pub destroys: bool,
    /// The stored names of the artefacts that every record which stands here has. Known of a flow
    /// with a lock file only.
    pub has: &'static [&'static str],
}

/// A declared transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransitionDefinition {
    /// The stored name.
    pub name: &'static str,
    /// Earlier stored names.
    pub aliases: &'static [&'static str],
    /// The doc comment.
    pub doc: &'static str,
    /// The stored names of the states in which it may run.
    pub from: &'static [&'static str],
    /// The stored name of the state it leads to.
    pub to: &'static str,
    /// The stored names of the artefacts it persists.
    pub persists: &'static [&'static str],
    /// The stored names of the artefacts it loads.
    pub loads: &'static [&'static str],
    /// Those of them that may be missing.
    pub optional: &'static [&'static str],
    /// Taken by itself after so long in one of its `from` states.
    pub after: Option<Duration>,
    /// Whether a handler runs in the transaction in which it is taken by itself.
    pub within: bool,
    /// Whether an operator may take it by its name, without the program.
    pub operator: bool,
}

/// A declared artefact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArtefactDefinition {
    /// The stored name.
    pub name: &'static str,
    /// Earlier stored names, still read.
    pub aliases: &'static [&'static str],
    /// The doc comment.
    pub doc: &'static str,
    /// Whether tools never show its payload.
    pub secret: bool,
    /// The version of the payloads that are written.
    pub version: u32,
}

impl Definition {
    /// The state that is stored under this name.
    #[must_use]
    pub fn state(&self, name: &str) -> Option<&'static StateDefinition> {
        self.states.iter().find(|state| state.name == name)
    }

    /// The transition that is stored under this name.
    #[must_use]
    pub fn transition(&self, name: &str) -> Option<&'static TransitionDefinition> {
        self.transitions.iter().find(|transition| transition.name == name)
    }

    /// The timed transition of a state, and how long the state may last. By stored names.
    #[must_use]
    pub fn timed(&self, state: &str) -> Option<(&'static TransitionDefinition, Duration)> {
        let transitions: &'static [TransitionDefinition] = self.transitions;
        transitions
            .iter()
            .filter_map(|transition| Some((transition, transition.after?)))
            .find(|(transition, _)| transition.from.contains(&state))
    }

    /// A flow without states: start of a chain of `with_…` calls, as the derive writes it.
    #[must_use]
    pub const fn new(name: &'static str, initial: &'static str) -> Self {
        Self {
            name,
            aliases: &[],
            doc: "",
            initial,
            states: &[],
            transitions: &[],
            artefacts: &[],
            steps: &[],
            groups: &[],
            labels: &[],
            secrets: &[],
            version: 1,
        }
    }

    /// The names under which records of the flow are stored: its own first, then the earlier ones.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }

    /// The definition with earlier names.
    #[must_use]
    pub const fn with_aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// The definition with a doc comment.
    #[must_use]
    pub const fn with_doc(mut self, doc: &'static str) -> Self {
        self.doc = doc;
        self
    }

    /// The definition with these states.
    #[must_use]
    pub const fn with_states(mut self, states: &'static [StateDefinition]) -> Self {
        self.states = states;
        self
    }

    /// The definition with these transitions.
    #[must_use]
    pub const fn with_transitions(mut self, transitions: &'static [TransitionDefinition]) -> Self {
        self.transitions = transitions;
        self
    }

    /// The definition with these artefacts.
    #[must_use]
    pub const fn with_artefacts(mut self, artefacts: &'static [ArtefactDefinition]) -> Self {
        self.artefacts = artefacts;
        self
    }

    /// The definition with these steps.
    #[must_use]
    pub const fn with_steps(mut self, steps: &'static [StepDefinition]) -> Self {
        self.steps = steps;
        self
    }

    /// The definition with these props as labels.
    #[must_use]
    pub const fn with_labels(mut self, labels: &'static [&'static str]) -> Self {
        self.labels = labels;
        self
    }

    /// The definition with this version of the props.
    #[must_use]
    pub const fn with_version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// The definition with props that tools never show.
    #[must_use]
    pub const fn with_secrets(mut self, secrets: &'static [&'static str]) -> Self {
        self.secrets = secrets;
        self
    }

    /// The definition with these groups of states.
    #[must_use]
    pub const fn with_groups(mut self, groups: &'static [GroupDefinition]) -> Self {
        self.groups = groups;
        self
    }
}

impl StateDefinition {
    /// A plain state.
    #[must_use]
    pub const fn new(name: &'static str, variant: &'static str) -> Self {
        Self {
            name,
            variant,
            aliases: &[],
            doc: "",
            is_error: false,
            is_completed: false,
            destroys: false,
            has: &[],
        }
    }

    /// The state in which every record has these artefacts.
    #[must_use]
    pub const fn having(mut self, names: &'static [&'static str]) -> Self {
        self.has = names;
        self
    }

    /// The state with earlier names.
    #[must_use]
    pub const fn with_aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// The state with a doc comment.
    #[must_use]
    pub const fn with_doc(mut self, doc: &'static str) -> Self {
        self.doc = doc;
        self
    }

    /// The state as a failure state.
    #[must_use]
    pub const fn error(mut self) -> Self {
        self.is_error = true;
        self
    }

    /// The state as a completed state, which deletes the record if `destroys`.
    #[must_use]
    pub const fn completed(mut self, destroys: bool) -> Self {
        self.is_completed = true;
        self.destroys = destroys;
        self
    }
}

impl TransitionDefinition {
    /// An edge without artefacts.
    #[must_use]
    pub const fn new(name: &'static str, from: &'static [&'static str], to: &'static str) -> Self {
        Self {
            name,
            aliases: &[],
            doc: "",
            from,
            to,
            persists: &[],
            loads: &[],
            optional: &[],
            after: None,
            within: false,
            operator: false,
        }
    }

    /// The transition with earlier names.
    #[must_use]
    pub const fn with_aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// The transition with a doc comment.
    #[must_use]
    pub const fn with_doc(mut self, doc: &'static str) -> Self {
        self.doc = doc;
        self
    }

    /// The transition persisting these artefacts.
    #[must_use]
    pub const fn persisting(mut self, names: &'static [&'static str]) -> Self {
        self.persists = names;
        self
    }

    /// The transition taken by itself after so long.
    #[must_use]
    pub const fn taken_after(mut self, after: Duration) -> Self {
        self.after = Some(after);
        self
    }

    /// The transition with a handler that runs in the transaction in which it is taken by itself.
    #[must_use]
    pub const fn within(mut self) -> Self {
        self.within = true;
        self
    }

    /// The transition as one that an operator may take.
    #[must_use]
    pub const fn for_operators(mut self) -> Self {
        self.operator = true;
        self
    }

    /// The transition loading these artefacts.
    #[must_use]
    pub const fn loading(mut self, names: &'static [&'static str]) -> Self {
        self.loads = names;
        self
    }

    /// The transition with these of the artefacts that it loads as ones that may be missing.
    #[must_use]
    pub const fn with_optional(mut self, names: &'static [&'static str]) -> Self {
        self.optional = names;
        self
    }
}

impl ArtefactDefinition {
    /// An artefact.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, aliases: &[], doc: "", secret: false, version: 1 }
    }

    /// The artefact with earlier names.
    #[must_use]
    pub const fn with_aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// The artefact with this version of its payloads.
    #[must_use]
    pub const fn with_version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// The artefact as one whose payload tools never show.
    #[must_use]
    pub const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// The artefact with a doc comment.
    #[must_use]
    pub const fn with_doc(mut self, doc: &'static str) -> Self {
        self.doc = doc;
        self
    }
}
