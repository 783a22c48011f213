//! The ends of handlers, until they are written.

use std::time::Duration;

use flowstate::StepError;

use super::outbox::Tries;
use crate::dialect::change::Plan;
use crate::error::Error;
use crate::worker::claim::settle::{Fence, Outcome};

/// How a claim ends.
#[derive(Debug)]
pub(super) enum End {
    Finished(Outcome),
    /// `next`: the pause before the next try.
    Failed {
        error: StepError,
        next: Option<Duration>,
    },
    /// Its handler said that it is too early.
    NotYet(Duration),
    /// This program cannot read what it would need.
    Unreadable(Error),
}

/// An end that is to be written.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) step: usize,
    pub(super) fence: Fence,
    pub(super) span: tracing::Span,
    pub(super) end: End,
    /// How it is written, once that is known: each try writes the same, by which it is recognized.
    pub(super) plan: Option<Plan>,
    /// It is not written together with others: something is wrong with it, or in its way.
    pub(super) alone: bool,
    pub(super) tries: Tries,
}

impl Ended {
    pub(super) fn new(step: usize, fence: Fence, span: tracing::Span, end: End) -> Self {
        Self { step, fence, span, end, plan: None, alone: false, tries: Tries::default() }
    }
}
