//! The threads of a worker.

use std::sync::Arc;
use std::thread::JoinHandle;

use diesel::r2d2::ManageConnection;

use super::core::{Core, Phase};
use crate::dialect::connection::Store;
use crate::error::{Error, Result};
use crate::transaction::notify;

/// Starts the stages, each with its threads: all of them, or none.
pub(crate) fn spawn<M: ManageConnection<Connection: Store>>(
    core: &Arc<Core<M>>,
) -> Result<Vec<JoinHandle<()>>> {
    notify::register(core);
    let named = |name: &str, work: fn(&Core<M>)| {
        let core = Arc::clone(core);
        let thread = std::thread::Builder::new().name(format!("flowstate-{name}"));
        let thread = thread.spawn(move || {
            // until all are there, nothing is claimed that nobody could give back
            if core.is_started() {
                work(&core);
            }
        });
        thread.map_err(|source| Error::NoThread { source })
    };
    let start = || {
        let mut handles = vec![
            named("heartbeat", Core::keep)?,
            named("tell", Core::tell)?,
            named("settle", Core::settle)?,
            named("poll", Core::poll)?,
        ];
        for at in 0..core.threads {
            handles.push(named(&at.to_string(), Core::handle)?);
        }
        Ok(handles)
    };
    let started = start();
    core.shared().phase = if started.is_ok() { Phase::Working } else { Phase::NeverStarted };
    core.changed.notify_all();
    started
}

impl<M: ManageConnection<Connection: Store>> Core<M> {
    /// Waits until all threads are there. `false` if one could not be had.
    fn is_started(&self) -> bool {
        let mut shared = self.shared();
        while shared.phase == Phase::Starting {
            shared = self.wait(shared, self.poll);
        }
        shared.phase != Phase::NeverStarted
    }

    pub(crate) fn has_ended(&self, thread: &JoinHandle<()>) -> bool {
        let shared = self.shared();
        // it may wait for a connection beyond the grace
        (shared.is_quiet() && shared.is_done(self.threads)) || thread.is_finished()
    }
}
