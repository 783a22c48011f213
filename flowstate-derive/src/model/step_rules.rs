//! What holds between steps: whose a state is, where failures lead, what is taken at once.

use std::collections::BTreeMap;

use proc_macro2::Ident;
use quote::format_ident;

use super::flow::Names;
use super::state::States;
use super::step::{Kind, Place, Step};
use super::transition::Transition;
use crate::errors::Errors;
use crate::name;

/// The steps and what they are held against. Every name is known.
pub(crate) struct Rules<'a> {
    pub(crate) steps: &'a [Step],
    pub(crate) transitions: &'a [Transition],
    pub(crate) states: &'a States,
    pub(crate) initial: usize,
}

impl Rules<'_> {
    /// Reports what steps get wrong.
    pub(crate) fn check(&self, errors: &mut Errors) {
        for (at, step) in self.steps.iter().enumerate() {
            let earlier = &self.steps[..at];
            self.runs_alone(step, earlier, errors);
            self.queues(step, earlier, errors);
            self.failures(step, errors);
            self.time_limits(step, errors);
            self.at_once(step, errors);
        }
        self.intruders(errors);
    }

    fn name(&self, state: usize) -> &Ident {
        &self.states.all()[state].ident
    }

    /// The running state is the step's own, and nobody's end or beginning.
    fn runs_alone(&self, step: &Step, earlier: &[Step], errors: &mut Errors) {
        let (Place { state, token }, ident) = (&step.running, &step.ident);
        let node = &self.states.all()[*state];
        let what = if node.is_completed {
            "is completed, where nothing runs"
        } else if node.is_error {
            "is an error state, where nothing runs"
        } else if *state == self.initial {
            "is the initial state, where nobody has claimed a record yet"
        } else if let Some(other) = earlier.iter().find(|other| other.running.state == *state) {
            let message = format!(
                "`{}` runs in `{token}` already: give `{ident}` a running state of its own",
                other.ident
            );
            return errors.at(token, message);
        } else {
            return;
        };
        errors
            .at(token, format_args!("`{token}` {what}: give `{ident}` a running state of its own"));
    }

    /// A state is the queue of one step, and no step starts where one runs.
    fn queues(&self, step: &Step, earlier: &[Step], errors: &mut Errors) {
        let ident = &step.ident;
        for &state in &step.from {
            let name = self.name(state);
            let runs = |other: &&Step| other.running.state == state;
            if let Some(other) = self.steps.iter().find(runs) {
                let message = format!(
                    "`{name}` is where `{}` runs, and what runs there has been claimed: take it out of \
                     the states that `{ident}` starts from",
                    other.ident
                );
                errors.at(self.source(step, state), message);
            } else if let Some(other) = earlier.iter().find(|other| other.from.contains(&state)) {
                let message = format!(
                    "`{}` starts from `{name}`, too, so that chance would decide which of them takes a \
                     record: let each state be the queue of one step",
                    other.ident
                );
                errors.at(self.source(step, state), message);
            }
        }
    }

    /// The name of a state, or of its group, among those that a step starts from.
    fn source<'s>(&self, step: &'s Step, state: usize) -> &'s Ident {
        let name = name::plain(self.name(state));
        let own = step.from_tokens.iter().find(|token| name::plain(token) == name);
        let group = || step.from_tokens.iter().find(|token| self.states.is_in_group(state, token));
        own.or_else(group).unwrap_or(&step.ident)
    }

    fn failures(&self, step: &Step, errors: &mut Errors) {
        let ident = &step.ident;
        if let Some(Place { state, token }) = &step.fail_place {
            if !self.states.all()[*state].is_error {
                let message = format!(
                    "a failed try leads to an error state, and `{token}` is none: declare it with \
                     `#[state({token}(error))]`, or name another one"
                );
                errors.at(token, message);
            } else if !self.transitions.iter().any(|other| other.from.contains(state)) {
                let message = format!(
                    "nothing leaves `{token}`, so that a failed try would be the last: add `{token}` to \
                     the states that `{ident}` starts from, or a transition out of it"
                );
                errors.at(token, message);
            }
        }
        let Some(Place { state, token }) = &step.give_up_place else { return };
        if step.fail_place.as_ref().is_some_and(|fail| fail.state == *state) {
            let message = format!(
                "`fail({token})` leads there already, and nothing is due after the last try: remove \
                 `give_up(…)`, or name another state"
            );
            errors.at(token, message);
        } else if step.from.contains(state) {
            let message = format!(
                "`{ident}` starts from `{token}`, so that it would be tried again for ever: give up in \
                 another state"
            );
            errors.at(token, message);
        }
    }

    /// Where a step runs, time ends no try past its `give_up(…)` or its `within`.
    fn time_limits(&self, step: &Step, errors: &mut Errors) {
        let (ident, running) = (&step.ident, step.running.state);
        let fail = step.fail_place.as_ref().map(|place| place.state);
        for transition in self.transitions.iter().filter(|other| other.from.contains(&running)) {
            let Some(after) = &transition.after else { continue };
            let fails = step.from.contains(&transition.to) || fail == Some(transition.to);
            let past = if step.kind == Kind::Within {
                "`within`"
            } else if fails && step.give_up_place.is_some() {
                "`give_up(…)`"
            } else {
                continue;
            };
            let (limit, running) = (&transition.ident, self.name(running));
            let message = format!(
                "`{limit}` would end a try of `{ident}` past its {past}: take `{running}` out of the \
                 states that `{limit}` starts from, and let the step's lease end a try that nobody is \
                 at any more"
            );
            errors.at(&after.literal, message);
        }
    }

    /// What is taken at once starts where the record stands, and takes nothing along.
    fn at_once(&self, step: &Step, errors: &mut Errors) {
        for outcome in &step.outcomes {
            let mut state = outcome.to.state;
            for (transition, token) in &outcome.then {
                let transition = &self.transitions[*transition];
                let what = [("persists", &transition.persists), ("loads", &transition.loads)];
                let taken = what.iter().find_map(|(verb, set)| Some((verb, set.first()?)));
                if let Some((verb, (_, artefact))) = taken {
                    let message = format!(
                        "`{token}` {verb} `{artefact}`, and nobody is there for it: only what neither \
                         persists nor loads is taken at once"
                    );
                    errors.at(token, message);
                } else if !transition.from.contains(&state) {
                    let name = self.name(state);
                    let message = format!(
                        "`{token}` does not start from `{name}`, where the record stands then: add \
                         `{name}` to the states that it starts from, or take it out of `then(…)`"
                    );
                    errors.at(token, message);
                }
                state = transition.to;
            }
        }
    }

    /// Only its start leads to where a step runs.
    fn intruders(&self, errors: &mut Errors) {
        let running = |state: usize| self.steps.iter().find(|step| step.running.state == state);
        let mut refuse = |by: &Ident, to: usize, token: &Ident| {
            let Some(step) = running(to) else { return };
            let (step, name) = (&step.ident, self.name(to));
            let message = format!(
                "`{name}` is where the step `{step}` runs, and only a claim leads there: let `{by}` lead \
                 to a state that `{step}` starts from"
            );
            errors.at(token, message);
        };
        for transition in self.transitions.iter().filter(|other| other.of_step.is_none()) {
            let token = transition.to_token.as_ref().unwrap_or(&transition.ident);
            refuse(&transition.ident, transition.to, token);
        }
        for step in self.steps {
            let outcomes = step.outcomes.iter().map(|outcome| &outcome.to);
            let failures = step.fail_place.iter().chain(&step.give_up_place);
            for Place { state, token } in outcomes.chain(failures) {
                refuse(&step.ident, *state, token);
            }
        }
    }
}

/// Refuses steps whose types or methods would be there twice, and names them otherwise.
pub(crate) fn check_names(
    steps: &mut [Step],
    transitions: &[Transition],
    (flow, names): (&Ident, &Names),
    errors: &mut Errors,
) {
    let mut types: Vec<Ident> = vec![flow.clone()];
    types.extend(names.types().cloned());
    let mut methods: BTreeMap<String, Ident> = BTreeMap::new();
    for step in steps {
        let ident = step.ident.clone();
        let taken = |step: &Step| {
            let own = [Some(step.ty.clone()), step.outcome_ty()];
            own.into_iter().flatten().find(|ty| types.contains(ty))
        };
        if let Some(ty) = taken(step) {
            let message = format!(
                "the step `{ident}` would bring a second item named `{ty}`: choose another name"
            );
            errors.at(&ident, message);
        }
        while taken(step).is_some() {
            step.ty = format_ident!("{}_", step.ty);
        }
        types.extend([Some(step.ty.clone()), step.outcome_ty()].into_iter().flatten());
        let plain = name::plain(&ident);
        let within = (step.kind == Kind::Within).then(|| format!("{plain}_within"));
        let own = [Some(plain.clone()), Some(format!("{plain}_policy")), within];
        let mut is_free = true;
        for method in own.into_iter().flatten() {
            is_free &= !is_free || claim(method, &ident, &mut methods, errors);
        }
        if !is_free {
            step.method = format_ident!("{}_", step.method);
        }
    }
    for transition in transitions.iter().filter(|other| other.within.is_some()) {
        let method = format!("{}_within", name::plain(&transition.ident));
        claim(method, &transition.ident, &mut methods, errors);
    }
}

/// Whether the method is there once, or the mistake.
fn claim(
    method: String,
    ident: &Ident,
    methods: &mut BTreeMap<String, Ident>,
    errors: &mut Errors,
) -> bool {
    if let Some(other) = methods.get(&method) {
        let message = format!(
            "`{other}` and `{ident}` would both have a method `{method}`: choose another name"
        );
        errors.at(ident, message);
        return false;
    }
    methods.insert(method, ident.clone());
    true
}
