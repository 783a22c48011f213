//! The flows that a worker knows.

use flowstate::{Definition, Flow, State as _};

use crate::transition::artefacts::names_json;
use crate::transition::decode::stored_names;

/// A flow that this program knows, by one of its names, and its states.
#[derive(Debug)]
pub(crate) struct Known {
    /// The name under which the records are stored.
    pub(crate) flow: &'static str,
    pub(crate) definition: &'static Definition,
    /// Their stored names, old ones too, as JSON.
    pub(super) names: String,
}

impl Known {
    /// A flow, once for each name under which its records are stored.
    pub(crate) fn all<F: Flow>() -> impl Iterator<Item = Self> {
        let names = names_json(F::State::ALL.iter().flat_map(|state| stored_names(*state)));
        F::DEFINITION.names().map(move |flow| Self {
            flow,
            definition: F::DEFINITION,
            names: names.clone(),
        })
    }
}
