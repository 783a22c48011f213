//! A step's hold on a record.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Policy, Record, Step, Transition};

/// A step's exclusive hold on a record, until its lease runs out. Dereferences to the record and,
/// through it, to its props.
///
/// A handler is lent one. It sees the record in the state in which the step runs.
#[must_use = "a claim that is dropped blocks its record until the lease runs out"]
pub struct Claim<S: Step> {
    record: Record<S::Flow>,
    hold: Hold,
    step: PhantomData<fn() -> S>,
}

/// What a storage backend knows of a claim.
///
/// What a statement is fenced with (`id`, `seq`, `attempts`) stands in the record's row.
#[derive(Clone, Debug)]
pub struct Hold {
    /// The name under which the record is stored: that of its flow, or an earlier one.
    pub flow: &'static str,
    /// Who holds it: random for each start of a worker.
    pub worker: Arc<str>,
    /// How it is leased and tried.
    pub policy: Arc<Policy>,
    /// What begins the keys of this database.
    pub identity: Arc<str>,
    /// Which visit of the step this is, where it can be repeated: the history's key of its last end.
    pub visit: Option<i64>,
    /// What is told to the handler while it runs.
    pub signals: Signals,
}

/// What a handler that takes long can ask its claim: shared with the worker.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    /// Set when the claim is found to be held no longer.
    pub lost: Arc<AtomicBool>,
    /// Set when a shutdown has begun.
    pub stopping: Arc<AtomicBool>,
    /// The trace context of the last caller who moved the record, if the backend keeps it.
    pub traceparent: Option<Arc<str>>,
}

impl<S: Step> Claim<S> {
    /// A claim of this record, in the state in which the step runs: for storage backends.
    pub fn new(record: Record<S::Flow>, hold: Hold) -> Self {
        Self { record, hold, step: PhantomData }
    }

    /// What the backend knows of it: for storage backends.
    #[must_use]
    pub fn hold(&self) -> &Hold {
        &self.hold
    }

    /// The record and what the backend knows of the claim: for storage backends, to end it.
    #[must_use]
    pub fn into_parts(self) -> (Record<S::Flow>, Hold) {
        (self.record, self.hold)
    }

    /// The number of the present try, from 1: one more for each failed try in a row.
    #[must_use]
    pub fn attempt(&self) -> i32 {
        self.record.attempt()
    }

    /// A key for requests to other systems: the same for every try of this step of this record,
    /// until the step has finished, and different for every other step, record, visit or database.
    ///
    /// Hand it to an API that knows idempotency keys: a try that was repeated because nobody knows
    /// whether the first one arrived is then carried out once.
    ///
    /// It is made of an identity of the database, of the name under which the record is stored, of
    /// the start transition's, and, where a step can be repeated, of what the history says of its last
    /// end. (A storage backend may look through the record's last thousand transitions for it and no
    /// further, as `flowstate-diesel` does: of two tries of one visit between which the record went
    /// through a thousand transitions elsewhere, the second has another key.) A flow that is renamed with `alias` keeps the keys of the records that are there. Rename no
    /// step while tries are under way: the next try would have another key, and what was carried out
    /// might be carried out again.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        let (identity, flow, id) = (&self.hold.identity, self.hold.flow, self.record.id());
        let start = <S::Start as Transition>::NAME;
        match self.hold.visit {
            None => format!("{identity}-{flow}-{id}-{start}"),
            Some(visit) => format!("{identity}-{flow}-{id}-{start}-{visit}"),
        }
    }

    /// The trace context of the last caller who moved the record, as W3C's `traceparent`, where the
    /// storage backend keeps it: what a span of the handler can be linked to.
    #[must_use]
    pub fn traceparent(&self) -> Option<&str> {
        self.hold.signals.traceparent.as_deref()
    }

    /// Whether somebody else is known to have moved the record, or its lease to have run out: what
    /// the handler returns will be refused, so that it may as well end at once.
    ///
    /// A worker learns of it when it extends the lease, so that it may be told late.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.hold.signals.lost.load(Ordering::Acquire)
    }

    /// Whether a shutdown has begun: a handler that takes long may end by
    /// [`StepError::not_yet`](crate::StepError::not_yet), so that another worker goes on.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.hold.signals.stopping.load(Ordering::Acquire)
    }
}

impl<S: Step> Deref for Claim<S> {
    type Target = Record<S::Flow>;

    fn deref(&self) -> &Record<S::Flow> {
        &self.record
    }
}

impl<S: Step> fmt::Debug for Claim<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim")
            .field("record", &self.record)
            .field("step", &S::NAME)
            .field("worker", &self.hold.worker)
            .finish_non_exhaustive()
    }
}
