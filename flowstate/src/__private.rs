//! What generated code refers to. Not a public interface.

use std::borrow::Cow;

pub use std::string::String;
pub use std::vec::Vec;

pub use serde;
use serde::{Deserialize, Deserializer};

pub use crate::derived::Derived;
use crate::{Flow, Policy, State, StepDefinition, UnknownState};

/// The state that is or was stored under this name.
///
/// # Errors
/// When there is none.
pub fn parse_state<S: State>(flow: &'static str, name: &str) -> Result<S, UnknownState> {
    let found = S::ALL.iter().copied().find(|state| {
        let definition = state.definition();
        definition.name == name || definition.aliases.contains(&name)
    });
    found.ok_or_else(|| UnknownState { flow, state: name.to_owned() })
}

/// A state in its text form.
///
/// # Errors
/// When it is no text or no state.
pub fn deserialize_state<'de, S: State, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<S, D::Error> {
    let name = Cow::<'de, str>::deserialize(deserializer)?;
    name.parse().map_err(serde::de::Error::custom)
}

/// The labels that a record has, of those that its flow declares.
#[must_use]
pub fn labels<const N: usize>(
    all: [(&'static str, Option<String>); N],
) -> Vec<(&'static str, String)> {
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// The marker of a state that is not completed: where a transition from `*` starts.
#[diagnostic::on_unimplemented(
    message = "this transition does not start from the state of `{F}` that has been reached: it cannot come next",
    label = "does not start from `{Self}`",
    note = "`{Self}` is completed, and `*` means every state that is not"
)]
pub trait Open<F> {}

/// Assumed by the impls of a flow's transitions and artefacts, so that a flow that is not
/// serializable is a mistake of the flow and not of each of them too.
pub trait Declared<'a>: Flow {}

impl<F: Flow> Declared<'_> for F {}

/// Assumed by the impls of enums that can be cloned if their artefacts can.
pub trait Clonable<'a>: Clone {}

impl<T: Clone> Clonable<'_> for T {}

/// What a handler's policy is by default: a call that the compiler checks fast.
pub fn policy() -> Policy {
    Policy::default()
}

/// A step that the derive has proved: what keeps others from implementing the trait.
#[derive(Clone, Copy, Debug)]
pub struct DeclaredStep(&'static StepDefinition);

impl DeclaredStep {
    /// The step of this definition.
    #[must_use]
    pub const fn new(definition: &'static StepDefinition) -> Self {
        Self(definition)
    }

    pub(crate) const fn definition(self) -> &'static StepDefinition {
        self.0
    }
}
