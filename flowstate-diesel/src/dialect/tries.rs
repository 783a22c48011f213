//! Failed tries in a row: which transitions count them, and which begin anew.

use flowstate::Definition;

/// What a transition means for the failed tries in a row that are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tries {
    /// A step's start: those before it are still counted.
    Begins,
    /// A step's failure: one more.
    Fails,
    /// Progress, or somebody's decision: the next try is the first.
    Anew,
    /// The flow has no steps, so that nothing tells a try from a decision: a try fails by entering an
    /// error state, and the next one leaves it.
    Untold,
}

impl Tries {
    /// What the transition of this name means. A failure that leads to the queue of another step is
    /// none of that step's.
    pub(super) const fn of(flow: &Definition, transition: &str) -> Self {
        let mut at = 0;
        while at < flow.steps.len() {
            if is_same(flow.steps[at].start, transition) {
                return Self::Begins;
            }
            if is_same(flow.steps[at].fail, transition) {
                let starting = starting_from(flow, target(flow, transition));
                return if starting == at || starting == flow.steps.len() {
                    Self::Fails
                } else {
                    Self::Anew
                };
            }
            at += 1;
        }
        if flow.steps.is_empty() { Self::Untold } else { Self::Anew }
    }
}

/// The state to which a transition leads.
const fn target(flow: &Definition, transition: &str) -> &'static str {
    let mut at = 0;
    while at < flow.transitions.len() {
        if is_same(flow.transitions[at].name, transition) {
            return flow.transitions[at].to;
        }
        at += 1;
    }
    ""
}

/// The position of the step that starts from a state; that behind the last one if none does.
const fn starting_from(flow: &Definition, state: &str) -> usize {
    let mut at = 0;
    while at < flow.steps.len() {
        let mut from = flow.steps[at].from;
        while let [first, rest @ ..] = from {
            if is_same(first, state) {
                return at;
            }
            from = rest;
        }
        at += 1;
    }
    at
}

const fn is_same(one: &str, other: &str) -> bool {
    let (mut one, mut other) = (one.as_bytes(), other.as_bytes());
    while let ([first, rest @ ..], [first_of_other, rest_of_other @ ..]) = (one, other) {
        if *first != *first_of_other {
            return false;
        }
        (one, other) = (rest, rest_of_other);
    }
    one.is_empty() && other.is_empty()
}
