//! Hearing what is told to `tracing`, and stopping who tells it where a test wants to.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Runs `work` in this thread, and calls `hear` with the message of every event in it.
pub fn hearing<R>(hear: impl Fn(&str) + Send + Sync + 'static, work: impl FnOnce() -> R) -> R {
    tracing::subscriber::with_default(Hear(hear), work)
}

struct Hear<F>(F);

impl<F: Fn(&str) + Send + Sync + 'static> Subscriber for Hear<F> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
    }

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Message(&self.0));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct Message<'a>(&'a dyn Fn(&str));

impl Visit for Message<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            (self.0)(&format!("{value:?}"));
        }
    }
}
