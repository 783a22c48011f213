//! Artefacts: each declared once, referred to by the last name of its type.

use std::collections::BTreeMap;

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::punctuated::Punctuated;
use syn::{Attribute, Fields, Meta, Path, Token, Visibility};

use super::state::States;
use super::stored::{Stored, StoredNames};
use super::version::{UPGRADE, VERSION, Version};
use crate::attr::Attributes;
use crate::attr::named::Named;
use crate::attr::option::{ALIAS, Form, Key, Options, RENAME};
use crate::attr::persist::{Artefact as Written, Payload, Persist};
use crate::errors::Errors;
use crate::name;

const OPTIONS: &[Key] =
    &[RENAME, ALIAS, VERSION, UPGRADE, Key { name: "secret", form: Form::Flag, usage: "secret" }];

/// How many artefacts a tuple of the core crate holds.
const MAX_SET: usize = 8;

/// An artefact as meant.
pub(crate) struct Artefact {
    pub(crate) ident: Ident,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) stored: Stored,
    /// Whether tools never show it.
    pub(crate) is_secret: bool,
    pub(crate) version: Version,
    pub(crate) ty: Type,
}

/// Where the type of an artefact comes from.
pub(crate) enum Type {
    Generated { vis: Visibility, fields: Fields },
    Existing(Path),
}

impl Type {
    pub(crate) fn is_generated(&self) -> bool {
        matches!(self, Self::Generated { .. })
    }
}

impl Artefact {
    /// The doc comments.
    pub(crate) fn docs(&self) -> impl Iterator<Item = &Attribute> {
        self.attributes.iter().filter(|attribute| attribute.path().is_ident("doc"))
    }

    /// The type in generated code.
    pub(crate) fn path(&self) -> TokenStream {
        match &self.ty {
            Type::Generated { .. } => self.ident.to_token_stream(),
            Type::Existing(path) => path.to_token_stream(),
        }
    }
}

/// The artefacts of a flow, in order.
pub(crate) struct Artefacts {
    list: Vec<Artefact>,
    positions: BTreeMap<String, usize>,
    /// Whether an unknown name is a mistake, rather than the echo of one.
    complete: bool,
}

impl Artefacts {
    /// What the attributes declare, and the mistakes in stored names.
    pub(crate) fn new(attributes: &Attributes, errors: &mut Errors) -> (Self, Errors) {
        let mut artefacts = Self {
            list: Vec::new(),
            positions: BTreeMap::new(),
            complete: !attributes.misread("persist"),
        };
        let mut names = StoredNames::default();
        for persist in &attributes.artefacts {
            artefacts.declare(persist, &mut names, errors);
        }
        (artefacts, names.finish())
    }

    fn declare(&mut self, persist: &Persist, names: &mut StoredNames, errors: &mut Errors) {
        let options = Options::check(persist.options.clone(), "an artefact", OPTIONS, errors);
        if let (Some(option), [_, _, ..]) = (persist.options.first(), &*persist.artefacts) {
            let message = "this option could mean any of these artefacts: give each its own \
                           `#[persist(…)]`";
            errors.at(option, message);
        }
        let options = if persist.artefacts.len() == 1 { options } else { Options::default() };
        for written in &persist.artefacts {
            let Some(ident) = written.ident().cloned() else { continue };
            if self.position(&ident).is_some() {
                let message = format!("the artefact `{ident}` is declared twice: remove one");
                errors.at(&ident, message);
                continue;
            }
            let stored = names.of(&ident, &options);
            let is_secret = options.given("secret").is_some();
            let version = Version::new(&ident, &options, errors);
            let ty = ty(written);
            self.positions.insert(name::plain(&ident), self.list.len());
            let attributes = attributes(written, &ty, errors);
            self.list.push(Artefact { ident, attributes, stored, is_secret, version, ty });
        }
    }

    /// Refuses structs with the name of another generated item.
    pub(crate) fn spare(&mut self, flow: &Ident, taken: &[Ident], errors: &mut Errors) {
        for Artefact { ident, ty, .. } in &mut self.list {
            let is_taken = ident == flow || taken.contains(ident);
            if is_taken && ty.is_generated() {
                let message = format!(
                    "the flow already has an item named `{ident}`: choose another name, or rename \
                     that item with `#[flow(record = …, state = …)]`"
                );
                errors.at(&*ident, message);
                // one struct of that name is enough
                *ty = Type::Existing(flow.clone().into());
            }
        }
    }

    /// The artefacts that a transition names in `persist(…)` or `load(…)`.
    pub(crate) fn set(
        &self,
        option: &str,
        tokens: TokenStream,
        states: &States,
        errors: &mut Errors,
    ) -> Vec<(usize, Ident)> {
        let mut set: Vec<(usize, Ident)> = Vec::new();
        for named in Named::list(tokens, "an artefact", errors) {
            Options::check(named.options, "an artefact named here", &[], errors);
            let ident = named.ident;
            if self.position(&ident).is_none() && states.position(&ident).is_some() {
                let message = format!("`{ident}` is a state: `{option}(…)` takes artefacts");
                errors.gap(&ident, message);
                continue;
            }
            let Some(artefact) = self.find(&ident, errors) else { continue };
            if set.iter().any(|(other, _)| *other == artefact) {
                let message = format!("`{ident}` is already in this `{option}(…)`: remove one");
                errors.at(&ident, message);
                continue;
            }
            set.push((artefact, ident));
        }
        if let Some((_, ident)) = set.get(MAX_SET) {
            let message = format!(
                "a transition takes up to {MAX_SET} artefacts: gather some in one with fields, \
                 `#[persist(Name {{ … }})]`"
            );
            errors.gap(ident, message);
            set.truncate(MAX_SET);
        }
        set
    }

    /// The artefacts in `load(…)`, and which of them may be missing: `load(optional Artefact)`.
    pub(crate) fn loads(
        &self,
        tokens: TokenStream,
        states: &States,
        errors: &mut Errors,
    ) -> (Vec<(usize, Ident)>, Vec<usize>) {
        let (tokens, optional) = without_optional(tokens);
        let set = self.set("load", tokens, states, errors);
        let is_optional = |(_, ident): &&(usize, Ident)| optional.contains(ident);
        let optional = set.iter().filter(is_optional).map(|(artefact, _)| *artefact).collect();
        (set, optional)
    }

    /// The artefact of this name, or else the one that was probably meant.
    fn find(&self, ident: &Ident, errors: &mut Errors) -> Option<usize> {
        let found = self.position(ident);
        if found.is_some() || !self.complete {
            return found;
        }
        let known = self.list.iter().map(|artefact| name::plain(&artefact.ident));
        let near = name::nearest(&name::plain(ident), known);
        let message = match near.map(|near| &self.list[near].ident) {
            Some(near) => format!("there is no artefact `{ident}`: did you mean `{near}`?"),
            None => format!(
                "there is no artefact `{ident}`: declare it with `#[persist({ident}(Type))]`"
            ),
        };
        errors.at(ident, message);
        if near.is_none() {
            errors.lose();
        }
        near
    }

    fn position(&self, ident: &Ident) -> Option<usize> {
        self.positions.get(&name::plain(ident)).copied()
    }

    pub(crate) fn into_list(self) -> Vec<Artefact> {
        self.list
    }
}

/// Takes out the word `optional` before a name, and gives those names.
fn without_optional(tokens: TokenStream) -> (TokenStream, Vec<Ident>) {
    let mut optional = Vec::new();
    let mut tokens = tokens.into_iter().peekable();
    let mut rest = Vec::new();
    while let Some(token) = tokens.next() {
        match (&token, tokens.peek()) {
            (TokenTree::Ident(word), Some(TokenTree::Ident(name))) if word == "optional" => {
                optional.push(name.clone());
            }
            _ => rest.push(token),
        }
    }
    (rest.into_iter().collect(), optional)
}

fn ty(written: &Written) -> Type {
    match &written.payload {
        Payload::Generated { vis, fields, .. } => {
            Type::Generated { vis: vis.clone(), fields: fields.clone() }
        }
        Payload::Existing(path) => Type::Existing(path.clone()),
    }
}

/// The attributes that go onto the type.
fn attributes(written: &Written, ty: &Type, errors: &mut Errors) -> Vec<Attribute> {
    let mut attributes = written.attributes.clone();
    for attribute in &mut attributes {
        if !ty.is_generated() && !attribute.path().is_ident("doc") {
            let path = attribute.path().to_token_stream();
            let message = format!("this type exists already: put `#[{path}…]` on the type itself");
            errors.at(attribute, message);
        } else if attribute.path().is_ident("derive") {
            without_serde(attribute, errors);
        }
    }
    attributes
}

/// Takes serde's traits out of a `#[derive(…)]`: they are there already.
fn without_serde(derive: &mut Attribute, errors: &mut Errors) {
    let Meta::List(list) = &mut derive.meta else { return };
    let paths = Punctuated::<Path, Token![,]>::parse_terminated;
    let Ok(paths) = list.parse_args_with(paths) else { return };
    let (serde, others): (Vec<_>, Vec<_>) = paths.into_iter().partition(|path| {
        let name = path.segments.last().map(|last| last.ident.to_string());
        matches!(name.as_deref(), Some("Serialize" | "Deserialize"))
    });
    if let Some(first) = serde.first() {
        let message =
            "the derive gives an artefact `Serialize` and `Deserialize`: remove them here";
        errors.at(first, message);
        list.tokens = quote!(#(#others),*);
    }
}
