//! What earlier runs left: found by the states in the database, since nothing else survives.

use flowstate_diesel::{Error, Page, Result, Store, prelude::*};

use crate::chain;
use crate::database::Access;
use crate::flow::{
    SyncThirdPartyApi, SyncThirdPartyApiRecord as Record, SyncThirdPartyApiState as State,
};

const PAGE: u32 = 500;

/// Every flow that is not completed. Those that a dead run left in the midst of a step are first
/// failed over, unless their leases see to it.
pub(crate) fn take_over<C: Store>(access: Access, conn: &mut C) -> Result<Vec<i64>> {
    let unfinished = State::ALL.iter().copied().filter(|state| !state.is_completed());
    let mut ids = Vec::new();
    let mut page = Page::first(PAGE);
    loop {
        let flows = SyncThirdPartyApi::list_each(unfinished.clone(), page, conn)?;
        let Some((last, _)) = flows.last() else { return Ok(ids) };
        page = Page::after(*last, PAGE);
        for (id, flow) in flows {
            match flow {
                Ok(mut flow) => or_done_by_another(fail_over(&mut flow, access, conn))?,
                Err(error @ Error::Decode { .. }) => {
                    eprintln!("left alone: {}", chain(&error));
                    continue;
                }
                Err(error) => return Err(error),
            }
            ids.push(id);
        }
    }
}

/// Plain threads have the database for themselves, so whoever was at a flow is dead. Workers leave
/// each other's claims alone, which run out; plain threads make none.
fn fail_over<C: Store>(flow: &mut Record, access: Access, conn: &mut C) -> Result<()> {
    let is_running = matches!(flow.state(), State::Fetching | State::Saving);
    if !is_running || (access == Access::Shared && is_claim(flow, conn)?) {
        return Ok(());
    }
    match flow.state() {
        State::Saving => flow.fail_save("the program ended while it saved", conn),
        _ => flow.fail_fetch("the program ended while it fetched", conn),
    }
}

/// Whether a worker is at it: its name is in the history.
fn is_claim<C: Store>(flow: &Record, conn: &mut C) -> Result<bool> {
    Ok(flow.history(conn)?.last().is_some_and(|row| row.actor.is_some()))
}

/// Where runs share a database, another one may have been quicker.
pub(crate) fn or_done_by_another(result: Result<()>) -> Result<()> {
    match result {
        Err(Error::InvalidTransition { .. }) => Ok(()),
        result => result,
    }
}
