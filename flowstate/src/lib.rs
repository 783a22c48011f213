//! Multi-step processes as explicit, durable state machines.
//!
//! A **flow** is a struct under [`#[derive(Flow)]`](macro@Flow). Its attributes name the states, the
//! transitions between them and the *artefacts* (typed payloads) that a transition keeps; its
//! fields are the *props*, what the process is about. The derive turns them into types and checks
//! the graph while it compiles:
//!
//! ```
//! use flowstate::{Flow, State as _, Transition};
//! use serde::{Deserialize, Serialize};
//!
//! /// Ask a person before money moves.
//! #[derive(Flow, Serialize, Deserialize)]
//! #[state(Requested, Approved, Refused(error))]
//! #[initial(Requested)]
//! #[completed(Approved)]
//! #[persist(Decision { by: String, why: String })]
//! #[transition(approve: Requested | Refused => Approved, persist(Decision))]
//! #[transition(refuse: Requested => Refused, persist(Decision))]
//! pub struct Approval {
//!     pub payment_id: String,
//! }
//!
//! assert!(ApprovalState::Refused.is_error());
//! assert_eq!(ApprovalState::Requested.as_str(), "requested");
//! assert_eq!("approved".parse(), Ok(ApprovalState::Approved));
//! println!("{}", flowstate::diagram::mermaid(Approval::DEFINITION));
//!
//! // a transition is a constant with a type of its own
//! fn name<T: Transition>(_: T) -> &'static str {
//!     T::NAME
//! }
//! assert_eq!(name(Approval::APPROVE), "approve");
//! ```
//!
//! This crate holds the types and no I/O. `flowstate-diesel` keeps flows in SQLite, PostgreSQL or
//! MySQL/MariaDB and runs their transitions.

// The derive names this crate by its path; its own tests use the same name.
extern crate self as flowstate;

#[doc(hidden)]
pub mod __private;
mod backoff;
mod claim;
mod definition;
mod derived;
pub mod diagram;
mod flow;
mod label;
pub mod lock;
mod policy;
mod serve;
mod step;
mod step_error;
mod transition;

pub use backoff::Backoff;
pub use claim::{Claim, Hold, Signals};
pub use definition::{
    ArtefactDefinition, Definition, GroupDefinition, MAX_NAME_LENGTH, OutcomeDefinition,
    StateDefinition, StepDefinition, StepKind, TransitionDefinition,
};
pub use flow::{
    Artefact, ArtefactReader, ArtefactSet, ArtefactWriter, Flow, FlowOutcome, Record, Row, State,
    TransactionOutcome, UnknownState,
};
#[doc = include_str!("derive.md")]
pub use flowstate_derive::Flow;
pub use label::{Label, LabelValue};
pub use policy::Policy;
pub use serve::{
    EndHandler, EndsAlone, ExpireHandler, ExpiresAlone, Handler, Handles, ServedBy, StepRegistry,
    TransactionalHandler,
};
pub use step::{IntoStep, Step, StepEnd, StepOutcome, StepWithPolicy};
pub use step_error::{NextTry, StepError};
pub use transition::{
    Asks, Awaiting, Chain, Follows, LoadsNothing, PersistsNothing, Provided, StartsFrom,
    StartsStep, Supplied, Transition, TransitionOf, Unsupplied,
};
