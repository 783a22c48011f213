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
    groups: Vec<Group>,
    /// Whether a name may be that of a group which could not be read.
    lacks_groups: bool,
}

/// A named set of states.
pub(crate) struct Group {
    pub(crate) ident: Ident,
    pub(crate) docs: Vec<Attribute>,
    pub(crate) states: Vec<usize>,
    /// Whether it has a constant; after a mistake something else may have it.
    pub(crate) is_constant: bool,
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
            groups: Vec::new(),
            lacks_groups: attributes.misread("group"),
        };
        let mut names = StoredNames::default();
        for named in &attributes.states {
            states.declare(named, &mut names, errors);
        }
        if states.list.is_empty() && states.complete {
            errors.gap(flow, "a flow has states: declare them with `#[state(A, B, …)]`");
            states.complete = false;
        }
        if !states.complete {
            attributes.mentioned_states().for_each(|ident| states.adopt(ident));
        }
        if states.list.is_empty() {
            states.list.push(State::placeholder(flow));
        }
        states.group(attributes, errors);
        (states, names.finish())
    }

    /// Reads `#[group(…)]`.
    fn group(&mut self, attributes: &Attributes, errors: &mut Errors) {
        for written in &attributes.groups {
            let ident = &written.ident;
            if self.position(ident).is_some() {
                let message = format!("`{ident}` is a state: choose another name for the group");
                errors.gap(ident, message);
                continue;
            }
            if self.group_of(ident).is_some() {
                let message = format!("the group `{ident}` is declared twice: remove one");
                errors.gap(ident, message);
                continue;
            }
            let states = self.sources(&written.states, errors);
            let (ident, docs) = (ident.clone(), written.docs.clone());
            self.groups.push(Group { ident, docs, states, is_constant: true });
        }
    }

    /// Whether this name is that of a group with the state in it.
    pub(crate) fn is_in_group(&self, state: usize, ident: &Ident) -> bool {
        self.group_of(ident).is_some_and(|group| group.states.contains(&state))
    }

    fn group_of(&self, ident: &Ident) -> Option<&Group> {
        self.groups.iter().find(|group| name::plain(&group.ident) == name::plain(ident))
    }

    /// The states that names of states and groups stand for, each once.
    pub(crate) fn sources(&self, idents: &[Ident], errors: &mut Errors) -> Vec<usize> {
        let mut sources = Vec::new();
        let mut groups: Vec<&Group> = Vec::new();
        for ident in idents {
            if let Some(group) = self.group_of(ident) {
                if groups.iter().any(|other| other.ident == group.ident) {
                    errors.at(ident, format_args!("`{ident}` stands here twice: remove one"));
                }
                groups.push(group);
                // groups may share states
                sources.extend(
                    group
                        .states
                        .iter()
                        .copied()
                        .filter(|state| !sources.contains(state))
                        .collect::<Vec<_>>(),
                );
                continue;
            }
            let Some(state) = self.find(ident, errors) else { continue };
            if !sources.contains(&state) {
                sources.push(state);
                continue;
            }
            match groups.iter().find(|group| group.states.contains(&state)) {
                Some(group) => {
                    let group = &group.ident;
                    errors.at(
                        ident,
                        format_args!("`{ident}` is in the group `{group}`: remove it here"),
                    );
                }
                None => errors.at(ident, format_args!("`{ident}` stands here twice: remove one")),
            }
        }
        sources
    }

    fn declare(&mut self, written: &Named, names: &mut StoredNames, errors: &mut Errors) {
        let ident = &written.ident;
        if let Some(message) = option_as_state(ident) {
            errors.at(ident, message);
            return self.declare_beside(written, errors);
        }
        if self.position(ident).is_some() {
            return errors
                .gap(ident, format_args!("the state `{ident}` is declared twice: remove one"));
        }
        if ident == "ALL" {
            let message = "`ALL` is the list of all states: choose another name";
            errors.at(ident, message);
        }
        let options = Options::check(written.options.clone(), "a state", OPTIONS, errors);
        self.push(State {
            docs: written.docs.clone(),
            stored: names.of(ident, &options),
            is_error: options.given("error").is_some(),
            ..State::named(ident)
        });
    }

    /// The states that `error(A)` or `A, error` may mean.
    fn declare_beside(&mut self, option: &Named, errors: &mut Errors) {
        let is_error = option.ident == "error";
        for inner in &option.options {
            self.adopt(&inner.key);
            if let Some(state) = self.position(&inner.key) {
                self.list[state].is_error |= is_error;
            }
        }
        match self.list.last_mut() {
            Some(before) if is_error => before.is_error |= option.options.is_empty(),
            _ => errors.lose(),
        }
    }

    fn push(&mut self, state: State) {
        self.positions.insert(name::plain(&state.ident), self.list.len());
        self.list.push(state);
    }

    /// Takes a name for that of a state that was lost.
    fn adopt(&mut self, ident: &Ident) {
        if self.position(ident).is_none() && option_as_state(ident).is_none() {
            self.push(State::named(ident));
        }
    }

    /// The state of this name, or else the one that was probably meant.
    pub(crate) fn find(&self, ident: &Ident, errors: &mut Errors) -> Option<usize> {
        let found = self.position(ident);
        if found.is_some() || !self.complete {
            return found;
        }
        if self.lacks_groups {
            errors.lose();
            return None;
        }
        errors.at(ident, self.unknown(ident));
        let is_no_state = option_as_state(ident).is_some() || self.group_of(ident).is_some();
        let near = if is_no_state { None } else { self.nearest(ident) };
        if near.is_none() {
            errors.lose();
        }
        near
    }

    fn unknown(&self, ident: &Ident) -> String {
        if let Some(message) = option_as_state(ident) {
            return message;
        }
        if self.group_of(ident).is_some() {
            return format!(
                "`{ident}` is a group, which stands where transitions and steps start: name one state"
            );
        }
        let near_group = name::nearest(
            &name::plain(ident),
            self.groups.iter().map(|group| name::plain(&group.ident)),
        );
        if let (None, Some(near)) = (self.nearest(ident), near_group) {
            let near = &self.groups[near].ident;
            return format!("there is no state or group `{ident}`: did you mean `{near}`?");
        }
        match self.nearest(ident).map(|near| &self.list[near].ident) {
            Some(near) => format!("there is no state `{ident}`: did you mean `{near}`?"),
            None => format!("there is no state `{ident}`: declare it with `#[state({ident})]`"),
        }
    }

    fn nearest(&self, ident: &Ident) -> Option<usize> {
        name::nearest(&name::plain(ident), self.list.iter().map(|state| name::plain(&state.ident)))
    }

    pub(crate) fn position(&self, ident: &Ident) -> Option<usize> {
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
                errors.gap(flow, message);
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
            errors.gap(flow, message);
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

    pub(crate) fn groups(&mut self) -> &mut [Group] {
        &mut self.groups
    }

    pub(crate) fn all(&self) -> &[State] {
        &self.list
    }

    pub(crate) fn into_lists(self) -> (Vec<State>, Vec<Group>) {
        (self.list, self.groups)
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
        Self::named(&Ident::new("Undeclared", name::generated(flow)))
    }

    fn named(ident: &Ident) -> Self {
        let name = name::snake(&name::plain(ident));
        Self {
            ident: ident.clone(),
            docs: Vec::new(),
            stored: Stored { name, aliases: Vec::new() },
            is_error: false,
            is_completed: false,
            destroys: false,
        }
    }
}
