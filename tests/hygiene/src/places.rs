//! Flows of every visibility, and in a function.

/// A module that things are visible in.
mod inner {
    use ::core::prelude::v1::derive;
    use ::flow_core::Flow;
    use ::ser::{Deserialize, Serialize};

    /// Seen in the crate.
    #[expect(clippy::redundant_pub_crate, reason = "the visibility is what is tried here")]
    #[derive(Flow, Serialize, Deserialize)]
    #[serde(crate = "::ser")]
    #[flow(crate = ::flow_core)]
    #[state(Open, Closed)]
    #[initial(Open)]
    #[completed(Closed)]
    #[persist(Seal(u8))]
    #[transition(close: Open => Closed, persist(Seal))]
    pub(crate) struct InCrate {}

    /// Seen in the module around.
    #[derive(Flow, Serialize, Deserialize)]
    #[serde(crate = "::ser")]
    #[flow(crate = ::flow_core)]
    #[state(Open, Closed)]
    #[initial(Open)]
    #[completed(Closed)]
    #[persist(Stamp { pub(crate) at: u8, by: u8 })]
    #[transition(close: Open => Closed, persist(Stamp))]
    pub(super) struct InSuper {}

    /// Seen by path.
    #[derive(Flow, Serialize, Deserialize)]
    #[serde(crate = "::ser")]
    #[flow(crate = ::flow_core, record = Kept, state = Stage)]
    #[state(Open, Closed)]
    #[initial(Open)]
    #[completed(Closed)]
    #[transition(close: Open => Closed)]
    pub(in crate::places) struct InPath {}

    /// Seen here.
    #[derive(Flow, Serialize, Deserialize)]
    #[serde(crate = "::ser")]
    #[flow(crate = ::flow_core)]
    #[state(Open, Closed)]
    #[initial(Open)]
    #[completed(Closed)]
    #[persist(Mark(u8))]
    #[transition(close: Open => Closed, persist(Mark))]
    struct Here {}
}

/// A flow in a function, with a payload that only the function knows.
#[must_use]
pub const fn in_a_function() -> usize {
    use ::ser::{Deserialize, Serialize};

    #[::core::prelude::v1::derive(Serialize, Deserialize)]
    #[serde(crate = "::ser")]
    struct Local(u8);

    #[::core::prelude::v1::derive(::flow_core::Flow, Serialize, Deserialize)]
    #[serde(crate = "::ser")]
    #[flow(crate = ::flow_core)]
    #[state(Open, Closed)]
    #[initial(Open)]
    #[completed(Closed)]
    #[persist(Local, Sealed(Local))]
    #[transition(close: Open => Closed, persist(Local, Sealed))]
    struct Door {}

    let _ = Sealed(Local(1));
    DoorState::ALL.len() + inner::Stage::ALL.len()
}
