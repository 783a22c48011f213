//! What is measured.

pub(crate) mod bulk;
pub(crate) mod churn;
pub(crate) mod fast;
pub(crate) mod grown;
pub(crate) mod latency;
pub(crate) mod memory;
pub(crate) mod operate;
pub(crate) mod scale;
pub(crate) mod slow;
pub(crate) mod worker;

use std::path::PathBuf;

use clap::ValueEnum;

use crate::database::Database;
use crate::race::Pace;
use crate::report::Report;

/// A group of figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Scenario {
    /// A flow from end to end: `create` and six transitions, one with an artefact of 1 kB.
    Fast,
    /// A transition with a guard and a `within` write.
    Slow,
    /// Worker steps with empty handlers.
    Worker,
    /// Steps with empty handlers, against one claim and one finish a batch by hand.
    Batches,
    /// Steps with empty handlers on PostgreSQL, against River; with `--river`.
    River,
    /// From a commit to the start of the handler.
    Latency,
    /// `create_many`.
    Bulk,
    /// Reading an artefact as the history grows.
    Artefact,
    /// A claim as the tables grow.
    Claim,
    /// Peak memory of a worker as the backlog grows.
    Memory,
    /// The pages of operators, over twenty flows.
    Operate,
    /// Every operation, among 10,000 records and among many.
    Scale,
    /// A claim, before and after as many transitions of a hundredth of records.
    Churn,
}

/// How much to measure.
#[derive(Clone, Debug)]
pub(crate) struct Extent {
    pub(crate) pace: Pace,
    pub(crate) threads: Vec<usize>,
    /// How many records are many.
    pub(crate) backlog: usize,
    /// The program that drains River's jobs.
    pub(crate) river: Option<PathBuf>,
}

impl Scenario {
    pub(crate) fn run<D: Database>(self, database: &D, extent: &Extent, report: &mut Report) {
        match self {
            Self::Fast => fast::run(database, extent, report),
            Self::Slow => slow::run(database, extent, report),
            Self::Worker => worker::run(database, extent, report),
            Self::Batches => worker::batches(database, extent, report),
            Self::River => worker::river(database, extent, report),
            Self::Latency => latency::run(database, extent, report),
            Self::Bulk => bulk::run(database, extent, report),
            Self::Artefact => grown::artefact(database, extent, report),
            Self::Claim => grown::claim(database, extent, report),
            Self::Memory => memory::run(database, extent, report),
            Self::Operate => operate::run(database, extent, report),
            Self::Scale => scale::run(database, extent, report),
            Self::Churn => churn::run(database, extent, report),
        }
    }
}
