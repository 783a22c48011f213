//! Who wishes a change, and why.

use clap::Args;

use super::problem::Problem;
use crate::operator::Wish;
use crate::user_at_host;

/// Of each command that changes records.
#[derive(Clone, Debug, Args)]
pub struct Why {
    /// Only say what would be done
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Why: it is kept
    #[arg(long, required_unless_present = "dry_run")]
    reason: Option<String>,
    /// Who wishes it: it is kept
    #[arg(long, default_value_t = user_at_host(), env = "FLOWSTATE_ACTOR")]
    pub(super) actor: String,
}

impl Why {
    /// Empty in a dry run.
    pub(super) fn reason(&self) -> &str {
        self.reason.as_deref().unwrap_or_default()
    }

    /// Refuses what no history would keep.
    pub(super) fn wish(&self) -> Result<Wish, Problem> {
        Ok(Wish::new(&*self.actor, self.reason())?)
    }
}
