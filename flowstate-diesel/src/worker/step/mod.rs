//! A step as a worker knows it, by stored names.

pub(crate) mod backoff;
pub(crate) mod error;
pub(crate) mod timed;

use std::sync::Arc;
use std::time::Duration;

use flowstate::{Definition, Flow, OutcomeDefinition, Policy, State as _, Step, Transition};

use crate::dialect::change::{Landing, Link, Payload, Timing};
use crate::transition::decode::stored_names;

/// A step without types.
#[derive(Debug)]
pub(crate) struct StepSpec {
    /// The name under which the records are stored.
    pub(crate) flow: &'static str,
    /// As it is named in the code.
    pub(crate) name: &'static str,
    /// The transition that claims a record.
    pub(crate) start: Link,
    /// The state of a claimed record.
    pub(crate) running: &'static str,
    /// The stored names of the running state: a former version of the program may have left a claim
    /// under an old one.
    pub(crate) running_names: Vec<&'static str>,
    /// How long a claimed record may stay in the running state, if a transition takes it out by
    /// itself, in microseconds.
    pub(crate) running_deadline: Option<i64>,
    /// The stored names, old ones too, of the states from which it starts.
    pub(crate) sources: Vec<&'static str>,
    /// What is true of a record in each of the sources: a released one goes back.
    pub(crate) origins: Vec<Origin>,
    /// How it may end well.
    pub(crate) outcomes: Vec<Ending>,
    /// How a failed try ends.
    pub(crate) fail: Ending,
    /// How the last failed try ends; `None` if as any other, with nothing due.
    pub(crate) give_up: Option<Ending>,
    pub(crate) policy: Arc<Policy>,
    /// The transitions by which it ends well, as a JSON array, if a record can come to this step
    /// again after one of them.
    pub(crate) repeats: Option<String>,
}

/// One way for a step to end: the transitions that are taken at once, and where the last one leads.
#[derive(Debug)]
pub(crate) struct Ending {
    links: Vec<Link>,
    pub(crate) landing: Landing,
}

/// What is known of a state from which a step starts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    /// As it is stored.
    pub(crate) name: &'static str,
    pub(crate) is_error: bool,
    /// Due at once.
    pub(crate) timing: Timing,
}

impl StepSpec {
    /// The step, once for each name under which records of its flow are stored.
    pub(crate) fn under_each_name<S: Step>(policy: Policy) -> impl Iterator<Item = Arc<Self>> {
        let policy = Arc::new(policy);
        let names = S::Flow::DEFINITION.names();
        names.map(move |name| Self::of::<S>(name, Arc::clone(&policy)))
    }

    /// The step for records that are stored under this name of its flow.
    pub(crate) fn of<S: Step>(name: &'static str, policy: Arc<Policy>) -> Arc<Self> {
        let (flow, running) = (S::Flow::DEFINITION, <S::Start as Transition>::TO);
        let origins: Vec<_> = Origin::all::<S::Start>().collect();
        let outcomes = S::DEFINITION.outcomes.iter();
        let outcomes: Vec<_> = outcomes.map(|outcome| Ending::of(flow, outcome)).collect();
        let repeats = outcomes.iter().any(|ending| reaches(flow, ending.to(), running.as_str()));
        let finishes = S::DEFINITION.outcomes.iter().map(|outcome| outcome.transition);
        Arc::new(Self {
            flow: name,
            name: S::NAME,
            start: Link::of::<S::Start>(),
            running: running.as_str(),
            running_names: stored_names(running).collect(),
            running_deadline: landing_at(flow, running.as_str()).timing.deadline_in,
            sources: origins.iter().map(|origin| origin.name).collect(),
            origins,
            outcomes,
            fail: Ending::by::<S::Fail>(),
            give_up: S::DEFINITION.give_up.map(|_| Ending::by::<S::GiveUp>()),
            policy,
            repeats: repeats.then(|| finishes.collect::<serde_json::Value>().to_string()),
        })
    }

    /// Whether a failed try may delete the record.
    pub(crate) fn may_destroy(&self) -> bool {
        let give_up = self.give_up.as_ref().map(|ending| ending.landing);
        self.fail.landing.destroys || give_up.is_some_and(|landing| landing.destroys)
    }

    /// How long a claim holds.
    pub(crate) fn lease(&self) -> Duration {
        self.policy.lease_time()
    }
}

impl Ending {
    fn by<T: Transition>() -> Self {
        let landing = landing_at(T::Flow::DEFINITION, T::TO.as_str());
        Self { links: vec![Link::of::<T>()], landing }
    }

    fn of(flow: &'static Definition, outcome: &OutcomeDefinition) -> Self {
        let mut to = outcome.to;
        let mut links = vec![Link::by(flow, outcome.transition, to)];
        for then in outcome.then {
            to = flow.transition(then).map_or(to, |then| then.to);
            links.push(Link::by(flow, then, to));
        }
        Self { links, landing: landing_at(flow, to) }
    }

    /// The state in which it leaves the record.
    pub(crate) fn to(&self) -> &'static str {
        self.links.last().map_or("", |link| link.to)
    }

    /// The links, the first with these artefacts.
    pub(crate) fn links(&self, artefacts: Vec<Payload>) -> Vec<Link> {
        let mut links = self.links.clone();
        if let Some(first) = links.first_mut() {
            first.artefacts = artefacts;
        }
        links
    }
}

impl Origin {
    fn all<T: Transition>() -> impl Iterator<Item = Self> {
        T::FROM.iter().flat_map(|&state| {
            let Landing { timing, .. } = landing_at(T::Flow::DEFINITION, state.as_str());
            stored_names(state).map(move |name| Self { name, is_error: state.is_error(), timing })
        })
    }
}

/// Of a record that a worker brings to this state: due at once. In an error state from which no step
/// starts it is never due, since nothing moves it by itself any more.
fn landing_at(flow: &Definition, state: &str) -> Landing {
    let mut landing = Landing::at(flow, state, Duration::ZERO);
    let is_error = flow.state(state).is_some_and(|state| state.is_error);
    if is_error && !flow.steps.iter().any(|step| step.from.contains(&state)) {
        landing.timing.due_in = None;
    }
    landing
}

/// Whether transitions lead from one state to another.
fn reaches(flow: &Definition, from: &'static str, to: &str) -> bool {
    let mut reached = vec![from];
    let mut at = 0;
    while let Some(&state) = reached.get(at) {
        if state == to {
            return true;
        }
        for next in flow.transitions.iter().filter(|next| next.from.contains(&state)) {
            if !reached.contains(&next.to) {
                reached.push(next.to);
            }
        }
        at += 1;
    }
    false
}
