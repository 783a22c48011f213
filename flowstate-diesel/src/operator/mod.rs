//! Moving records without their types: for those who operate a program and did not write it.
//!
//! Flows are known by their stored names, and what a name means by the graph that programs leave
//! in the database: [`register`] does so, and every worker. The graph describes and never decides;
//! without it everything can be listed and shown, and nothing can be taken or forced.
//!
//! - [`list`] and [`show`] read, without any lock; [`numbers`], [`failures`], [`lately`] and
//!   [`throughput`] count,
//!   within limits.
//! - [`Check`] holds a version of a program against the records that are there.
//! - [`act`] does one thing with one record, under its lock: [`Action`] says what there is. Actor
//!   and reason are kept in the history.
//! - [`plan`] says what would happen to all records that a [`Filter`] finds, and [`Plan::run`] does
//!   it.
//!
//! The command `flowstate` and the dashboard, both in the crate `flowstate-ops`, are made of these.

mod act;
mod action;
pub(crate) mod check;
#[cfg(feature = "r2d2")]
pub(crate) mod completed;
mod decoder;
mod error;
mod filter;
mod graph;
mod lane;
mod overview;
mod plan;
#[cfg(feature = "r2d2")]
pub(crate) mod presence;
mod reading;
mod registry;
mod schema;
mod search;
mod show;
pub(crate) mod standing;

pub use act::{Moved, Target, Wish, act};
pub use action::Action;
pub use check::{AliasLeft, Check, Checked, Found, StateHas};
pub use error::{Error, Refusal, Result};
pub use filter::Filter;
pub use graph::{FORMAT, Graph, GraphArtefact, GraphState, GraphStep, GraphTransition};
pub use lane::Cursor;
#[cfg(all(feature = "metrics", feature = "r2d2"))]
pub(crate) use overview::numbers_at;
pub use overview::{
    COUNTED_AT_MOST, Failure, StateNumbers, Throughput, failures, lately, numbers, throughput,
};
pub use plan::{MAX_PLANNED, Plan, Planned, Report, plan, plan_after};
pub use registry::{Flows, Registered, Registry, WorkerEntry, register, registry};
pub use schema::{Schema, schema};
pub use search::{Listing, list};
pub use show::{SECRET, Shown, show, show_artefact, show_without_payloads};
pub use standing::{Standing, Stuck};
