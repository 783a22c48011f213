//! Records that another version of the program has brought into a state which is an end in this one:
//! to that version it was none, and so they are due and nobody will take them.

use flowstate::{Definition, StateDefinition};

use super::act::{Wish, write};
use super::action::{Deadline, Move};
use super::error::{Error, Result};
use super::reading::reading;
use super::registry::Registry;
use super::standing::Standing;
use crate::dialect::connection::Store;
use crate::dialect::sql::operator::{DueAmong, LockStanding};
use crate::dialect::sql::statement::Bind;
use crate::text::chain::chain;
use crate::transaction;
use crate::transaction::explain::Explain as _;
use crate::transaction::notify;
use crate::transaction::parts::is_of_a_record;
use crate::transition::artefacts::names_json;

/// How many records are looked for at once.
const BATCH: usize = 100;

/// Ends them, each under its row's lock, in a transaction of its own and with a row in its history.
/// Deletes none, whatever their state does. A state from which a worker that lives takes records is an
/// end no more in that worker's version: it is left alone. Returns how many; one that cannot be ended
/// is told, and keeps no other. `name`: under which the records are stored.
pub(crate) fn end_completed<C: Store>(
    conn: &mut C,
    (name, flow): (&str, &Definition),
    worker: &str,
) -> Result<u64> {
    // what cannot be read of it does not decide
    let registry = Registry::load(conn).ok();
    let is_end = |state: &&StateDefinition| {
        let goes_on = |state| registry.as_ref().is_some_and(|all| all.is_served(name, state));
        state.is_completed && !state.aliases.iter().chain([&state.name]).copied().any(goes_on)
    };
    let ends: Vec<_> = flow.states.iter().filter(is_end).collect();
    if ends.is_empty() {
        return Ok(0);
    }
    let names = ends.iter().flat_map(|state| state.aliases.iter().copied().chain([state.name]));
    let names = names_json(names);
    let wish = Wish::new(worker, "its state is completed in this version of the program")?;
    let limit = i64::try_from(BATCH).unwrap_or(i64::MAX);
    let mut ended = 0;
    loop {
        let binds = [Bind::Text(name), Bind::Text(&names), Bind::Int(limit)];
        let found = reading(conn, |conn| Ok(conn.counts::<DueAmong>(&binds).explain(conn)?))?;
        if found.is_empty() {
            return Ok(ended);
        }
        let mut done = 0;
        for row in &found {
            let id = row.number;
            match transaction::run(conn, &mut |conn| end(conn, name, id, &ends, &wish)) {
                Ok(is_ended) => done += u64::from(is_ended),
                Err(Error::Failed(error)) if !is_of_a_record::<C>(&error) => {
                    return Err(Error::Failed(error));
                }
                Err(error) => {
                    let (flow, error) = (name, chain(&error));
                    tracing::warn!(flow, id, error, "a record could not be ended");
                }
            }
        }
        notify::everything();
        ended += done;
        if done == 0 || found.len() < BATCH {
            return Ok(ended);
        }
    }
}

/// Ends one, unless it has moved or was claimed meanwhile.
fn end<C: Store>(
    conn: &mut C,
    flow: &str,
    id: i64,
    ends: &[&StateDefinition],
    wish: &Wish,
) -> Result<bool> {
    let rows = conn.standings::<LockStanding>(&[Bind::Int(id)]).explain(conn)?;
    let Some(row) = rows.into_iter().next() else { return Ok(false) };
    let standing = Standing::read(row)?;
    let is_called = |state: &&&StateDefinition| {
        state.name == standing.state || state.aliases.contains(&&*standing.state)
    };
    let waits = standing.flow == flow
        && standing.completed_at.is_none()
        && standing.due_at.is_some()
        && standing.leased_by.is_none();
    let Some(state) = ends.iter().find(is_called).filter(|_| waits) else { return Ok(false) };
    let to = Move {
        transition: "flow.complete".to_owned(),
        to: state.name.to_owned(),
        attempts: 0,
        is_error: state.is_error,
        completes: true,
        destroys: false,
        deadline: Deadline::Anew(None),
        skipped: None,
    };
    write(conn, &standing, &to, wish).map(|_| true)
}
