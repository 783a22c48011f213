//! Capture of what is told to `tracing`, and stopping who tells it where a test wants to.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Runs `work` in this thread, and calls `hear` with the message of every event in it.
pub fn listening<R>(hear: impl Fn(&str) + Send + Sync + 'static, work: impl FnOnce() -> R) -> R {
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

/// What was told, by whatever thread.
#[derive(Clone, Debug, Default)]
pub struct Capture(Arc<Mutex<Vec<Captured>>>);

/// An event or a span.
#[derive(Clone, Debug, Default)]
pub struct Captured {
    /// The message, or the name of a span.
    pub what: String,
    /// In small letters.
    pub level: String,
    /// What it has, by name, but for the message.
    pub fields: BTreeMap<&'static str, String>,
}

impl Capture {
    /// Hears what this library tells in the whole process, from now on.
    ///
    /// # Panics
    /// If somebody hears already.
    #[must_use]
    pub fn start() -> Self {
        let capture = Self::default();
        tracing::subscriber::set_global_default(capture.clone()).expect("nobody hears");
        capture
    }

    /// What was told so far.
    #[must_use]
    pub fn captured(&self) -> Vec<Captured> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Captured>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Captured {
    fn of(metadata: &Metadata<'_>) -> Self {
        let level = metadata.level().as_str().to_lowercase();
        Self { what: metadata.name().to_owned(), level, fields: BTreeMap::new() }
    }
}

impl Visit for Captured {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let value = format!("{value:?}").trim_matches('"').to_owned();
        if field.name() == "message" {
            self.what = value;
        } else {
            self.fields.insert(field.name(), value);
        }
    }
}

impl Subscriber for Capture {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("flowstate_diesel")
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut captured = Captured::of(attributes.metadata());
        attributes.record(&mut captured);
        let mut all = self.lock();
        all.push(captured);
        Id::from_u64(all.len().try_into().expect("few"))
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let at = usize::try_from(span.into_u64()).expect("few") - 1;
        values.record(&mut self.lock()[at]);
    }

    fn event(&self, event: &Event<'_>) {
        let mut captured = Captured::of(event.metadata());
        event.record(&mut captured);
        self.lock().push(captured);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}
