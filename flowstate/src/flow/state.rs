//! The states of a flow.

use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::str::FromStr;

use crate::StateDefinition;
use crate::derived::Derived;

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
