//! Flows that a macro writes.

use ::core::prelude::v1::derive;

/// The way that a macro of this crate takes to the core crate.
pub use ::flow_core as flow;

/// Makes a flow.
#[macro_export]
macro_rules! made {
    ($(#[$doc:meta])* $vis:vis $name:ident, $record:ident, $state:ident, $payload:ty, $time:literal) => {
        $(#[$doc])*
        #[derive(::core::fmt::Debug, ::flow_core::Flow, ::ser::Serialize, ::ser::Deserialize)]
        #[serde(crate = "::ser")]
        #[flow(crate = $crate::made::flow, record = $record, state = $state)]
        #[state(Open, Closed, Gone)]
        #[initial(Open)]
        #[completed(Closed, Gone)]
        #[persist(
            #[derive(::core::fmt::Debug)]
            Letter($payload)
        )]
        #[transition(close: Open => Closed, persist(Letter))]
        #[transition(go: * => Gone, after($time))]
        $vis struct $name {
            /// A field.
            pub payload: $payload,
        }
    };
}

made! {
    /// A flow that a macro made.
    pub Made, MadeRecord, MadeState, ::core::option::Option<u8>, "2 weeks"
}

/// In a function.
#[must_use]
pub fn in_a_function() -> usize {
    made! { Inner, InnerRecord, InnerState, u8, "1 hour 30 minutes" }
    let inner = Letter(1);
    InnerState::ALL
        .len()
        .saturating_add(<::core::primitive::usize as ::core::convert::From<u8>>::from(inner.0))
}
