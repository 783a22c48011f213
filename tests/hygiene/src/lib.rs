//! A crate that makes it hard for generated code: names of the standard library and of our
//! dependencies mean something else here, the dependencies are renamed, and every warning is an
//! error. That it compiles is the test; see also `cargo clippy`.
#![no_implicit_prelude]
#![forbid(missing_docs, unsafe_code)]
#![deny(warnings, rust_2018_idioms, nonstandard_style, unused, future_incompatible)]
#![deny(
    missing_debug_implementations,
    single_use_lifetimes,
    trivial_casts,
    trivial_numeric_casts,
    unnameable_types,
    unreachable_pub,
    unused_lifetimes,
    unused_qualifications,
    unused_results
)]
#![deny(clippy::all, clippy::pedantic, clippy::nursery, clippy::duplicated_attributes)]
#![deny(clippy::as_conversions, clippy::indexing_slicing, clippy::missing_docs_in_private_items)]

pub mod large;
pub mod made;
pub mod names;
pub mod places;
pub mod raw;
pub mod shadows;
pub mod steps;

/// Shadows the crate, for the flow in this module and in `shadows`.
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

/// A flow in the root of the crate.
#[::core::prelude::v1::derive(
    ::core::fmt::Debug,
    ::flow_core::Flow,
    ::ser::Serialize,
    ::ser::Deserialize
)]
#[serde(crate = "::ser")]
#[flow(crate = ::flow_core)]
#[state(Asked, Answered, Expired)]
#[initial(Asked)]
#[completed(Answered, Expired)]
#[persist(
    #[derive(::core::fmt::Debug)]
    Answer(u8)
)]
#[transition(answer: Asked => Answered, persist(Answer))]
#[transition(expire: * => Expired, after("3 days"))]
pub struct Question {}
