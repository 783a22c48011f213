//! The graph as data, for diagrams and tools.

use std::time::Duration;

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
    /// Taken by itself after so long in one of its `from` states.
    pub after: Option<Duration>,
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
}

impl Definition {
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
        Self { name, doc: "", initial, states: &[], transitions: &[], artefacts: &[] }
    }

    /// The same with a doc comment.
    #[must_use]
    pub const fn with_doc(mut self, doc: &'static str) -> Self {
        self.doc = doc;
        self
    }

    /// The same with these states.
    #[must_use]
    pub const fn with_states(mut self, states: &'static [StateDefinition]) -> Self {
        self.states = states;
        self
    }

    /// The same with these transitions.
    #[must_use]
    pub const fn with_transitions(mut self, transitions: &'static [TransitionDefinition]) -> Self {
        self.transitions = transitions;
        self
    }

    /// The same with these artefacts.
    #[must_use]
    pub const fn with_artefacts(mut self, artefacts: &'static [ArtefactDefinition]) -> Self {
        self.artefacts = artefacts;
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
        }
    }

    /// The same with earlier names.
    #[must_use]
    pub const fn with_aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// The same with a doc comment.
    #[must_use]
    pub const fn with_doc(mut self, doc: &'static str) -> Self {
        self.doc = doc;
        self
    }

    /// The same as a failure state.
    #[must_use]
    pub const fn error(mut self) -> Self {
        self.is_error = true;
        self
    }

    /// The same as a completed state, which deletes the record if `destroys`.
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
        Self { name, aliases: &[], doc: "", from, to, persists: &[], loads: &[], after: None }
    }

    /// The same with earlier names.
    #[must_use]
    pub const fn with_aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// The same with a doc comment.
    #[must_use]
    pub const fn with_doc(mut self, doc: &'static str) -> Self {
        self.doc = doc;
        self
    }

    /// The same persisting these artefacts.
    #[must_use]
    pub const fn persisting(mut self, names: &'static [&'static str]) -> Self {
        self.persists = names;
        self
    }

    /// The same taken by itself after so long.
    #[must_use]
    pub const fn taken_after(mut self, after: Duration) -> Self {
        self.after = Some(after);
        self
    }

    /// The same loading these artefacts.
    #[must_use]
    pub const fn loading(mut self, names: &'static [&'static str]) -> Self {
        self.loads = names;
        self
    }
}

impl ArtefactDefinition {
    /// An artefact.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, aliases: &[], doc: "" }
    }

    /// The same with earlier names.
    #[must_use]
    pub const fn with_aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// The same with a doc comment.
    #[must_use]
    pub const fn with_doc(mut self, doc: &'static str) -> Self {
        self.doc = doc;
        self
    }
}
