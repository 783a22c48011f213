//! The stages of a worker, and to which of them a thread belongs.

use std::cell::Cell;

/// What a thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Poll,
    Handler,
    Settle,
    Heartbeat,
    Tell,
    Watch,
}

thread_local! {
    /// The stage that this thread has.
    static STAGE: Cell<Option<Stage>> = const { Cell::new(None) };
}

impl Stage {
    /// Has this thread belong to the stage.
    pub(super) fn enter(self) {
        STAGE.set(Some(self));
    }

    /// The one of this thread, if it is a worker's.
    pub(super) fn here() -> Option<Self> {
        STAGE.get()
    }

    /// Whether another thread can do its work while one waits for the database.
    pub(super) fn is_given_on(self) -> bool {
        // a handler's claim belongs to its thread, and of handlers there may be more
        !matches!(self, Self::Handler | Self::Watch)
    }

    /// What it is called where it is told.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Poll => "poll",
            Self::Handler => "handler",
            Self::Settle => "settle",
            Self::Heartbeat => "heartbeat",
            Self::Tell => "tell",
            Self::Watch => "watch",
        }
    }
}
