//! The flows that a worker knows.

use flowstate::{Definition, Flow, State as _};

use crate::store::flow_store::stored_names;
use crate::transition::apply::names_json;

/// A flow that this program knows, and its states.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) flow: &'static str,
    pub(crate) definition: &'static Definition,
    /// Their stored names, old ones too, as JSON.
    pub(super) names: String,
}

impl Known {
    pub(crate) fn of<F: Flow>() -> Self {
        let names = F::State::ALL.iter().flat_map(|state| stored_names(*state));
        Self { flow: F::NAME, definition: F::DEFINITION, names: names_json(names) }
    }
}
