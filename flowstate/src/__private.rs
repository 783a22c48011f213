//! What generated code refers to. Not a public interface.

use std::borrow::Cow;

pub use serde;
use serde::{Deserialize, Deserializer};

use crate::{Flow, State, UnknownState};

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
