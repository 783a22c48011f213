//! What the lock file says, once it is read: states and artefacts are known by their position.

/// A lock file, held against the flow.
pub(crate) struct Locked {
    /// Below the folder of the crate's manifest.
    pub(crate) path: String,
    /// Where records may stand now, each state with the artefacts that every one there has.
    pub(crate) standing: Vec<(usize, Vec<usize>)>,
    /// The transitions that an older program may still take.
    pub(crate) former: Vec<Former>,
    /// The states in which records have ended.
    pub(crate) ended: Vec<usize>,
}

/// A transition as it was.
pub(crate) struct Former {
    pub(crate) name: String,
    pub(crate) from: Vec<usize>,
    pub(crate) to: usize,
    pub(crate) persists: Vec<usize>,
    pub(crate) loads: Vec<usize>,
}
