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

/// Assumed by the impls of a flow's transitions, so that a flow that is not serializable is one
/// mistake of the flow and not one of each transition too.
pub trait Declared<'a>: Flow {}

impl<F: Flow> Declared<'_> for F {}
