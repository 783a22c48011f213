//! Names of the prelude that mean something else.

use ::core::prelude::v1::derive;
use ::flow_core::Flow;
use ::flow_store::prelude::SqliteConnection;
use ::flow_store::{RecordStore as _, Step};
use ::ser::{Deserialize, Serialize};

/// Shadows the crate.
pub mod core {}
/// Shadows the crate.
pub mod std {}
/// Shadows the crate.
pub mod diesel {}
/// Shadows the crate.
pub mod serde {}
/// Shadows the crate.
pub mod flowstate {}
/// Shadows the crate.
pub mod flowstate_diesel {}

/// Shadows the type.
#[derive(::core::fmt::Debug, Serialize, Deserialize)]
#[serde(crate = "::ser")]
pub struct String;

/// Shadows the type.
#[derive(::core::fmt::Debug, Serialize, Deserialize)]
#[serde(crate = "::ser")]
pub struct Vec(u8);

/// Shadows the type.
#[derive(::core::fmt::Debug)]
pub enum Option {}

/// Shadows the type.
#[derive(::core::fmt::Debug)]
pub enum Result {}

/// Shadows the variant.
#[derive(::core::fmt::Debug)]
pub struct Ok;

/// Shadows the trait.
pub trait Send {
    /// Shadows the conversion.
    fn from(&self) -> (Option, Result, Ok, String);
}

/// A flow with the name of a trait that it must implement.
#[derive(::core::fmt::Debug, Flow, Serialize, Deserialize)]
#[serde(crate = "::ser")]
#[flow(crate = ::flow_core)]
#[state(Some, None, Ok, Err(error), Copy, Clone, Default)]
#[initial(Some)]
#[completed(Ok, Default(destroy))]
#[persist(Vec)]
#[persist(
    #[derive(::core::fmt::Debug)]
    Iterator(u8),
    #[derive(::core::fmt::Debug)]
    #[serde(rename_all = "camelCase")]
    Into {
        /// An attribute of serde on a field.
        #[serde(default)]
        str: u8,
        usize: bool,
    }
)]
#[transition(drop: Some => None, persist(Iterator, Into))]
#[step(clone: None => Copy => Clone(persist(Vec)), fail(Err))]
#[transition(copy: Copy => Clone, load(Into), persist(Vec))]
#[transition(default: Clone => Default, load(Vec, Iterator))]
#[transition(ok: None | Clone => Ok)]
#[transition(err: * => Err)]
#[transition(state: Err => Some)]
pub struct Sync {
    /// A field with the name of a primitive type.
    pub str: u8,
}

impl SyncRecord {
    /// Uses a transition that persists.
    ///
    /// # Errors
    /// Those of the store.
    pub fn drop_both(
        &mut self,
        both: (Iterator, Into),
        conn: &mut SqliteConnection,
    ) -> ::flow_store::Result<()> {
        self.transition(Sync::DROP, conn).persist(both).then(Sync::START_CLONE).run()
    }

    /// Uses one that loads.
    ///
    /// # Errors
    /// Those of the store.
    pub fn copy(&mut self, new: Vec, conn: &mut SqliteConnection) -> ::flow_store::Result<Into> {
        self.transition(Sync::COPY, conn)
            .guard("it has a name", |flow, _| flow.str > 0)
            .persist(new)
            .run()
    }
}

/// A step of a worker.
#[must_use]
pub fn step() -> impl ::core::marker::Send {
    Sync::CLONE.lease(::core::time::Duration::from_secs(1))
}
