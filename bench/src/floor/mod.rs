//! Durable work by hand, with the thinnest driver of each database, prepared statements
//! and as few round trips as it can be done with.

pub(crate) mod dsl;
#[cfg(feature = "mysql")]
pub(crate) mod mysql;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
pub(crate) mod sqlite;

/// One connection.
pub(crate) trait Floor {
    /// Inserts a record with its first history row.
    fn create(&mut self, flow: &str, state: &str, props: &str) -> i64;

    /// Inserts many.
    fn create_many(&mut self, flow: &str, state: &str, props: &[String]);

    /// Moves a record. Returns the artefact that is loaded.
    fn step(&mut self, step: &Step<'_>) -> Option<String>;

    /// A transition by hand, after a look at the user's table under the row's lock, and with a write to it.
    fn guarded(&mut self, step: &Step<'_>);

    /// Takes up to `limit` records, the oldest first.
    fn claim(&mut self, claim: &Claim<'_>) -> Vec<(i64, i64)>;

    /// Completes what was claimed, all of it in one transaction.
    fn finish(&mut self, finish: &Finish<'_>, claimed: &[(i64, i64)]);
}

/// A transition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step<'a> {
    pub(crate) id: i64,
    /// Before it.
    pub(crate) seq: i64,
    pub(crate) transition: &'a str,
    pub(crate) from: &'a str,
    pub(crate) to: &'a str,
    pub(crate) completes: bool,
    /// Name and JSON.
    pub(crate) artefact: Option<(&'a str, &'a str)>,
    pub(crate) load: Option<&'a str>,
}

/// A batch of claims.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim<'a> {
    pub(crate) flow: &'a str,
    pub(crate) from: &'a str,
    pub(crate) transition: &'a str,
    pub(crate) to: &'a str,
    pub(crate) limit: i64,
}

/// A batch of claims that end well.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Finish<'a> {
    pub(crate) from: &'a str,
    pub(crate) transition: &'a str,
    pub(crate) to: &'a str,
}

/// What makes a history row recognizable, as in flowstate.
fn token() -> String {
    format!("{:032x}", fastrand::u128(..))
}
