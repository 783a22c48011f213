//! The threads of a worker.

use std::sync::Arc;
use std::thread::JoinHandle;

use diesel::r2d2::ManageConnection;

use super::core::{Core, Phase, Stage};
use super::listen::Connect;
use crate::dialect::connection::Store;
use crate::error::{Error, Result};
use crate::transaction::notify;

/// Starts the stages, each with its threads: all of them, or none.
pub(crate) fn spawn<M: ManageConnection<Connection: Store>>(
    core: &Arc<Core<M>>,
    connect: Option<Connect<M::Connection>>,
) -> Result<Vec<JoinHandle<()>>> {
    notify::register(core);
    let start = || {
        let stages = [Stage::Heartbeat, Stage::Tell, Stage::Settle, Stage::Poll, Stage::Watch];
        let mut handles = Vec::new();
        for stage in stages {
            handles.push(thread(core, stage, stage.name())?);
        }
        if let Some(connect) = connect {
            // it holds no claim, and may wait for a server that does not answer: nobody waits for it
            drop(named(core, "listen", move |core| core.listen(&connect))?);
        }
        for at in 0..core.threads {
            handles.push(thread(core, Stage::Handler, &at.to_string())?);
        }
        Ok(handles)
    };
    let started = start();
    core.shared().phase = if started.is_ok() { Phase::Working } else { Phase::NeverStarted };
    core.changed.notify_all();
    started
}

fn named<M: ManageConnection<Connection: Store>>(
    core: &Arc<Core<M>>,
    name: &str,
    work: impl FnOnce(&Arc<Core<M>>) + Send + 'static,
) -> Result<JoinHandle<()>> {
    let core = Arc::clone(core);
    let builder = std::thread::Builder::new().name(format!("flowstate-{name}"));
    let spawned = builder.spawn(move || {
        // until all are there, nothing is claimed that nobody could give back
        if core.is_started() {
            work(&core);
        }
    });
    spawned.map_err(|source| Error::NoThread { source })
}

/// Starts a thread of a stage.
fn thread<M: ManageConnection<Connection: Store>>(
    core: &Arc<Core<M>>,
    stage: Stage,
    name: &str,
) -> Result<JoinHandle<()>> {
    named(core, name, move |core| {
        stage.enter();
        match stage {
            Stage::Poll => core.poll(),
            Stage::Handler => core.handle(),
            Stage::Settle => core.settle(),
            Stage::Heartbeat => core.keep(),
            Stage::Tell => core.tell(),
            Stage::Watch => core.watch(|core, stage| thread(core, stage, stage.name()).map(drop)),
        }
    })
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
        let all = shared.is_quiet() && shared.is_done(self.threads);
        // it may wait for a connection beyond the grace, or for an answer that never comes
        (all && !self.watch.is_given_up(thread.thread().id())) || thread.is_finished()
    }
}
