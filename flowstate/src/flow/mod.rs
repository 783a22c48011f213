//! What a flow is, and what is said of one: its states, its records, its artefacts.

mod artefact;
mod record;
mod state;

use std::ops::DerefMut;

use serde::de::DeserializeOwned;
use serde::{Deserializer, Serialize};

pub use self::artefact::{Artefact, ArtefactReader, ArtefactSet, ArtefactWriter};
pub use self::record::{Record, Row, TransactionOutcome};
pub use self::state::{State, UnknownState};
use crate::Definition;
use crate::definition::LockFile;
use crate::derived::Derived;

/// A kind of process: the annotated struct. Its fields are the props, kept as JSON.
///
/// Implemented by [`#[derive(Flow)]`](macro@crate::Flow).
pub trait Flow: Derived + Serialize + DeserializeOwned + Send + Sync + Sized + 'static {
    /// The generated enum of the states.
    type State: State;

    /// The generated wrapper round [`Record`], on which users define their methods.
    type Record: From<Record<Self>> + Into<Record<Self>> + DerefMut<Target = Record<Self>>;

    /// The generated enum of what a record may end with: an arm for each completed state, with the
    /// artefacts that every path to it has persisted. A state that deletes the record has none,
    /// since nothing is left to read.
    type Outcome: FlowOutcome<Self>;

    /// The graph as data: names, states, transitions, artefacts.
    const DEFINITION: &'static Definition;

    /// The name under which records of this flow are stored.
    const NAME: &'static str = Self::DEFINITION.name;

    /// Earlier names: records that were stored under one of them are records of this flow.
    const ALIASES: &'static [&'static str] = Self::DEFINITION.aliases;

    /// The version of the props that are written: from 1 up.
    const VERSION: u32 = Self::DEFINITION.version;

    /// Reads props that were written as this version, from 1 to [`VERSION`](Self::VERSION), and makes
    /// of them what they are now.
    ///
    /// # Errors
    /// When they are no props of that version.
    fn read_version<'de, D: Deserializer<'de>>(version: u32, props: D) -> Result<Self, D::Error> {
        let _ = version;
        Self::deserialize(props)
    }

    /// The labels of a record with these props, by their names.
    #[must_use]
    fn labels(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Has `reader` read the artefact that has this stored name, or had it: for storage backends that
    /// look whether payloads can be read. `false` if the flow has no such artefact.
    ///
    /// # Errors
    /// That of the reader.
    fn read_artefact<R: ArtefactReader<Self>>(
        name: &str,
        reader: &mut R,
    ) -> Result<bool, R::Error> {
        let (_, _) = (name, reader);
        Ok(false)
    }

    /// The lock file: what the flow was when records that run now came to where they stand. `None`
    /// without `#[flow(lock)]`.
    const LOCK: Option<LockFile> = None;
}

/// What records of the flow `F` end with: an enum that the derive generates.
pub trait FlowOutcome<F: Flow>: Sized {
    /// What a record in this state has ended with, its artefacts read from `reader`: for storage
    /// backends. `None` if the state is not completed, or deletes the record.
    ///
    /// # Errors
    /// The first error of the reader.
    fn read<R: ArtefactReader<F>>(
        state: F::State,
        reader: &mut R,
    ) -> Result<Option<Self>, R::Error>;
}
