//! The flow: its graph, and a method for every change.

use std::sync::mpsc::Sender;

use flowstate::Flow;
use flowstate_diesel::{BoxError, Result, Store, prelude::*};
use serde::{Deserialize, Serialize};

use crate::my_records::MyRecords;

/// Fetch a response from a third-party API, keep it, then save it locally.
#[derive(Flow, Serialize, Deserialize)]
#[flow(lock)]
#[state(Pending, Picked, Fetching, Fetched, Saving, Saved, Completed)]
#[state(FailedToFetch(error), FailedToSave(error))]
#[initial(Pending)]
#[completed(Completed)]
#[persist(ThirdPartyResponse(serde_json::Value))]
#[transition(pick: Pending => Picked)]
#[step(fetch: Picked | FailedToFetch => Fetching => Fetched(persist(ThirdPartyResponse)),
       fail(FailedToFetch))]
#[step(save: Fetched | FailedToSave => Saving => Saved(then(complete)), load(ThirdPartyResponse),
       fail(FailedToSave), transactional)]
#[transition(complete: Saved => Completed)]
pub(crate) struct SyncThirdPartyApi {
    pub my_record_id: String,
    pub third_party_id: String,
}

/// Why a flow is given up.
pub(crate) const GONE: &str = "the record is gone";

/// Whom a transition wakes once it is committed: ids of flows to be taken up.
pub(crate) type Wake = Sender<i64>;

/// Generic over the connection, since this program runs on three databases. Where there is one,
/// `conn: &mut PgConnection` reads better.
impl SyncThirdPartyApiRecord {
    pub(crate) fn pick<C: Store>(&mut self, fetcher: &Wake, conn: &mut C) -> Result<()> {
        let fetcher = fetcher.clone();
        self.transition(SyncThirdPartyApi::PICK, conn)
            .after_commit(move |flow| fetcher.send(flow.id()))
            .run()
    }

    /// Picks for workers, which see by themselves what is to be done.
    pub(crate) fn hand_to_workers<C: Store>(&mut self, conn: &mut C) -> Result<()> {
        self.transition(SyncThirdPartyApi::PICK, conn).run()
    }

    pub(crate) fn start_fetch<C: Store>(&mut self, conn: &mut C) -> Result<()> {
        self.transition(SyncThirdPartyApi::START_FETCH, conn).run()
    }

    pub(crate) fn finish_fetch<C: Store>(
        &mut self,
        response: ThirdPartyResponse,
        saver: &Wake,
        conn: &mut C,
    ) -> Result<()> {
        let saver = saver.clone();
        self.transition(SyncThirdPartyApi::FINISH_FETCH, conn)
            .persist(response)
            .after_commit(move |flow| saver.send(flow.id()))
            .run()
    }

    pub(crate) fn fail_fetch<C: Store>(
        &mut self,
        error: impl Into<BoxError>,
        conn: &mut C,
    ) -> Result<()> {
        self.transition(SyncThirdPartyApi::FAIL_FETCH, conn).error(error).run()
    }

    /// Returns the response: the graph proves that it is there.
    pub(crate) fn start_save<C: MyRecords>(&mut self, conn: &mut C) -> Result<ThirdPartyResponse> {
        self.transition(SyncThirdPartyApi::START_SAVE, conn)
            .guard("the record still exists", |flow, conn| {
                conn.my_record_exists(&flow.my_record_id)
            })
            .run()
    }

    /// The application's own write, `saved` and `completed` commit together or not at all.
    pub(crate) fn finish_save<C: MyRecords>(&mut self, payload: &str, conn: &mut C) -> Result<()> {
        self.transition(SyncThirdPartyApi::FINISH_SAVE, conn)
            .within(|flow, conn| match conn.save_my_record(&flow.my_record_id, payload)? {
                0 => Err(BoxError::from(GONE)),
                _ => Ok(()),
            })
            .then(SyncThirdPartyApi::COMPLETE)
            .run()
    }

    pub(crate) fn fail_save<C: Store>(
        &mut self,
        error: impl Into<BoxError>,
        conn: &mut C,
    ) -> Result<()> {
        self.transition(SyncThirdPartyApi::FAIL_SAVE, conn).error(error).run()
    }
}
