//! A worker that drives the flows: it claims, retries and takes over by itself.

use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::Duration;

use diesel::r2d2::ConnectionManager;
use flowstate_diesel::{
    Backoff, BoxError, Claim, Policy, Result, Running, Stats, StepError, Worker, prelude::*,
};

use crate::client::Client;
use crate::database::{Connections, Database};
use crate::flow::{
    GONE, SyncThirdPartyApi, SyncThirdPartyApiFetch, SyncThirdPartyApiSave,
    SyncThirdPartyApiState as State, SyncThirdPartyApiSteps, ThirdPartyResponse,
};
use crate::leftovers::or_done_by_another;
use crate::progress::bar;

/// So late a claim of a dead run is failed over; a claim of a living one is extended in time.
const LEASE: Duration = Duration::from_secs(2);
/// So long a stopped run waits for what is in hand.
const GRACE: Duration = Duration::from_secs(5);
/// So long a flow is waited for before the next look at whether Ctrl-C came.
const LOOK: Duration = Duration::from_millis(100);

/// What the steps of the flow do.
struct Handlers {
    client: Client,
}

impl<C: Database> SyncThirdPartyApiSteps<C> for Handlers {
    // no transaction is open and no connection taken while the answer is waited for
    fn fetch(&self, flow: &Claim<SyncThirdPartyApiFetch>) -> Result<ThirdPartyResponse, StepError> {
        Ok(ThirdPartyResponse(self.client.get(&flow.third_party_id)?))
    }

    // the application's own write, `saved` and `completed` commit together or not at all
    fn save(
        &self,
        flow: &Claim<SyncThirdPartyApiSave>,
        response: ThirdPartyResponse,
        conn: &mut C,
    ) -> Result<(), StepError> {
        match conn.save_my_record(&flow.my_record_id, &response.0.to_string())? {
            0 => Err(StepError::permanent(GONE)),
            _ => Ok(()),
        }
    }

    fn fetch_policy(&self) -> Policy {
        policy()
    }

    fn save_policy(&self) -> Policy {
        policy()
    }
}

fn policy() -> Policy {
    let retry = Backoff::exponential(Duration::from_millis(25)).cap(LEASE).attempts(20);
    Policy::default().lease(LEASE).retry(retry)
}

pub(crate) struct Workers<C: Database> {
    pool: Connections<C>,
    running: Running<ConnectionManager<C>>,
    interrupted: Receiver<()>,
}

impl<C: Database> Workers<C> {
    pub(crate) fn start(
        pool: Connections<C>,
        client: Client,
        threads: u32,
    ) -> Result<Self, BoxError> {
        let running = Worker::new(pool.clone())
            .serve::<SyncThirdPartyApi>(Handlers { client })
            .threads(threads as usize)
            .poll(Duration::from_millis(100))
            .start()?;
        let (interrupt, interrupted) = channel();
        // a second Ctrl-C finds nobody that waits for it
        ctrlc::set_handler(move || interrupt.send(()).unwrap_or_default())?;
        Ok(Self { pool, running, interrupted })
    }

    /// Makes these flows ready for the workers and waits until every one of them is completed or
    /// given up. `None` if Ctrl-C came first.
    pub(crate) fn drive(&self, ids: &[i64], conn: &mut C) -> Result<Option<Vec<i64>>, BoxError> {
        for id in ids {
            let mut flow = SyncThirdPartyApi::find(*id, conn)?;
            if flow.state() == State::Pending {
                or_done_by_another(flow.hand_to_workers(conn))?;
            }
        }
        let bar = bar(ids.len());
        for id in ids {
            while SyncThirdPartyApi::await_outcome(*id, LOOK, &self.pool)?.is_none()
                && !SyncThirdPartyApi::find(*id, conn)?.has_given_up()
            {
                if self.interrupted.try_recv() != Err(TryRecvError::Empty) {
                    return Ok(None);
                }
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(Some(ids.to_vec()))
    }

    /// Claims nothing more, waits for what is in hand, and gives back what takes too long: the next
    /// run need not wait for a lease.
    pub(crate) fn stop(self) -> Result<Stats> {
        self.running.shutdown(GRACE)
    }
}
