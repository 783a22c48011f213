//! What a record has ended with, and waiting for it.

use flowstate::{Flow, FlowOutcome as _};

use crate::dialect::Dialect;
use crate::dialect::rows::FlowRow;
use crate::error::{Error, RecordRef, Result};
use crate::transaction::read::read as ask;
use crate::transition::artefacts::{Stored, newest_row};
use crate::transition::decode;
use crate::transition::typed::Decoder;

#[cfg(feature = "r2d2")]
pub(super) use waiting::wait;

/// What a record has ended with, and its row. `check` may refuse the row.
pub(super) fn read<F: Flow, C: Dialect>(
    id: i64,
    conn: &mut C,
    check: &dyn Fn(&FlowRow) -> Result<()>,
) -> Result<(Option<F::Outcome>, FlowRow)> {
    loop {
        let row = decode::fetch::<F, _>(conn, id)?;
        check(&row)?;
        match of_row::<F, C>(&row, conn) {
            // somebody has deleted the record meanwhile, or taken it up again
            Err(Error::MissingArtefact { .. })
                if decode::fetch::<F, _>(conn, id)?.seq != row.seq => {}
            outcome => return Ok((outcome?, row)),
        }
    }
}

/// What the record has ended with as of this row: what was persisted since is not there.
fn of_row<F: Flow, C: Dialect>(row: &FlowRow, conn: &mut C) -> Result<Option<F::Outcome>> {
    let record = RecordRef::of::<F>(row.id);
    let state = decode::state::<F>(&row.state, record)?;
    let mut newest = |name: &'static str, aliases: &'static [&'static str]| {
        let names = (name, aliases);
        let newest = ask(conn, record, |conn| newest_row(conn, row.id, None, names, false))?;
        Ok(newest.filter(|artefact| artefact.seq <= row.seq).map(Stored::from))
    };
    F::Outcome::read(state, &mut Decoder::new(record, &mut newest))
}

#[cfg(feature = "r2d2")]
mod waiting {
    use std::ops::ControlFlow;
    use std::sync::{Arc, Condvar, Mutex, PoisonError};
    use std::time::{Duration, Instant};

    use diesel::r2d2::{ManageConnection, Pool};
    use flowstate::{Flow, Record};

    use crate::dialect::connection::Store;
    use crate::error::{Error, Result};
    use crate::transaction::notify;
    use crate::transaction::notify::{Listener, Notification};
    use crate::transition::decode;

    /// Between two looks, at first: a step that is quick has ended by then.
    const SHORTEST_PAUSE: Duration = Duration::from_millis(25);
    /// Between two looks, after some: what others commit is seen so late.
    const LONGEST_PAUSE: Duration = Duration::from_secs(1);

    pub(in crate::store) fn wait<F, M>(
        id: i64,
        timeout: Duration,
        pool: &Pool<M>,
    ) -> Result<Option<F::Outcome>>
    where
        F: Flow,
        M: ManageConnection<Connection: Store>,
    {
        // before the first look, so that nothing is missed between it and the wait
        let waiter = Arc::new(Waiter::new(F::DEFINITION.names()));
        notify::register(&waiter);
        let began = Instant::now();
        let mut pause = SHORTEST_PAUSE;
        loop {
            if let ControlFlow::Break(ended) = look::<F, M>(id, pool)? {
                return Ok(ended);
            }
            let left = timeout.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Ok(None);
            }
            waiter.wait(pause.min(left));
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Whether to wait no longer: it has ended, or given up.
    fn look<F, M>(id: i64, pool: &Pool<M>) -> Result<ControlFlow<Option<F::Outcome>>>
    where
        F: Flow,
        M: ManageConnection<Connection: Store>,
    {
        let mut conn =
            pool.get().map_err(|error| Error::NoConnection { source: Box::new(error) })?;
        let (outcome, row) = super::read::<F, _>(id, &mut *conn, &|_| Ok(()))?;
        if let Some(outcome) = outcome {
            return Ok(ControlFlow::Break(Some(outcome)));
        }
        let flow = Record::new(decode::decode::<F>(row, None)?);
        // one that has ended where this version has no end will come to no other
        let rests = flow.has_given_up() || flow.is_completed();
        Ok(if rests { ControlFlow::Break(None) } else { ControlFlow::Continue(()) })
    }

    /// A thread that waits until a record of a flow has come to rest.
    pub(super) struct Waiter {
        /// The names of the flow.
        flow: Vec<&'static str>,
        woken: Mutex<bool>,
        bell: Condvar,
    }

    impl Waiter {
        pub(super) fn new(flow: impl IntoIterator<Item = &'static str>) -> Self {
            let flow = flow.into_iter().collect();
            Self { flow, woken: Mutex::new(false), bell: Condvar::new() }
        }

        pub(super) fn wait(&self, pause: Duration) {
            let woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
            let waited = self.bell.wait_timeout_while(woken, pause, |woken| !*woken);
            *waited.unwrap_or_else(PoisonError::into_inner).0 = false;
        }
    }

    impl Listener for Waiter {
        // what is due has not ended; and nobody waits here for whatever may be due
        fn notify(&self, _: Option<Notification>) {}

        fn rested(&self, notification: Notification) {
            if self.flow.contains(&notification.flow) {
                *self.woken.lock().unwrap_or_else(PoisonError::into_inner) = true;
                self.bell.notify_one();
            }
        }
    }
}

#[cfg(all(test, feature = "r2d2"))]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::channel;
    use std::thread;
    use std::time::Duration;

    use super::waiting::Waiter;
    use crate::transaction::notify;
    use crate::transaction::notify::Notification;

    /// Nothing else could wake it in time.
    #[test]
    fn a_record_that_comes_to_rest_wakes_who_waits_for_one_of_its_flow() {
        let waiter = Arc::new(Waiter::new(["mine"]));
        notify::register(&waiter);
        let (woken, is_woken) = channel();
        let waiting = thread::spawn(move || {
            waiter.wait(Duration::from_hours(1));
            woken.send(()).unwrap_or_default();
        });
        let news = |flow, is_due| Notification { flow, state: "there", is_due };
        for other in [news("mine", true), news("another", false)] {
            notify::committed([other]);
            assert!(is_woken.try_recv().is_err());
        }
        notify::committed([news("mine", false)]);
        waiting.join().unwrap_or_default();
        assert!(is_woken.recv().is_ok());
    }
}
