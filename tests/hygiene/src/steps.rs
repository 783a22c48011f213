//! Steps of every kind, where the names of the prelude mean something else.

use ::core::prelude::v1::derive;
use ::flow_core::{Claim, Flow, Record, StepEnd, StepError};
use ::flow_store::prelude::SqliteConnection;
use ::ser::{Deserialize, Serialize};

/// Shadows the type.
#[derive(::core::fmt::Debug)]
pub enum Result {}
/// Shadows the type.
#[derive(::core::fmt::Debug)]
pub enum Option {}
/// Shadows the variant.
#[derive(::core::fmt::Debug)]
pub struct Ok;
/// Shadows the variant.
#[derive(::core::fmt::Debug)]
pub struct Err;
/// Shadows the variant.
#[derive(::core::fmt::Debug)]
pub struct Some;
/// Shadows the variant.
#[derive(::core::fmt::Debug)]
pub struct None;
/// Shadows the type.
#[derive(::core::fmt::Debug)]
pub struct Box;
/// Shadows the type, and is an artefact.
#[derive(::core::fmt::Debug, Serialize, Deserialize)]
#[serde(crate = "::ser")]
pub struct String(u8);
/// Shadows the type, and is an artefact.
#[derive(::core::fmt::Debug, Serialize, Deserialize)]
#[serde(crate = "::ser")]
pub struct Vec(u8);
/// Shadows the trait.
pub trait Clone {}
/// Shadows the trait.
pub trait Copy {}
/// Shadows the trait.
pub trait Default {}
/// Shadows the trait.
pub trait Send {}
/// Shadows the trait.
pub trait Sync {}

/// A flow whose steps have every clause there is.
#[derive(::core::fmt::Debug, Flow, Serialize, Deserialize)]
#[serde(crate = "::ser")]
#[flow(crate = ::flow_core)]
#[state(Pending, Fetching, Fetched, Empty, Saving, Saved, Telling, Told, Waiting, Over)]
#[state(NotFetched(error), NotSaved(error), NotTold(error))]
#[initial(Pending)]
#[completed(Told, Over)]
#[persist(Vec)]
#[persist(String)]
#[group(Begun = Fetched | Saved)]
#[step(
    /// Gets what there is.
    fetch: Pending | NotFetched => Fetching
        => Fetched(persist(Vec, String)) | Empty(persist(String), then(rest)) | Over,
    fail(NotFetched), give_up(Over),
)]
#[step(save: Fetched | NotSaved => Saving => Saved, load(Vec, String), fail(NotSaved), transactional)]
#[step(tell: Saved | NotTold => Telling => Told, fail(NotTold), within)]
#[transition(rest: Empty => Waiting)]
#[transition(wake: Waiting => Pending, after("1 day"), within)]
#[transition(stop: Begun => Over)]
pub struct Job {}

/// What serves the steps.
#[derive(::core::fmt::Debug)]
pub struct Handlers;

impl JobSteps<SqliteConnection> for Handlers {
    fn fetch(&self, flow: &Claim<JobFetch>) -> ::core::result::Result<JobFetchOutcome, StepError> {
        ::core::result::Result::Ok(match flow.attempt() {
            1 => JobFetchOutcome::Fetched(Vec(1), String(2)),
            2 => JobFetchOutcome::Empty(String(3)),
            _ => JobFetchOutcome::Over,
        })
    }

    fn save(
        &self,
        _: &Claim<JobSave>,
        vec: Vec,
        string: String,
        _: &mut SqliteConnection,
    ) -> ::core::result::Result<(), StepError> {
        if vec.0 == string.0 {
            return ::core::result::Result::Err(StepError::permanent("they are alike"));
        }
        ::core::result::Result::Ok(())
    }

    fn tell(&self, _: &Claim<JobTell>) -> ::core::result::Result<(), StepError> {
        ::core::result::Result::Ok(())
    }

    fn tell_within(
        &self,
        _: &Record<Job>,
        _: &StepEnd<'_, JobTell>,
        _: &mut SqliteConnection,
    ) -> ::core::result::Result<(), StepError> {
        ::core::result::Result::Ok(())
    }

    fn wake_within(
        &self,
        _: &Record<Job>,
        _: &mut SqliteConnection,
    ) -> ::core::result::Result<(), StepError> {
        ::core::result::Result::Ok(())
    }
}

/// The states that are begun.
#[must_use]
pub const fn begun() -> &'static [JobState] {
    Job::BEGUN
}

/// What a job has ended with.
#[must_use]
pub const fn is_told(outcome: &JobOutcome) -> bool {
    ::core::matches!(outcome, JobOutcome::Told(..))
}
