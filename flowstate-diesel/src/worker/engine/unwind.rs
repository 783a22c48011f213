//! Panics outside of handlers: of a user's instrumentation, of a subscriber of `tracing`, of the
//! `Drop` of a user's error. They cost no thread, and no claim is held for ever.

use std::panic::{AssertUnwindSafe, catch_unwind};

use diesel::r2d2::ManageConnection;

use super::run::{Core, Job};
use super::schedule::{Found, Search};
use super::stats::count;
use crate::dialect::connection::Store;
use crate::error::{Error, Result};
use crate::text::chain::chain;
use crate::transaction::hooks::panic_text;
use crate::worker::claim::settle::Fence;
use flowstate::StepError;

impl<M: ManageConnection<Connection: Store>> Core<M> {
    /// Runs a job. If it panics outside its handler, its try has failed.
    pub(super) fn run_caught(&self, job: Job) {
        let (step, fence) = (job.step, Fence::of(&job.claim.row, &self.worker));
        let ran = caught("settling a claim", || {
            self.run(job);
            Ok(())
        });
        let Err(error) = ran else { return };
        let failed = caught("failing a claim", || {
            let error = StepError::from(error.to_string());
            self.fail(&*self.runners[step], &fence, error).map(drop)
        });
        if failed.is_ok() {
            count(&self.counters.failed);
        }
        // what could not be failed is no longer extended: the lease runs out
        self.put_away(&fence, true);
        report(|| tracing::error!(id = fence.id, error = chain(&error), "a claim was not settled"));
    }

    /// Looks for work. What was claimed before a panic is among the jobs.
    pub(super) fn look_caught(&self, search: &Search, jobs: &mut Vec<Job>) -> Result<Found> {
        let looked = caught("looking for work", || self.look(search, jobs));
        looked.inspect_err(|error| self.look_failed(error))
    }

    /// Gives back what is left when a thread ends.
    pub(super) fn part(&self) {
        let given_back = caught("giving claims back", || {
            self.give_back_held()?;
            self.release_strays()
        });
        if let Err(error) = given_back {
            let text = "claims could not be given back; their leases will run out";
            report(|| tracing::warn!(error = chain(&error), "{text}"));
        }
    }
}

/// Runs `work`; its panic becomes an error.
pub(super) fn caught<R>(what: &str, work: impl FnOnce() -> Result<R>) -> Result<R> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let problem = format!("{what} panicked: {}", panic_text(&*panic));
        Err(Error::Setup { problem })
    })
}

/// Tells a subscriber something; that it panics changes nothing.
pub(super) fn report(tell: impl FnOnce()) {
    // the panic hook has said what there is to say
    drop(catch_unwind(AssertUnwindSafe(tell)));
}
