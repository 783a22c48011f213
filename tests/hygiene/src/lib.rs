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
pub mod names;
pub mod places;
pub mod shadows;

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
