//! States: declared once, one of them initial, some completed.

use std::collections::BTreeMap;

use proc_macro2::Ident;
use syn::Attribute;

use super::stored::{Stored, StoredNames};
use crate::attr::Attributes;
use crate::attr::named::Named;
use crate::attr::option::{ALIAS, Form, Key, Options, RENAME};
use crate::errors::Errors;
use crate::name;

const OPTIONS: &[Key] = &[Key { name: "error", form: Form::Flag, usage: "error" }, RENAME, ALIAS];
const COMPLETED_OPTIONS: &[Key] = &[Key { name: "destroy", form: Form::Flag, usage: "destroy" }];

/// A state as meant.
pub(crate) struct State {
    pub(crate) ident: Ident,
    pub(crate) docs: Vec<Attribute>,
    pub(crate) stored: Stored,
    pub(crate) is_error: bool,
    pub(crate) is_completed: bool,
    pub(crate) destroys: bool,
}

/// The states of a flow, in order. Never empty: a placeholder stands for what is missing.
pub(crate) struct States {
    list: Vec<State>,
    positions: BTreeMap<String, usize>,
    /// Whether an unknown name is a mistake, rather than the echo of one.
    complete: bool,
}

impl States {
    /// What the attributes declare, and the mistakes in stored names.
    pub(crate) fn new(
        attributes: &Attributes,
        flow: &Ident,
        errors: &mut Errors,
    ) -> (Self, Errors) {
        let mut states = Self {
            list: Vec::new(),
            positions: BTreeMap::new(),
            complete: !attributes.misread("state"),
        };
        let mut names = StoredNames::default();
        for named in &attributes.states {
            states.declare(named, &mut names, errors);
        }
        if states.list.is_empty() {
            if states.complete {
                errors.at(flow, "a flow has states: declare them with `#[state(A, B, …)]`");
            }
            states.list.push(State::placeholder(flow));
            states.complete = false;
        }
        (states, names.finish())
    }

    fn declare(&mut self, written: &Named, names: &mut StoredNames, errors: &mut Errors) {
        let ident = &written.ident;
        if let Some(message) = option_as_state(ident) {
            return errors.at(ident, message);
        }
        if self.position(ident).is_some() {
            return errors
                .at(ident, format_args!("the state `{ident}` is declared twice: remove one"));
        }
        let options = Options::check(written.options.clone(), "a state", OPTIONS, errors);
        self.positions.insert(name::plain(ident), self.list.len());
        self.list.push(State {
            ident: ident.clone(),
            docs: written.docs.clone(),
            stored: names.of(ident, &options),
            is_error: options.given("error").is_some(),
            is_completed: false,
            destroys: false,
        });
    }

    /// The state of this name, if it is declared.
    pub(crate) fn find(&self, ident: &Ident, errors: &mut Errors) -> Option<usize> {
        let found = self.position(ident);
        if found.is_none() && self.complete {
            errors.at(ident, self.unknown(ident));
        }
        found
    }

    fn unknown(&self, ident: &Ident) -> String {
        if let Some(message) = option_as_state(ident) {
            return message;
        }
        match self.nearest(ident).map(|near| &self.list[near].ident) {
            Some(near) => format!("there is no state `{ident}`: did you mean `{near}`?"),
            None => format!("there is no state `{ident}`: declare it with `#[state({ident})]`"),
        }
    }

    /// The state that was probably meant, or any: what the expansion goes on with after a mistake.
    pub(crate) fn guess(&self, ident: &Ident) -> usize {
        self.nearest(ident).unwrap_or(0)
    }

    fn nearest(&self, ident: &Ident) -> Option<usize> {
        name::nearest(&name::plain(ident), self.list.iter().map(|state| name::plain(&state.ident)))
    }

    fn position(&self, ident: &Ident) -> Option<usize> {
        self.positions.get(&name::plain(ident)).copied()
    }

    /// Reads `#[initial(…)]`.
    pub(crate) fn initial(
        &self,
        attributes: &Attributes,
        flow: &Ident,
        errors: &mut Errors,
    ) -> Option<usize> {
        let mut named = attributes.initial.iter();
        let Some(first) = named.next() else {
            if !attributes.misread("initial") && self.complete {
                let state = &self.list[0].ident;
                let message = format!(
                    "a flow has an initial state, in which it is created: add `#[initial({state})]`"
                );
                errors.at(flow, message);
            }
            return None;
        };
        Options::check(first.options.clone(), "the initial state", &[], errors);
        for second in named {
            let message = format!(
                "a flow has one initial state, and it is `{}`: remove this one",
                first.ident
            );
            errors.at(&second.ident, message);
        }
        self.find(&first.ident, errors)
    }

    /// Reads `#[completed(…)]`.
    pub(crate) fn complete(&mut self, attributes: &Attributes, flow: &Ident, errors: &mut Errors) {
        let none = attributes.completed.is_empty() && !attributes.misread("completed");
        if none && self.complete {
            let state = self.list.last().map_or(flow, |state| &state.ident);
            let message = format!(
                "a flow has a completed state, in which it ends: add `#[completed({state})]`"
            );
            errors.at(flow, message);
        }
        for named in &attributes.completed {
            let options = named.options.clone();
            let options = Options::check(options, "a completed state", COMPLETED_OPTIONS, errors);
            let Some(state) = self.find(&named.ident, errors) else { continue };
            let state = &mut self.list[state];
            if state.is_completed {
                let ident = &named.ident;
                errors.at(ident, format_args!("`{ident}` is completed already: remove one"));
            }
            state.is_completed = true;
            state.destroys |= options.given("destroy").is_some();
        }
    }

    pub(crate) fn all(&self) -> &[State] {
        &self.list
    }

    pub(crate) fn into_list(self) -> Vec<State> {
        self.list
    }
}

/// An option that stands beside a state instead of in parentheses after it.
fn option_as_state(ident: &Ident) -> Option<String> {
    let usage = match ident.to_string().as_str() {
        "error" => "#[state(Name(error))]",
        "destroy" => "#[completed(Name(destroy))]",
        _ => return None,
    };
    Some(format!("`{ident}` is an option, in parentheses after a state: `{usage}`"))
}

impl State {
    fn placeholder(flow: &Ident) -> Self {
        Self {
            ident: Ident::new("Undeclared", name::generated(flow)),
            docs: Vec::new(),
            stored: Stored { name: "undeclared".to_owned(), aliases: Vec::new() },
            is_error: false,
            is_completed: false,
            destroys: false,
        }
    }
}
