//! The statements that a call sends.

use std::sync::{Arc, Mutex, PoisonError};

use diesel::connection::{Instrumentation, InstrumentationEvent};
use flowstate_diesel::AsStore;

type Texts = Arc<Mutex<Vec<String>>>;

/// Notes the text of every statement.
struct Notes(Texts);

impl Instrumentation for Notes {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            let text = query.to_string();
            let text = text.split(" -- binds").next().unwrap_or_default().to_owned();
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(text);
        }
    }
}

/// The texts of the statements that `work` sends.
pub fn sent<S: AsStore, R>(conn: &mut S, work: impl FnOnce(&mut S) -> R) -> (Vec<String>, R) {
    let texts = Texts::default();
    flowstate_diesel::instrument(conn, Notes(Arc::clone(&texts)));
    let result = work(conn);
    flowstate_diesel::instrument(conn, |_: InstrumentationEvent<'_>| ());
    let sent = std::mem::take(&mut *texts.lock().unwrap_or_else(PoisonError::into_inner));
    (sent, result)
}
