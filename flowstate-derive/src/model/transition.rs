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
    Key { name: "within", form: Form::Flag, usage: "within" },
    Key { name: "operator", form: Form::Flag, usage: "operator" },
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
    /// What is written after `=>`.
    pub(crate) to_token: Option<Ident>,
    pub(crate) persists: Vec<(usize, Ident)>,
    pub(crate) loads: Vec<(usize, Ident)>,
    /// Those of them that may be missing.
    pub(crate) optional: Vec<usize>,
    /// Taken by itself after so long.
    pub(crate) after: Option<After>,
    /// Where it says that a handler runs when it is taken by itself.
    pub(crate) within: Option<Ident>,
    /// Where it says that an operator may take it.
    pub(crate) operator: Option<Ident>,
    /// The step that brings it, if one does.
    pub(crate) of_step: Option<Ident>,
}

/// What a transition goes from, leads to and takes along, by position.
#[derive(Default)]
pub(crate) struct Course {
    pub(crate) from: Vec<usize>,
    pub(crate) from_tokens: Vec<Ident>,
    pub(crate) to: usize,
    pub(crate) persists: Vec<(usize, Ident)>,
    pub(crate) loads: Vec<(usize, Ident)>,
    /// Those of them that may be missing.
    pub(crate) optional: Vec<usize>,
}

/// The transitions of a flow while they are read.
#[derive(Default)]
pub(crate) struct Transitions {
    pub(crate) list: Vec<Transition>,
    constants: BTreeMap<Ident, Ident>,
    types: BTreeSet<Ident>,
    names: StoredNames,
}

impl Transitions {
    /// Reads every `#[transition(…)]`.
    pub(crate) fn new(
        attributes: &Attributes,
        states: &States,
        artefacts: &Artefacts,
        errors: &mut Errors,
    ) -> Self {
        let mut transitions = Self::default();
        for written in &attributes.transitions {
            transitions.read(written, states, artefacts, errors);
        }
        transitions
    }

    fn read(
        &mut self,
        written: &Written,
        states: &States,
        artefacts: &Artefacts,
        errors: &mut Errors,
    ) {
        let ident = &written.edge.ident;
        let Some(constant) = self.constant(ident, ident, errors) else { return };
        let options = Options::check(written.options.clone(), "a transition", OPTIONS, errors);
        let to = written.edge.to.as_ref().and_then(|to| states.find(to, errors));
        let tokens = |option: &str| options.tokens(option).unwrap_or_default();
        let persists = artefacts.set("persist", tokens("persist"), states, errors);
        let (loads, optional) = artefacts.loads(tokens("load"), states, errors);
        let after = after::read(&options, errors);
        let operator = options.given("operator").map(|option| option.key.clone());
        if let (Some(operator), [_, ..]) = (&operator, &*[&*persists, &*loads].concat()) {
            let message = format!(
                "an operator has no artefacts to hand over or to receive: remove `operator`, or \
                 `persist` and `load` of `{ident}`"
            );
            errors.at(operator, message);
        }
        let ty = self.ty(ident);
        self.list.push(Transition {
            ident: ident.clone(),
            constant,
            ty,
            docs: written.edge.docs.clone(),
            stored: self.names.of(ident, &options),
            from: from(&written.edge.from, states, errors),
            from_any: matches!(written.edge.from, From::Any(_)),
            from_tokens: written.edge.from.idents().to_vec(),
            // any state, so that the constant is there for those who use it
            to: to.unwrap_or(0),
            to_token: written.edge.to.clone(),
            persists,
            loads,
            optional,
            after,
            within: options.given("within").map(|option| option.key.clone()),
            operator,
            of_step: None,
        });
    }

    /// Adds a transition that the step of this name brings. Returns its position.
    pub(crate) fn of_step(
        &mut self,
        (step, ident): (&Ident, Ident),
        stored: impl FnOnce(&mut StoredNames, &Ident) -> Stored,
        course: Course,
        errors: &mut Errors,
    ) -> usize {
        let (constant, stored) = match self.constant(&ident, step, errors) {
            Some(constant) => (constant, stored(&mut self.names, &ident)),
            None => (self.free(&ident), Stored::default()),
        };
        let ty = self.ty(&ident);
        let Course { from, from_tokens, to, persists, loads, optional } = course;
        self.list.push(Transition {
            stored,
            ident,
            constant,
            ty,
            docs: Vec::new(),
            from,
            from_any: false,
            from_tokens,
            to,
            to_token: None,
            persists,
            loads,
            optional,
            after: None,
            within: None,
            operator: None,
            of_step: Some(step.clone()),
        });
        self.list.len() - 1
    }

    /// The constant of this name, or the mistake at it if there is one already.
    pub(crate) fn constant(
        &mut self,
        ident: &Ident,
        token: &Ident,
        errors: &mut Errors,
    ) -> Option<Ident> {
        let constant = name::constant(ident);
        if let Some(other) = self.constants.get(&constant) {
            let message = if token == ident {
                twice(ident, other, &constant)
            } else {
                format!(
                    "the step `{token}` brings a transition `{ident}` of its own: give the other \
                     one another name"
                )
            };
            errors.gap(token, message);
            return None;
        }
        self.constants.insert(constant.clone(), ident.clone());
        Some(constant)
    }

    /// Refuses groups whose constant is something else already.
    pub(crate) fn spare_groups(&mut self, states: &mut States, errors: &mut Errors) {
        for group in states.groups() {
            let constant = name::constant(&group.ident);
            group.is_constant = !self.constants.contains_key(&constant);
            if group.is_constant {
                self.constants.insert(constant, group.ident.clone());
            } else {
                let message = format!(
                    "`{constant}` is the constant of something else: choose another name for the \
                     group"
                );
                errors.at(&group.ident, message);
            }
        }
    }

    /// The constant of a step's value, or the mistake.
    pub(crate) fn value(&mut self, step: &Ident, errors: &mut Errors) -> Ident {
        let constant = name::constant(step);
        let Some(other) = self.constants.get(&constant) else {
            self.constants.insert(constant.clone(), step.clone());
            return constant;
        };
        let message = format!(
            "the step `{step}` and the transition `{other}` would both be the constant `{constant}`: \
             choose another name"
        );
        errors.gap(step, message);
        self.free(step)
    }

    /// A constant that nothing else is, after a mistake in the name of this one.
    fn free(&mut self, ident: &Ident) -> Ident {
        let mut constant = name::constant(ident);
        while self.constants.contains_key(&constant) {
            constant = Ident::new(&format!("{constant}_"), constant.span());
        }
        self.constants.insert(constant.clone(), ident.clone());
        constant
    }

    fn ty(&mut self, ident: &Ident) -> Ident {
        unique(name::pascal(ident), &mut self.types)
    }

    /// The transitions, and the mistakes in their stored names.
    pub(crate) fn finish(self) -> (Vec<Transition>, Errors) {
        (self.list, self.names.finish())
    }
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

/// The states from which a transition starts.
fn from(written: &From, states: &States, errors: &mut Errors) -> Vec<usize> {
    match written {
        From::Any(_) => {
            let all = states.all().iter().enumerate();
            all.filter(|(_, state)| !state.is_completed).map(|(state, _)| state).collect()
        }
        From::States(idents) => states.sources(idents, errors),
    }
}
