//! Seeing the statements of pooled connections, and stopping them where a test wants to.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use diesel::connection::{Instrumentation, InstrumentationEvent};
use diesel::r2d2::{CustomizeConnection, Error, R2D2Connection};
use flowstate_diesel::Store;

/// A statement on its way.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Its text, and what is bound.
    pub text: &'a str,
    /// It has been answered.
    pub answered: bool,
}

impl Seen<'_> {
    /// Whether it is about to be sent and contains all of these.
    #[must_use]
    pub fn starts(&self, words: &[&str]) -> bool {
        !self.answered && words.iter().all(|word| self.text.contains(word))
    }

    /// Whether it has been answered and contains all of these.
    #[must_use]
    pub fn ends(&self, words: &[&str]) -> bool {
        self.answered && words.iter().all(|word| self.text.contains(word))
    }
}

/// Is told of every statement of the connections that it is given to.
#[derive(Clone)]
pub struct Watch(Arc<dyn Fn(Seen<'_>) + Send + Sync>);

impl Watch {
    /// Tells `see`.
    pub fn new(see: impl Fn(Seen<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(see))
    }

    /// Keeps the texts of all statements.
    #[must_use]
    pub fn keeping() -> (Self, Kept) {
        let kept = Kept::default();
        let keeper = kept.clone();
        let watch = Self::new(move |seen| {
            if !seen.answered {
                keeper.lock().push(seen.text.to_owned());
            }
        });
        (watch, kept)
    }

    /// Watches a connection of a test's own.
    pub fn over<C: Store>(&self, conn: &mut C) {
        flowstate_diesel::instrument(conn, self.clone());
    }
}

/// The statements so far.
#[derive(Clone, Debug, Default)]
pub struct Kept(Arc<Mutex<Vec<String>>>);

impl Kept {
    /// Takes them out.
    #[must_use]
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Instrumentation for Watch {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        let (query, answered) = match &event {
            InstrumentationEvent::StartQuery { query, .. } => (query.to_string(), false),
            InstrumentationEvent::FinishQuery { query, .. } => (query.to_string(), true),
            _ => return,
        };
        (self.0)(Seen { text: &query, answered });
    }
}

impl<C: Store + R2D2Connection + 'static> CustomizeConnection<C, Error> for Watch {
    fn on_acquire(&self, conn: &mut C) -> Result<(), Error> {
        self.over(conn);
        Ok(())
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}
