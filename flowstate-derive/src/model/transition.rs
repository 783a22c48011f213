//! Transitions: each declared once, between declared states.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::Ident;
use syn::Attribute;

use super::after::{self, After};
use super::artefact::Artefacts;
use super::state::States;
use super::stored::{Stored, StoredNames};
use crate::attr::Attributes;
use crate::attr::option::{ALIAS, Form, Key, Options, RENAME};
use crate::attr::transition::{From, Transition as Written};
use crate::errors::Errors;
use crate::name;

const OPTIONS: &[Key] = &[
    Key { name: "persist", form: Form::List, usage: "persist(Artefact)" },
    Key { name: "load", form: Form::List, usage: "load(Artefact)" },
    Key { name: "after", form: Form::List, usage: "after(\"3 days\")" },
    RENAME,
    ALIAS,
];

/// A transition as meant. States and artefacts are known by their position.
pub(crate) struct Transition {
    pub(crate) ident: Ident,
    /// The associated constant.
    pub(crate) constant: Ident,
    /// The unit type.
    pub(crate) ty: Ident,
    pub(crate) docs: Vec<Attribute>,
    pub(crate) stored: Stored,
    pub(crate) from: Vec<usize>,
    /// Whether `*` is written before `=>`.
    pub(crate) from_any: bool,
    /// What is written there otherwise.
    pub(crate) from_tokens: Vec<Ident>,
    pub(crate) to: usize,
    pub(crate) persists: Vec<(usize, Ident)>,
    pub(crate) loads: Vec<(usize, Ident)>,
    /// Taken by itself after so long.
    pub(crate) after: Option<After>,
}

/// Reads every `#[transition(…)]`; and the mistakes in stored names.
pub(crate) fn transitions(
    attributes: &Attributes,
    states: &States,
    artefacts: &Artefacts,
    errors: &mut Errors,
) -> (Vec<Transition>, Errors) {
    let mut known: Vec<Transition> = Vec::new();
    let mut constants: BTreeMap<Ident, Ident> = BTreeMap::new();
    let mut types = BTreeSet::new();
    let mut names = StoredNames::default();
    for written in &attributes.transitions {
        let ident = &written.edge.ident;
        let constant = name::constant(ident);
        if let Some(other) = constants.get(&constant) {
            errors.gap(ident, twice(ident, other, &constant));
            continue;
        }
        constants.insert(constant.clone(), ident.clone());
        let options = Options::check(written.options.clone(), "a transition", OPTIONS, errors);
        let to = written.edge.to.as_ref().and_then(|to| states.find(to, errors));
        let mut set = |option: &str| {
            let tokens = options.tokens(option).unwrap_or_default();
            artefacts.set(option, tokens, states, errors)
        };
        let (persists, loads) = (set("persist"), set("load"));
        let after = after::read(&options, errors);
        known.push(Transition {
            ident: ident.clone(),
            constant,
            ty: unique(name::pascal(ident), &mut types),
            docs: written.edge.docs.clone(),
            stored: names.of(ident, &options),
            from: from(written, states, errors),
            from_any: matches!(written.edge.from, From::Any),
            from_tokens: written.edge.from.idents().to_vec(),
            // any state, so that the constant is there for those who use it
            to: to.unwrap_or(0),
            persists,
            loads,
            after,
        });
    }
    after::check(&known, states, errors);
    (known, names.finish())
}

fn twice(ident: &Ident, other: &Ident, constant: &Ident) -> String {
    if ident == other {
        return format!("the transition `{ident}` is declared twice: remove one");
    }
    format!("`{ident}` and `{other}` would both be the constant `{constant}`: choose another name")
}

/// `fetch_1` and `fetch1` would both be the type `Fetch1`.
fn unique(ty: Ident, types: &mut BTreeSet<Ident>) -> Ident {
    let mut ty = ty;
    while !types.insert(ty.clone()) {
        ty = Ident::new(&format!("{ty}_"), ty.span());
    }
    ty
}

fn from(written: &Written, states: &States, errors: &mut Errors) -> Vec<usize> {
    match &written.edge.from {
        From::Any => {
            let all = states.all().iter().enumerate();
            all.filter(|(_, state)| !state.is_completed).map(|(state, _)| state).collect()
        }
        From::States(idents) => {
            let mut from = Vec::new();
            for ident in idents {
                let Some(state) = states.find(ident, errors) else { continue };
                if from.contains(&state) {
                    errors.at(ident, format_args!("`{ident}` stands here twice: remove one"));
                } else {
                    from.push(state);
                }
            }
            from
        }
    }
}
