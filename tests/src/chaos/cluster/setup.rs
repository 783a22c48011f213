//! The clusters, and how they are harmed.

use std::time::SystemTime;

use super::options::Fault;

/// Several servers that hold the same data.
pub(super) trait Cluster: Send {
    /// Where callers and workers connect, with this database.
    fn urls(&self, database: &str) -> Vec<String>;

    /// Does what the fault says and has the cluster recover as its operator would. Takes as long as
    /// that takes. Returns when another server took over, if one did.
    fn harm(&mut self, fault: Fault) -> Option<TakeOver>;

    /// Whether what was confirmed is there after any of the faults.
    fn keeps_all(&self) -> bool {
        true
    }
}

/// One server failed, and another took over.
#[derive(Clone, Copy, Debug)]
pub(super) struct TakeOver {
    /// Until then the one answered,
    pub(super) left: SystemTime,
    /// and from then on nobody but the other, of whom everybody could know.
    pub(super) led: SystemTime,
}

/// A cluster that somebody else runs, and harms.
#[derive(Debug)]
pub(super) struct Elsewhere(pub(super) Vec<String>);

impl Cluster for Elsewhere {
    fn urls(&self, database: &str) -> Vec<String> {
        self.0.iter().map(|url| url.replace("{database}", database)).collect()
    }

    fn harm(&mut self, _: Fault) -> Option<TakeOver> {
        None
    }
}
