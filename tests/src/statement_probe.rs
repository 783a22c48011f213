//! A probe that sees the statements of connections, and stops them where a test wants to.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use diesel::connection::{Instrumentation, InstrumentationEvent};
use diesel::r2d2::{CustomizeConnection, Error, R2D2Connection};
use flowstate_diesel::{AsStore, Store};

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

    /// Whether it commits a transaction of several statements.
    #[must_use]
    pub fn commits(&self) -> bool {
        ["COMMIT", "SET autocommit = 1"].iter().any(|words| self.text.starts_with(words))
    }
}

/// Sees every statement of the connections that it is given to.
#[derive(Clone)]
pub struct Probe(Arc<dyn Fn(Seen<'_>) + Send + Sync>);

impl Probe {
    /// Tells `see`.
    pub fn new(see: impl Fn(Seen<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(see))
    }

    /// Keeps the texts of all statements.
    #[must_use]
    pub fn recording() -> (Self, Recorded) {
        let recorded = Recorded::default();
        let record = recorded.clone();
        let probe = Self::new(move |seen| {
            if !seen.answered {
                record.keep(seen.text);
            }
        });
        (probe, recorded)
    }

    /// Puts it on a connection of a test's own.
    pub fn over<C: Store>(&self, conn: &mut C) {
        flowstate_diesel::instrument(conn, self.clone());
    }
}

/// The texts of the statements that `work` sends, without what is bound.
pub fn sent<S: AsStore, R>(conn: &mut S, work: impl FnOnce(&mut S) -> R) -> (Vec<String>, R) {
    let (probe, recorded) = Probe::recording();
    flowstate_diesel::instrument(conn, probe);
    let result = work(conn);
    flowstate_diesel::instrument(conn, |_: InstrumentationEvent<'_>| ());
    let text = |sent: String| sent.split(" -- binds").next().unwrap_or_default().to_owned();
    (recorded.take().into_iter().map(text).collect(), result)
}

/// The statements so far.
#[derive(Clone, Debug, Default)]
pub struct Recorded(Arc<Mutex<Vec<String>>>);

impl Recorded {
    /// How many of them are of a kind.
    #[must_use]
    pub fn count(&self, is_of_it: impl Fn(&str) -> bool) -> usize {
        self.lock().iter().filter(|text| is_of_it(text)).count()
    }

    /// Takes them out.
    #[must_use]
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.lock())
    }

    /// Keeps one more.
    pub fn keep(&self, text: &str) {
        self.lock().push(text.to_owned());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Instrumentation for Probe {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        let (query, answered) = match &event {
            InstrumentationEvent::StartQuery { query, .. } => (query.to_string(), false),
            InstrumentationEvent::FinishQuery { query, .. } => (query.to_string(), true),
            _ => return,
        };
        (self.0)(Seen { text: &query, answered });
    }
}

impl<C: Store + R2D2Connection + 'static> CustomizeConnection<C, Error> for Probe {
    fn on_acquire(&self, conn: &mut C) -> Result<(), Error> {
        self.over(conn);
        Ok(())
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Probe")
    }
}
