//! Names of the prelude that mean something else.

use ::core::prelude::v1::derive;
use ::flow_core::Flow;
use ::ser::{Deserialize, Serialize};

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
    Into { str: u8, usize: bool }
)]
#[transition(drop: Some => None, persist(Iterator, Into))]
#[transition(clone: None => Copy)]
#[transition(copy: Copy => Clone, load(Into), persist(Vec))]
#[transition(default: Clone => Default, load(Vec, Iterator))]
#[transition(ok: None | Clone => Ok)]
#[transition(err: * => Err)]
#[transition(state: Err => Some)]
pub struct Sync {
    /// A field with the name of a primitive type.
    pub str: u8,
}
