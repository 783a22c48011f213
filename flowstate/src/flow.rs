//! What a flow and its states are.

use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::ops::DerefMut;
use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::__private::Derived;
use crate::lock::LockFile;
use crate::{ArtefactReader, Definition, Record, StateDefinition};

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

    /// The labels of a record with these props, by their names.
    #[must_use]
    fn labels(&self) -> Vec<(&'static str, String)> {
        Vec::new()
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

/// The states of one flow, an enum that the derive generates.
///
/// The text form ([`State::as_str`], `Display`, `FromStr`, serde) is the stored name.
/// `FromStr` also reads the names given as `alias`.
pub trait State:
    Derived + Copy + Eq + Hash + Debug + Display + FromStr<Err = UnknownState> + Send + Sync + 'static
{
    /// Every state, in the order of declaration.
    const ALL: &'static [Self];

    /// What the attributes say of this state.
    fn definition(self) -> &'static StateDefinition;

    /// The stored name.
    #[must_use]
    fn as_str(self) -> &'static str {
        self.definition().name
    }

    /// Whether this state stands for a failure.
    #[must_use]
    fn is_error(self) -> bool {
        self.definition().is_error
    }

    /// Whether the process has ended here.
    #[must_use]
    fn is_completed(self) -> bool {
        self.definition().is_completed
    }
}

/// A stored name that is no state of the flow: the row was written by other code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownState {
    /// The stored name of the flow.
    pub flow: &'static str,
    /// The name that was found.
    pub state: String,
}

impl Display for UnknownState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` is no state of the flow `{}`", self.state, self.flow)
    }
}

impl std::error::Error for UnknownState {}
