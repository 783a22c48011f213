//! Reading steps: the transitions that each stands for, and what its handler is given and returns.

use proc_macro2::Ident;
use quote::format_ident;

use super::artefact::Artefacts;
use super::state::States;
use super::step::{Kind, Outcome, Place, Step};
use super::stored::{Stored, is_storable};
use super::transition::{Course, Transitions};
use crate::attr::Attributes;
use crate::attr::named::Named;
use crate::attr::option::{ALIAS, Form, Key, Options, RENAME};
use crate::attr::step::{Outcome as WrittenOutcome, Step as Written};
use crate::attr::transition::From;
use crate::errors::Errors;
use crate::name;

const OPTIONS: &[Key] = &[
    Key { name: "fail", form: Form::List, usage: "fail(State)" },
    Key { name: "give_up", form: Form::List, usage: "give_up(State)" },
    Key { name: "load", form: Form::List, usage: "load(Artefact)" },
    Key { name: "transactional", form: Form::Flag, usage: "transactional" },
    Key { name: "within", form: Form::Flag, usage: "within" },
    RENAME,
    ALIAS,
];

const OUTCOME_OPTIONS: &[Key] = &[
    Key { name: "persist", form: Form::List, usage: "persist(Artefact)" },
    Key { name: "then", form: Form::List, usage: "then(transition)" },
];

/// Reads every `#[step(…)]`, and adds the transitions that each stands for.
pub(crate) fn steps(
    attributes: &Attributes,
    flow: &Ident,
    (states, artefacts): (&States, &Artefacts),
    transitions: &mut Transitions,
    errors: &mut Errors,
) -> Vec<Step> {
    let plain = transitions.list.len();
    let mut steps: Vec<Step> = Vec::new();
    for written in &attributes.steps {
        let ident = &written.ident;
        if steps.iter().any(|other| name::plain(&other.ident) == name::plain(ident)) {
            errors.gap(ident, format_args!("the step `{ident}` is declared twice: remove one"));
            continue;
        }
        let reader = Reader { written, states, artefacts, plain };
        steps.push(reader.read(flow, transitions, errors));
    }
    steps
}

/// One step while it is read.
struct Reader<'a> {
    written: &'a Written,
    states: &'a States,
    artefacts: &'a Artefacts,
    /// How many transitions are no step's.
    plain: usize,
}

impl Reader<'_> {
    fn read(&self, flow: &Ident, transitions: &mut Transitions, errors: &mut Errors) -> Step {
        let ident = &self.written.ident;
        let options = Options::check(self.written.options.clone(), "a step", OPTIONS, errors);
        let stored = stored(ident, &options, errors);
        let running = self.written.running.as_ref().and_then(|token| self.place(token, errors));
        let running = running.unwrap_or_else(|| Place { state: 0, token: ident.clone() });
        let (from, from_tokens) = self.from(errors);
        let constant = transitions.value(ident, errors);
        let loads = options.tokens("load").unwrap_or_default();
        let (loads, optional) = self.artefacts.loads(loads, self.states, errors);
        let start = transitions.of_step(
            (ident, self.named("start", "")),
            |names, ident| {
                names.of_step(ident, &stored, &Stored::default(), |step, _| format!("start_{step}"))
            },
            Course {
                from: from.clone(),
                from_tokens: from_tokens.clone(),
                to: running.state,
                loads,
                optional,
                ..Course::default()
            },
            errors,
        );
        let outcomes = self.outcomes(&stored, &running, transitions, errors);
        let (fail, fail_place) =
            self.failing("fail", &stored, &options, &running, transitions, errors);
        let (give_up, give_up_place) =
            self.failing("give_up", &stored, &options, &running, transitions, errors);
        Step {
            ty: format_ident!("{flow}{}", name::pascal(ident), span = name::generated(ident)),
            docs: self.written.docs.clone(),
            kind: kind(&options, errors),
            ident: ident.clone(),
            method: ident.clone(),
            constant,
            from,
            from_tokens,
            running,
            start,
            outcomes,
            // any, so that the step is there for those who use it
            fail: fail.unwrap_or(start),
            fail_place,
            give_up,
            give_up_place,
        }
    }

    /// The name of a transition that the step brings.
    fn named(&self, verb: &str, rest: &str) -> Ident {
        let ident = &self.written.ident;
        let name = format!("{verb}_{}{rest}", name::plain(ident));
        Ident::new(&name, ident.span())
    }

    fn place(&self, token: &Ident, errors: &mut Errors) -> Option<Place> {
        let state = self.states.find(token, errors)?;
        Some(Place { state, token: token.clone() })
    }

    fn from(&self, errors: &mut Errors) -> (Vec<usize>, Vec<Ident>) {
        let idents = self.written.from.idents();
        if let From::Any(at) = self.written.from {
            let message = format!(
                "`{}` would start from the state in which it runs, too: name its states in place of \
                 `*`, or a `#[group(…)]` of them",
                self.written.ident
            );
            errors.push(syn::Error::new(at, message));
            errors.lose();
        }
        (self.states.sources(idents, errors), idents.to_vec())
    }

    /// From the running state to this one.
    fn course(running: &Place, to: usize) -> Course {
        Course {
            from: vec![running.state],
            from_tokens: vec![running.token.clone()],
            to,
            ..Course::default()
        }
    }

    fn outcomes(
        &self,
        stored: &Stored,
        running: &Place,
        transitions: &mut Transitions,
        errors: &mut Errors,
    ) -> Vec<Outcome> {
        let mut outcomes: Vec<Outcome> = Vec::new();
        for written in &self.written.outcomes {
            let Some(to) = self.place(&written.ident, errors) else { continue };
            if outcomes.iter().any(|other| other.to.state == to.state) {
                let message = format!(
                    "`{}` is an outcome of `{}` already: remove one",
                    written.ident, self.written.ident
                );
                errors.gap(&written.ident, message);
                continue;
            }
            let outcome = self.outcome(
                written,
                to,
                (stored, running),
                outcomes.is_empty(),
                transitions,
                errors,
            );
            outcomes.push(outcome);
        }
        if outcomes.is_empty() {
            // something was lost: the step has an end all the same
            let to = Place { state: running.state, token: self.written.ident.clone() };
            let lost = WrittenOutcome { ident: to.token.clone(), options: Vec::new() };
            outcomes.push(self.outcome(&lost, to, (stored, running), true, transitions, errors));
        }
        outcomes
    }

    fn outcome(
        &self,
        written: &WrittenOutcome,
        to: Place,
        (stored, running): (&Stored, &Place),
        is_first: bool,
        transitions: &mut Transitions,
        errors: &mut Errors,
    ) -> Outcome {
        let options = written.options.clone();
        let options = Options::check(options, "an outcome", OUTCOME_OPTIONS, errors);
        let persists = options.tokens("persist").unwrap_or_default();
        let persists = self.artefacts.set("persist", persists, self.states, errors);
        let then = self.then(&options, transitions, errors);
        let course = Course { persists, ..Self::course(running, to.state) };
        let state = &self.states.all()[to.state];
        let rest = format!("_{}", name::snake(&name::plain(&state.ident)));
        let ident = self.named("finish", if is_first { "" } else { &rest });
        let transition = transitions.of_step(
            (&self.written.ident, ident),
            |names, ident| {
                if is_first {
                    return names.of_step(ident, stored, &Stored::default(), |step, _| {
                        format!("finish_{step}")
                    });
                }
                names
                    .of_step(ident, stored, &state.stored, |step, to| format!("finish_{step}_{to}"))
            },
            course,
            errors,
        );
        Outcome { transition, to, then }
    }

    /// The transitions in `then(…)`.
    fn then(
        &self,
        options: &Options,
        transitions: &Transitions,
        errors: &mut Errors,
    ) -> Vec<(usize, Ident)> {
        let tokens = options.tokens("then").unwrap_or_default();
        let mut then = Vec::new();
        for named in Named::list(tokens, "a transition", errors) {
            Options::check(named.options, "a transition named here", &[], errors);
            let known = &transitions.list[..self.plain];
            let names = || known.iter().map(|other| name::plain(&other.ident));
            let written = name::plain(&named.ident);
            if let Some(found) = names().position(|name| name == written) {
                then.push((found, named.ident));
                continue;
            }
            let near = name::nearest(&written, names());
            errors.at(&named.ident, self.unknown(&named.ident, near.map(|at| &known[at].ident)));
            match near {
                Some(near) => then.push((near, named.ident)),
                None => errors.lose(),
            }
        }
        then
    }

    fn unknown(&self, ident: &Ident, near: Option<&Ident>) -> String {
        if self.states.position(ident).is_some() {
            return format!("`{ident}` is a state: `then(…)` takes the name of a transition to it");
        }
        match near {
            Some(near) => format!("there is no transition `{ident}`: did you mean `{near}`?"),
            None => format!(
                "there is no transition `{ident}`: declare it with `#[transition({ident}: … => To)]`"
            ),
        }
    }

    /// The transition of `fail(…)` or `give_up(…)`, and the state it names.
    fn failing(
        &self,
        option: &'static str,
        stored: &Stored,
        options: &Options,
        running: &Place,
        transitions: &mut Transitions,
        errors: &mut Errors,
    ) -> (Option<usize>, Option<Place>) {
        let ident = &self.written.ident;
        let is_missing = option == "fail" && options.given(option).is_none();
        if is_missing && self.written.running.is_some() {
            let message = format!(
                "a step says where a failed try leads: add `fail(State)` to `{ident}`, an error state"
            );
            errors.gap(ident, message);
        }
        let place = options.given(option).and_then(|_| self.failed(option, options, errors));
        if place.is_none() && option != "fail" {
            return (None, None);
        }
        // a step whose `fail(…)` was lost has the transition all the same
        let to = place.as_ref().map_or(running.state, |place| place.state);
        let transition = transitions.of_step(
            (ident, self.named(option, "")),
            |names, ident| {
                names.of_step(ident, stored, &Stored::default(), |step, _| {
                    format!("{option}_{step}")
                })
            },
            Self::course(running, to),
            errors,
        );
        (Some(transition), place)
    }

    /// The state in `fail(…)` or `give_up(…)`.
    fn failed(&self, option: &str, options: &Options, errors: &mut Errors) -> Option<Place> {
        let tokens = options.tokens(option)?;
        let mut named = Named::list(tokens, "a state", errors).into_iter();
        let first = named.next()?;
        if let Some(other) = named.next() {
            let message = format!("`{option}(…)` names one state: remove `{}`", other.ident);
            errors.gap(&other.ident, message);
        }
        if let Some(given) = first.options.first() {
            let message = match given.key.to_string().as_str() {
                "persist" => format!(
                    "a try that failed has no artefact to hand over: remove `persist(…)` from \
                     `{option}({})`",
                    first.ident
                ),
                "then" => format!(
                    "nothing is taken at once after a failed try: remove `then(…)` from \
                     `{option}({})`",
                    first.ident
                ),
                key => format!("`{option}({})` has no options: remove `{key}`", first.ident),
            };
            errors.at(given, message);
        }
        self.place(&first.ident, errors)
    }
}

fn kind(options: &Options, errors: &mut Errors) -> Kind {
    let (transactional, within) = (options.given("transactional"), options.given("within"));
    if let (Some(_), Some(within)) = (transactional, within) {
        let message = "a step is `transactional`, where the handler itself runs in the transaction, or \
                       `within`, where a second method does: remove one";
        errors.at(within, message);
    }
    match (transactional, within) {
        (Some(_), _) => Kind::Transactional,
        (None, Some(_)) => Kind::Within,
        (None, None) => Kind::Plain,
    }
}

/// What the stored names of the step's transitions are made of.
fn stored(ident: &Ident, options: &Options, errors: &mut Errors) -> Stored {
    let snake = name::snake(&name::plain(ident));
    let mut own = |text: &syn::LitStr, option: &str| is_storable(text, option, &snake, errors);
    let rename = options.text("rename").filter(|text| own(text, "rename"));
    let mut aliases = options.texts("alias");
    aliases.retain(|text| own(text, "alias"));
    Stored {
        name: rename.map_or_else(|| snake.clone(), |text| text.value()),
        aliases: aliases.iter().map(syn::LitStr::value).collect(),
    }
}
