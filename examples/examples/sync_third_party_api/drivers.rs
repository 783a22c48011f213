//! Two plain threads that drive the flows: one fetches, one saves.

use std::sync::mpsc::{Sender, channel};
use std::thread;

use flowstate_diesel::{BoxError, Error, Result, Store, prelude::*};

use crate::app::App;
use crate::client::Client;
use crate::database::Database;
use crate::flow::{
    SyncThirdPartyApi, SyncThirdPartyApiRecord, SyncThirdPartyApiState as State,
    ThirdPartyResponse, Wake,
};
use crate::my_records::MyRecords;
use crate::progress::bar;
use crate::queue::Queue;

/// Where a driver reports: a flow that nobody works on any more, or what ended the driver.
type Settled = Sender<Result<i64>>;

pub(crate) struct Drivers<'a, C: Database> {
    app: &'a App<C>,
    client: &'a Client,
}

impl<'a, C: Database> Drivers<'a, C> {
    pub(crate) fn new(app: &'a App<C>, client: &'a Client) -> Self {
        Self { app, client }
    }

    /// Runs both threads until every one of these flows is completed or given up.
    ///
    /// Each sender is dropped by who uses it when no more can come, so that the threads end one
    /// after the other by themselves.
    pub(crate) fn drive(&self, ids: &[i64]) -> Result<Vec<i64>, BoxError> {
        let (fetcher, to_fetch) = channel();
        let (saver, to_save) = channel();
        let (settled, outcomes) = channel();
        let (next, given_up) = (saver.clone(), settled.clone());
        let client = self.client;
        let mut conns = (self.app.connection()?, self.app.connection()?, self.app.connection()?);
        thread::scope(|threads| {
            threads.spawn(move || {
                let queue = Queue::new(to_fetch);
                let ended = fetch(client, queue, &next, &given_up, &mut *conns.0);
                report(ended, &given_up);
            });
            threads.spawn(move || {
                let ended = save(Queue::new(to_save), &settled, &mut *conns.1);
                report(ended, &settled);
            });
            for id in ids {
                resume(*id, &fetcher, &saver, &mut *conns.2)?;
            }
            drop((fetcher, saver));
            let bar = bar(ids.len());
            let settled: Result<Vec<_>> = outcomes.iter().inspect(|_| bar.inc(1)).collect();
            bar.finish_and_clear();
            Ok(settled?)
        })
    }
}

fn fetch<C: Store>(
    client: &Client,
    mut queue: Queue,
    saver: &Wake,
    settled: &Settled,
    conn: &mut C,
) -> Result<()> {
    while let Some(id) = queue.next() {
        let mut flow = SyncThirdPartyApi::find(id, conn)?;
        flow.start_fetch(conn)?;
        // no transaction is open while the answer is waited for
        match client.get(&flow.third_party_id) {
            Ok(body) => flow.finish_fetch(ThirdPartyResponse(body), saver, conn)?,
            Err(error) => {
                flow.fail_fetch(error, conn)?;
                give_up_unless(queue.try_again(id), id, settled);
            }
        }
    }
    Ok(())
}

fn save<C: MyRecords>(mut queue: Queue, settled: &Settled, conn: &mut C) -> Result<()> {
    while let Some(id) = queue.next() {
        let mut flow = SyncThirdPartyApi::find(id, conn)?;
        let ThirdPartyResponse(body) = match flow.start_save(conn) {
            Ok(response) => response,
            // it stays where it is: there is nothing to save into
            Err(Error::GuardRejected { .. }) => {
                drop(settled.send(Ok(id)));
                continue;
            }
            Err(error) => return Err(error),
        };
        match flow.finish_save(&body.to_string(), conn) {
            Ok(()) => drop(settled.send(Ok(id))),
            Err(error) => {
                flow.fail_save(error, conn)?;
                give_up_unless(queue.try_again(id), id, settled);
            }
        }
    }
    Ok(())
}

/// Hands a flow to the driver whose turn it is, by its state.
fn resume<C: Store>(id: i64, fetcher: &Wake, saver: &Wake, conn: &mut C) -> Result<()> {
    let mut flow: SyncThirdPartyApiRecord = SyncThirdPartyApi::find(id, conn)?;
    match flow.state() {
        State::Pending => flow.pick(fetcher, conn)?,
        // a driver that is gone has said why
        State::Picked | State::FailedToFetch => drop(fetcher.send(id)),
        State::Fetched | State::FailedToSave => drop(saver.send(id)),
        State::Fetching | State::Saving | State::Saved | State::Completed => {}
    }
    Ok(())
}

fn give_up_unless(tried_again: bool, id: i64, settled: &Settled) {
    if !tried_again {
        drop(settled.send(Ok(id)));
    }
}

/// An error ends a driver, and then the run.
fn report(ended: Result<()>, settled: &Settled) {
    if let Err(error) = ended {
        drop(settled.send(Err(error)));
    }
}
