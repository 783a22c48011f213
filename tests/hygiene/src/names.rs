//! Raw identifiers, generic artefacts, types by path, and two flows with names in common.

use ::core::prelude::v1::derive;
use ::flow_core::Flow;
use ::ser::{Deserialize, Serialize};

/// A generic type of the user.
#[derive(::core::fmt::Debug, Serialize, Deserialize)]
#[serde(crate = "::ser")]
pub struct Page<T> {
    /// What is on it.
    pub content: T,
}

/// A type that is known by another name.
pub type Number = Page<u64>;

/// Types by path.
pub mod paper {
    use ::core::prelude::v1::derive;

    /// A type by path.
    #[derive(::core::fmt::Debug, ::ser::Serialize, ::ser::Deserialize)]
    #[serde(crate = "::ser")]
    pub struct PrintedLabel<const N: usize>(u8);
}

/// A flow with raw names.
#[derive(::core::fmt::Debug, Flow, Serialize, Deserialize)]
#[serde(crate = "::ser")]
#[flow(crate = ::flow_core, name = "invoice-v2")]
#[state(
    /// It has a doc comment.
    ///
    /// And a second paragraph.
    Open,
    r#Type,
    Paid
)]
#[initial(Open)]
#[completed(Paid)]
#[persist(
    /// A raw field.
    #[derive(::core::fmt::Debug)]
    r#Type { r#type: u8, r#final: bool }
)]
#[persist(Page<(u8, Page<u8>)>, rename = "sheet", alias = "page")]
#[persist(paper::PrintedLabel<3>)]
#[transition(r#type: Open => r#Type, persist(r#Type))]
#[transition(complete: r#Type => Paid, persist(Page, PrintedLabel), load(r#Type))]
pub struct Invoice {
    /// A raw field.
    pub r#type: u8,
}

/// A flow with the transitions of the other one.
#[derive(::core::fmt::Debug, Flow, Serialize, Deserialize)]
#[serde(crate = "::ser")]
#[flow(crate = ::flow_core)]
#[state(Open, Paid)]
#[initial(Open)]
#[completed(Paid)]
#[persist(
    #[derive(::core::fmt::Debug)]
    Scan(
        /// Documented.
        pub u8,
        #[serde(default)] bool,
    ),
    Number
)]
#[persist(Page<::core::primitive::u8>)]
#[transition(complete: Open => Paid, persist(Scan, Page, Number))]
pub struct Parcel {}
