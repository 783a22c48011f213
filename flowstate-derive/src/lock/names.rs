//! Names: what rows may hold has a meaning, and what is written is read by the programs beside.

use std::collections::BTreeSet;

use proc_macro2::Ident;

use super::format::{Gone, Kind, Lock};
use super::named;
use crate::errors::Errors;
use crate::model::Model;
use crate::model::stored::Stored;
use crate::name;

/// Something that has a stored name, and its name in the code.
type Item<'a> = (&'a Ident, &'a Stored);

/// Reports the names of the lock that are gone, at the token that asks for it.
pub(super) fn check(model: &Model, lock: &Lock, at: (&Ident, &str), errors: &mut Errors) {
    let names = Names { lock, token: at.0, path: at.1 };
    names.of_the_flow(model, errors);
    let before = errors.count();
    let states: Vec<_> = model.states.iter().map(|state| (&state.ident, &state.stored)).collect();
    let stored: BTreeSet<_> = lock.states.keys().collect();
    names.kept(Kind::State, &stored, &states, errors);
    let artefacts: Vec<_> =
        model.artefacts.iter().map(|artefact| (&artefact.ident, &artefact.stored)).collect();
    let stored: BTreeSet<_> = lock.artefacts.keys().collect();
    names.kept(Kind::Artefact, &stored, &artefacts, errors);
    names.read_on(Kind::State, &states, errors);
    names.read_on(Kind::Artefact, &artefacts, errors);
    // the names of a step's transitions are made of those of states
    if errors.count() == before {
        names.transitions(model, errors);
    }
}

struct Names<'a> {
    lock: &'a Lock,
    token: &'a Ident,
    path: &'a str,
}

impl Names<'_> {
    fn of_the_flow(&self, model: &Model, errors: &mut Errors) {
        let (flow, path) = (&self.lock.flow, self.path);
        let items = [(&model.ident, &model.names.stored)];
        if !flow.is_empty() && named(std::iter::once(&model.names.stored), flow).is_none() {
            let stored = &model.names.stored.name;
            let message = format!(
                "`{path}` is of the flow `{flow}`, and this one is stored as `{stored}`: give it \
                 back its name with `#[flow(name = \"{flow}\")]`, or another file with `lock = \"…\"`"
            );
            errors.at(self.token, message);
        } else if !flow.is_empty() {
            self.kept(Kind::Itself, &BTreeSet::from([flow]), &items, errors);
            self.read_on(Kind::Itself, &items, errors);
        }
    }

    /// Holds the names of the flow, of states or artefacts that rows have against those that are read and written.
    fn kept(
        &self,
        kind: Kind,
        stored: &BTreeSet<&String>,
        items: &[Item<'_>],
        errors: &mut Errors,
    ) {
        for &name in stored {
            let found = named(items.iter().map(|(_, stored)| *stored), name);
            let message = match found.map(|at| items[at]) {
                None => self.gone(kind, name, stored, items),
                Some((_, now)) if now.name == *name || self.is_read(kind, stored, &now.name) => {
                    continue;
                }
                Some((ident, now)) => self.at_once(kind, name, ident, now),
            };
            errors.at(self.token, message);
        }
    }

    /// Whether the programs of the lock read this name.
    fn is_read(&self, kind: Kind, stored: &BTreeSet<&String>, name: &String) -> bool {
        let is_alias = |gone: &Gone| gone.kind == kind && gone.name == *name;
        stored.contains(name) || self.lock.gone.iter().any(is_alias)
    }

    fn gone(
        &self,
        kind: Kind,
        name: &str,
        stored: &BTreeSet<&String>,
        items: &[Item<'_>],
    ) -> String {
        let path = self.path;
        let new = items.iter().filter(|(_, item)| !self.is_read(kind, stored, &item.name));
        let renamed = match new.collect::<Vec<_>>().as_slice() {
            [(ident, now)] => written(kind, ident, name, &now.name),
            _ => format!("rename = \"{name}\""),
        };
        let (records, none) = match kind {
            Kind::State => ("records may stand in it", "no record stands in it"),
            _ => ("records may have it", "no record has it"),
        };
        format!(
            "the {kind} `{name}` of `{path}` is gone, and {records}: if it was renamed, write \
             `{renamed}`; if not, remove its line once {none}"
        )
    }

    fn at_once(&self, kind: Kind, name: &str, ident: &Ident, now: &Stored) -> String {
        let line = Gone { kind, name: now.name.clone(), now: name.to_owned() };
        format!(
            "the {kind} `{name}` would be written as `{}` from now on, which a program that runs \
             beside this one does not read: write `{}` and let that be all that runs, then rename; \
             or add the line `{line}` to `{}` if nothing runs beside it",
            now.name,
            written(kind, ident, name, &now.name),
            self.path
        )
    }

    /// Holds the former names in rows against those that are read.
    fn read_on(&self, kind: Kind, items: &[Item<'_>], errors: &mut Errors) {
        let find = |name: &str| named(items.iter().map(|(_, stored)| *stored), name);
        for gone in self.lock.gone.iter().filter(|gone| gone.kind == kind) {
            if let (None, Some(now)) = (find(&gone.name), find(&gone.now)) {
                let message = self.unread(gone, items[now].0);
                errors.at(self.token, message);
            }
        }
    }

    fn unread(&self, gone: &Gone, ident: &Ident) -> String {
        let (name, path) = (&gone.name, self.path);
        let place = if gone.kind == Kind::Itself { "in `#[flow(…)]`" } else { "there" };
        format!(
            "rows may still hold the name `{name}` for `{ident}`: write `alias = \"{name}\"` \
             {place}, or remove the line `{gone}` of `{path}` once no row holds it"
        )
    }

    fn transitions(&self, model: &Model, errors: &mut Errors) {
        let stored = || model.transitions.iter().map(|transition| &transition.stored);
        let names: BTreeSet<_> = self.lock.transitions.iter().map(|edge| &edge.name).collect();
        let gone: Vec<_> = names.iter().filter(|name| named(stored(), name).is_none()).collect();
        let starts = |name: &str| name.strip_prefix("start_").map(ToOwned::to_owned);
        let steps: Vec<_> = gone.iter().filter_map(|name| starts(name)).collect();
        let of_step = |name: &str| {
            steps.iter().find(|step| {
                let ends = ["start_", "finish_", "fail_", "give_up_"].iter();
                ends.filter_map(|verb| name.strip_prefix(verb)).any(|rest| rest.starts_with(*step))
            })
        };
        for step in &steps {
            errors.at(self.token, self.gone_step(step));
        }
        for name in gone.iter().filter(|name| of_step(name).is_none()) {
            errors.at(self.token, self.gone_transition(name));
        }
        if !gone.is_empty() {
            return;
        }
        for gone in self.lock.gone.iter().filter(|gone| gone.kind == Kind::Transition) {
            if let (None, Some(now)) = (named(stored(), &gone.name), named(stored(), &gone.now)) {
                let message = self.unread(gone, &model.transitions[now].ident);
                errors.at(self.token, message);
            }
        }
    }

    fn gone_step(&self, step: &str) -> String {
        format!(
            "the transitions of the step `{step}`, such as `start_{step}`, are gone from `{}`'s \
             flow: if it was renamed, write `alias = \"{step}\"` at the step that it is now; if not, \
             remove their lines once no program runs any more that takes them",
            self.path
        )
    }

    fn gone_transition(&self, name: &str) -> String {
        format!(
            "the transition `{name}` of `{}` is gone: if it was renamed, write `alias = \"{name}\"` \
             at the transition that it is now; if not, remove its line once no program runs any more \
             that takes it",
            self.path
        )
    }
}

/// The declaration that writes the former name and reads the new one.
fn written(kind: Kind, ident: &Ident, before: &str, now: &str) -> String {
    let options = format!("rename = \"{before}\", alias = \"{now}\"");
    let ident = name::plain(ident);
    match kind {
        Kind::State => format!("{ident}({options})"),
        Kind::Itself => format!("#[flow(name = \"{before}\", alias = \"{now}\")]"),
        _ => options,
    }
}
