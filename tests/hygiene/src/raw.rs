//! Keywords as names.
#![expect(non_camel_case_types, reason = "keywords are lower case")]

use ::core::prelude::v1::derive;
use ::flow_core::Flow;
use ::ser::{Deserialize, Serialize};

/// A flow, its states, artefacts, transitions and fields.
#[derive(::core::fmt::Debug, Flow, Serialize, Deserialize)]
#[serde(crate = "::ser")]
#[flow(crate = ::flow_core, record = r#final, state = r#enum)]
#[state(r#type, r#match, r#abstract(error, rename = "gone"), r#Plain)]
#[initial(r#type)]
#[completed(Plain)]
#[persist(
    #[derive(::core::fmt::Debug)]
    r#fn { r#type: u8, r#move: bool }
)]
#[transition(r#move: r#type => r#match, persist(r#fn))]
#[transition(r#loop: r#match | r#abstract => r#match, load(r#fn))]
#[transition(r#fail: r#match => r#abstract)]
#[transition(r#try: * => r#Plain)]
pub struct r#struct {
    /// A raw field.
    pub r#in: u8,
}

/// Its names as they are used.
#[must_use]
pub const fn state() -> r#enum {
    let _ = (r#struct::MOVE, r#struct::LOOP, r#struct::FAIL, r#struct::TRY);
    r#enum::r#match
}
