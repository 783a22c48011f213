//! Names that nobody else draws.

use crate::error::{Error, Result};

/// 128 random bits of the system's, by which a transaction recognizes its own rows.
///
/// A generator in the process would give a forked child the numbers of its parent.
pub(crate) fn token() -> Result<String> {
    let mut bits = [0; 16];
    fill(&mut bits)?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bits)))
}

/// Names a worker: random for each, so that a former life of the same process, or a forked child, is
/// somebody else.
pub(crate) fn worker_id() -> Result<String> {
    let mut bits = [0; 8];
    fill(&mut bits)?;
    Ok(format!("{}-{:016x}", std::process::id(), u64::from_ne_bytes(bits)))
}

fn fill(bits: &mut [u8]) -> Result<()> {
    getrandom::fill(bits).map_err(|error| Error::Setup {
        problem: format!("the system gives no random numbers: {error}"),
    })
}
