//! Steps and groups of states as data.

/// A declared step.
///
/// States, transitions and artefacts are referred to by stored name. What is in `start`, `fail`,
/// `give_up` and `outcomes` is among the transitions of the flow, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StepDefinition {
    /// The name in the code.
    pub name: &'static str,
    /// The doc comment.
    pub doc: &'static str,
    /// The states from which a record is claimed.
    pub from: &'static [&'static str],
    /// The state of a claimed record.
    pub running: &'static str,
    /// The transition that claims a record.
    pub start: &'static str,
    /// How it may end well, in the order of declaration.
    pub outcomes: &'static [OutcomeDefinition],
    /// The transition that a failed try takes.
    pub fail: &'static str,
    /// The transition that the last failed try takes, if that is another one.
    pub give_up: Option<&'static str>,
    /// The artefacts that a handler is given.
    pub loads: &'static [&'static str],
    /// What runs in a transaction.
    pub kind: StepKind,
}

/// One way for a step to end well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutcomeDefinition {
    /// The transition that is taken.
    pub transition: &'static str,
    /// The state it leads to.
    pub to: &'static str,
    /// The artefacts that the handler returns with it.
    pub persists: &'static [&'static str],
    /// The further transitions that are taken at once, in the same transaction.
    pub then: &'static [&'static str],
}

/// What of a step runs in a transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum StepKind {
    /// Nothing of the user's.
    #[default]
    Plain,
    /// The handler.
    Transactional,
    /// A second method, after the handler.
    Within,
}

/// A declared group of states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupDefinition {
    /// The name in the code.
    pub name: &'static str,
    /// The doc comment.
    pub doc: &'static str,
    /// The stored names of its states, in the order of declaration.
    pub states: &'static [&'static str],
}

impl StepDefinition {
    /// A plain step without outcomes: start of a chain of `with_…` calls, as the derive writes it.
    #[must_use]
    pub const fn new(
        name: &'static str,
        from: &'static [&'static str],
        running: &'static str,
        start: &'static str,
        fail: &'static str,
    ) -> Self {
        Self {
            name,
            doc: "",
            from,
            running,
            start,
            outcomes: &[],
            fail,
            give_up: None,
            loads: &[],
            kind: StepKind::Plain,
        }
    }

    /// The step with a doc comment.
    #[must_use]
    pub const fn with_doc(mut self, doc: &'static str) -> Self {
        self.doc = doc;
        self
    }

    /// The step with these outcomes.
    #[must_use]
    pub const fn with_outcomes(mut self, outcomes: &'static [OutcomeDefinition]) -> Self {
        self.outcomes = outcomes;
        self
    }

    /// The step whose last failed try takes this transition.
    #[must_use]
    pub const fn giving_up(mut self, transition: &'static str) -> Self {
        self.give_up = Some(transition);
        self
    }

    /// The step with artefacts for its handler.
    #[must_use]
    pub const fn loading(mut self, names: &'static [&'static str]) -> Self {
        self.loads = names;
        self
    }

    /// The step of which this runs in a transaction.
    #[must_use]
    pub const fn of_kind(mut self, kind: StepKind) -> Self {
        self.kind = kind;
        self
    }
}

impl OutcomeDefinition {
    /// An outcome without artefacts.
    #[must_use]
    pub const fn new(transition: &'static str, to: &'static str) -> Self {
        Self { transition, to, persists: &[], then: &[] }
    }

    /// The outcome with which the handler returns these artefacts.
    #[must_use]
    pub const fn persisting(mut self, names: &'static [&'static str]) -> Self {
        self.persists = names;
        self
    }

    /// The outcome after which these transitions are taken at once.
    #[must_use]
    pub const fn followed_by(mut self, transitions: &'static [&'static str]) -> Self {
        self.then = transitions;
        self
    }
}

impl GroupDefinition {
    /// A group of states.
    #[must_use]
    pub const fn new(name: &'static str, states: &'static [&'static str]) -> Self {
        Self { name, doc: "", states }
    }

    /// The group with a doc comment.
    #[must_use]
    pub const fn with_doc(mut self, doc: &'static str) -> Self {
        self.doc = doc;
        self
    }
}
