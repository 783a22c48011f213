//! Steps as meant.

use proc_macro2::Ident;
use quote::format_ident;
use syn::Attribute;

/// A step as meant. States, artefacts and transitions are known by their position.
pub(crate) struct Step {
    pub(crate) ident: Ident,
    pub(crate) docs: Vec<Attribute>,
    /// What its methods are named after.
    pub(crate) method: Ident,
    /// The associated constant.
    pub(crate) constant: Ident,
    /// The unit type.
    pub(crate) ty: Ident,
    pub(crate) from: Vec<usize>,
    /// What is written there.
    pub(crate) from_tokens: Vec<Ident>,
    pub(crate) running: Place,
    pub(crate) start: usize,
    /// Never empty.
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) fail: usize,
    /// Where `fail(…)` leads, if that could be read.
    pub(crate) fail_place: Option<Place>,
    pub(crate) give_up: Option<usize>,
    pub(crate) give_up_place: Option<Place>,
    pub(crate) kind: Kind,
}

/// A state, and where it is named.
pub(crate) struct Place {
    pub(crate) state: usize,
    pub(crate) token: Ident,
}

/// A way for a step to end well.
pub(crate) struct Outcome {
    pub(crate) transition: usize,
    pub(crate) to: Place,
    /// The transitions that are taken at once.
    pub(crate) then: Vec<(usize, Ident)>,
}

/// What of a step runs in a transaction.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    Transactional,
    Within,
}

impl Step {
    /// The enum of its outcomes, if it has several.
    pub(crate) fn outcome_ty(&self) -> Option<Ident> {
        (self.outcomes.len() > 1).then(|| format_ident!("{}Outcome", self.ty))
    }
}
