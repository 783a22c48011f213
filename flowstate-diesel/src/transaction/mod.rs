//! Transactions: opened the right way for the database, retried as a whole, rolled back on a
//! panic, with hooks after the outermost commit.

pub(crate) mod autocommit;
pub(crate) mod explain;
pub(crate) mod group;
pub(crate) mod hooks;
pub(crate) mod in_doubt;
pub(crate) mod instrument;
pub(crate) mod notify;
mod open;
pub(crate) mod parts;
pub(crate) mod read;
pub(crate) mod retry;
pub(crate) mod scope;
pub(crate) mod swallowed;
pub(crate) mod token;
mod turn;

use self::explain::{Explain as _, conflict, explain, note_conflict};
use self::hooks::run_hooks;
use self::open::{Code, Open};
use self::retry::Tries;
use self::scope::{Doom, Entered, Gathered, Hook, Position};
use crate::dialect::connection::AsStore;
use crate::dialect::fault::{Failure, Fault};
use crate::dialect::write_queue::Turn;
use crate::dialect::{Dialect, Obstacle, Waits};
use crate::error::Error;
use crate::error::unconfirmed::{Mark, Unconfirmed};
use crate::metrics;
use crate::unwind::discard;

/// Runs `body` in one transaction: several records and the caller's own writes, all or nothing.
///
/// - It is opened as the database needs it (on SQLite `BEGIN IMMEDIATE`).
/// - If another transaction is in the way (a deadlock, a busy database), it is rolled back and
///   `body` **runs again**, up to 20 times within about 2 seconds: what `body` does outside the
///   database it may do several times.
/// - Each record is locked when it is first moved. Transactions that move the same records in
///   different orders wait for each other, and one of them runs again: move several in the order of
///   their ids.
/// - `after_commit` hooks of the transitions in it run after the commit, in their order, and never
///   after a rollback.
/// - If `body` returns an error or panics, everything is rolled back, and the records that were
///   moved in it show their former state again.
/// - If a statement in it failed and `body` returns `Ok` all the same, nothing is committed:
///   [`Error::FailureIgnored`]. What may fail belongs into a `conn.transaction(…)` of Diesel's
///   inside, which becomes a savepoint.
///
/// On MySQL a statement that makes or changes a table commits what came before it, whatever the end
/// of the transaction: it belongs elsewhere.
///
/// Inside another transaction it is a savepoint; retries are then left to the outermost one.
///
/// ```
/// # use flowstate_diesel::prelude::*;
/// # fn main() -> flowstate_diesel::Result<()> {
/// # let mut conn = SqliteConnection::establish(":memory:").expect("memory");
/// use diesel::connection::SimpleConnection;
///
/// flowstate_diesel::transaction(&mut conn, |tx| {
///     tx.batch_execute("CREATE TABLE mine (id INTEGER PRIMARY KEY)")?;
///     tx.batch_execute("INSERT INTO mine VALUES (1)")?;
///     Ok(())
/// })
/// # }
/// ```
///
/// `?` in `body` takes errors of this crate and of Diesel; others by `.map_err(BoxError::from)?`, as
/// [`Error::Body`].
///
/// # Errors
/// The error of `body`, or [`Error::Conflict`] when the tries are used up, [`Error::FailureIgnored`], [`Error::OutcomeUnknown`] when the connection failed
/// while committing, [`Error::Database`].
pub fn transaction<S: AsStore, R>(
    conn: &mut S,
    mut body: impl FnMut(&mut S::Store) -> Result<R, Error>,
) -> Result<R, Error> {
    let kind = (Code::Others, Waits::AsSet);
    run_code(conn.as_store(), kind, None, None, &mut |conn| {
        body(conn).inspect_err(|error| note_conflict(conn, None, error))
    })
}

/// Runs statements of this crate in a transaction.
pub(crate) fn run<C: Dialect, R, E: From<Error>>(
    conn: &mut C,
    body: Body<'_, C, R, E>,
) -> Result<R, E> {
    run_in(conn, None, body)
}

/// Like [`run`], but a transaction of its own waits for no lock of others for longer than
/// [a bound](Waits::Bounded). Inside another transaction it waits as that one does.
pub(crate) fn run_bounded<C: Dialect, R, E: From<Error>>(
    conn: &mut C,
    body: Body<'_, C, R, E>,
) -> Result<R, E> {
    run_code(conn, (Code::Ours, Waits::Bounded), None, None, body)
}

/// Like [`run`], in a turn to write that was waited for already.
pub(crate) fn run_in<C: Dialect, R, E: From<Error>>(
    conn: &mut C,
    turn: Option<Turn>,
    body: Body<'_, C, R, E>,
) -> Result<R, E> {
    run_code(conn, (Code::Ours, Waits::AsSet), turn, None, body)
}

/// Runs statements of this crate that only read, in a transaction.
pub(crate) fn run_reading<C: Dialect, R, E: From<Error>>(
    conn: &mut C,
    body: Body<'_, C, R, E>,
) -> Result<R, E> {
    run_code(conn, (Code::Reading, Waits::AsSet), None, None, body)
}

/// Runs code of others in a transaction, and after it a statement of this crate.
pub(crate) fn run_closures<C: Dialect, R, E: From<Error>>(
    conn: &mut C,
    body: Body<'_, C, R, E>,
) -> Result<R, E> {
    run_code(conn, (Code::Closures, Waits::AsSet), None, None, body)
}

/// Like [`run_closures`], but leaves the hooks of a transaction of its own to the caller, in `later`:
/// they may need the connection.
#[cfg_attr(not(feature = "r2d2"), allow(dead_code, reason = "for workers"))]
pub(crate) fn run_closures_before_hooks<C: Dialect, R, E: From<Error>>(
    conn: &mut C,
    waits: Waits,
    later: &mut Vec<Hook>,
    body: Body<'_, C, R, E>,
) -> Result<R, E> {
    run_code(conn, (Code::Closures, waits), None, Some(later), body)
}

/// Whose code runs in a transaction, and how long it waits for locks.
type Kind = (Code, Waits);

fn run_code<C: Dialect, R, E: From<Error>>(
    conn: &mut C,
    kind: Kind,
    turn: Option<Turn>,
    later: Option<&mut Vec<Hook>>,
    body: Body<'_, C, R, E>,
) -> Result<R, E> {
    match scope::position(conn).explain(conn)? {
        Position::Outside => outermost(conn, kind, turn, later, body),
        Position::Ended => Err(swallowed::ended(conn).into()),
        position @ Position::Inside { .. } => inside(conn, &position, body),
    }
}

type Body<'b, C, R, E> = &'b mut dyn FnMut(&mut C) -> Result<R, E>;

fn outermost<C: Dialect, R, E: From<Error>>(
    conn: &mut C,
    kind @ (code, waits): Kind,
    mut turn: Option<Turn>,
    later: Option<&mut Vec<Hook>>,
    body: Body<'_, C, R, E>,
) -> Result<R, E> {
    let mut tries = Tries::start();
    loop {
        match attempt(conn, &Position::Outside, kind, turn.take(), code == Code::Ours, body) {
            Ok((value, gathered)) => {
                notify::committed(gathered.notifications);
                gathered.taken.count();
                match later {
                    Some(later) => later.extend(gathered.hooks),
                    None => run_hooks(gathered.hooks),
                }
                discard(gathered.undone);
                return Ok(value);
            }
            Err(Failed::Doomed(doom)) => {
                metrics::conflict(doom.reason);
                tracing::debug!(reason = %doom.reason, tries = tries.made, "transaction in conflict");
                // a connection that could not be rolled back serves no further try
                let waited = waits == Waits::Bounded && tries.have_waited(doom.reason);
                if conn.depth().is_err() || waited || !tries.again() {
                    return Err(conflict(doom, false, tries.made, tries.waited()).into());
                }
            }
            Err(Failed::For(error)) => return Err(error),
        }
    }
}

fn inside<C: Dialect, R, E: From<Error>>(
    conn: &mut C,
    position: &Position,
    body: Body<'_, C, R, E>,
) -> Result<R, E> {
    let tries = Tries::start();
    let doomed =
        |doom: Doom, tries: &Tries| E::from(conflict(doom, true, tries.made, tries.waited()));
    if let Some(doom) = scope::doom(conn) {
        return Err(doomed(doom, &tries));
    }
    if let Some(failure) = swallowed::unanswered(conn) {
        return Err(match failure.fault.conflict() {
            Some(reason) => doomed(Doom { record: None, reason, source: failure.source }, &tries),
            None => swallowed::error(&failure).into(),
        });
    }
    match attempt(conn, position, (Code::Ours, Waits::AsSet), None, false, body) {
        Ok((value, gathered)) => {
            scope::merge(conn, gathered);
            Ok(value)
        }
        Err(Failed::Doomed(doom)) => {
            scope::set_doom(conn, doom.clone());
            if matches!(position, Position::Inside { rooted: false, .. }) {
                metrics::conflict(doom.reason);
                conn.abandon();
            }
            Err(doomed(doom, &tries))
        }
        Err(Failed::For(error)) => Err(error),
    }
}

enum Failed<E> {
    /// Another transaction was in the way.
    Doomed(Doom),
    For(E),
}

/// One try: begin, body, commit. `turn`: to write, if it was waited for already; `with_others`: whether
/// the changes of those who wait for theirs are written along with it.
fn attempt<C: Dialect, R, E: From<Error>>(
    conn: &mut C,
    position: &Position,
    kind: Kind,
    turn: Option<Turn>,
    with_others: bool,
    body: Body<'_, C, R, E>,
) -> Result<(R, Gathered), Failed<E>> {
    instrument::watch(conn);
    if matches!(position, Position::Outside)
        && let Some(obstacle) = instrument::obstacle(conn)
    {
        let refused = match obstacle {
            Obstacle::ByHand => Error::TransactionByHand { record: None },
            Obstacle::Unfit(unfit) => Error::Unfit(unfit),
        };
        return Err(Failed::For(refused.into()));
    }
    join(conn, position)?;
    let open = Open::begin(conn, position, kind, turn);
    let mut open = open.map_err(|error| sort::<C, E>(error, None))?;
    let entered = scope::enter(open.conn, position, open.outcome.clone());
    open.entered = Some(entered.map_err(|error| sort::<C, E>(error, None))?);

    let result = body(open.conn);
    let result = match result {
        Ok(value) if instrument::failure(open.conn, open.depth).is_some() => Ok(value),
        Ok(value) => check(&mut open).map(|()| value),
        Err(error) => Err(Failed::For(error)),
    };
    let mut gathered = open.entered.take().map(Entered::leave).unwrap_or_default();
    let failure = instrument::failure(open.conn, open.depth);
    if failure.is_some() || result.is_err() && !instrument::is_watching(open.conn) {
        // what a closure ran may be run again
        open.conn.forget_statements();
    }
    let doom = gathered.doom.clone().or_else(|| {
        let reason = failure.as_ref()?.fault.conflict()?;
        Some(Doom { record: None, reason, source: failure.clone()?.source })
    });
    let failed = match (result, doom, failure) {
        (Ok(value), None, None) => {
            if with_others && let Err(error) = group::write_offers(&mut open) {
                tracing::debug!(
                    error = error.to_string(),
                    "changes of others could not be written along"
                );
                drop(open);
                scope::undo(conn, gathered);
                return attempt(conn, position, kind, None, false, body);
            }
            match open.commit() {
                Ok(()) => return Ok((value, gathered)),
                Err(error) => commit_failed::<C, E>(error, gathered.mark.take()),
            }
        }
        // what the caller made is dropped when nothing is locked any more
        (result, doom, failure) => {
            drop(open);
            match (result, doom, failure) {
                (_, Some(doom), _) => Failed::Doomed(doom),
                (Err(error), None, _) => error,
                (Ok(_), None, failure) => Failed::For(failure.map_or_else(
                    || Error::UnbalancedTransaction.into(),
                    |failure| swallowed::error(&failure).into(),
                )),
            }
        }
    };
    scope::undo(conn, gathered);
    Err(failed)
}

/// Makes sure that a transaction is still there in which something may have failed unnoticed.
fn join<C: Dialect, E: From<Error>>(conn: &mut C, position: &Position) -> Result<(), Failed<E>> {
    match position {
        Position::Inside { rooted: true, .. } if instrument::is_watching(conn) => return Ok(()),
        Position::Inside { .. } => {}
        Position::Outside | Position::Ended => return Ok(()),
    }
    instrument::unseen(conn, C::join).map_err(|failure| match failure.fault::<C>() {
        Fault::Aborted => Failed::For(explain(conn, None, failure).into()),
        _ => sort::<C, E>(failure, None),
    })
}

/// Settles what is doubtful before the commit, and fails if the transaction is gone.
fn check<C: Dialect, E: From<Error>>(open: &mut Open<'_, C>) -> Result<(), Failed<E>> {
    let conn = &mut *open.conn;
    if conn.depth().map_err(|error| sort::<C, E>(error, None))? != open.depth {
        return Err(Failed::For(Error::UnbalancedTransaction.into()));
    }
    for mark in scope::doubtful_marks(conn) {
        if !is_there(conn, &mark)? {
            scope::drop_hooks(conn, &mark);
        }
    }
    for mark in scope::doubtful(conn) {
        if !is_there(conn, &mark)? {
            scope::drop_doubtful(conn, &mark);
        }
    }
    if open.marked {
        conn.find_beginning().map_err(|error| sort::<C, E>(error, None))?;
    }
    if open.code != Code::Others && instrument::is_watching(conn) {
        return Ok(());
    }
    // a statement may have failed unnoticed; or the server has ended the connection since the last
    // one, which after COMMIT nobody could tell from a commit without an answer
    conn.before_commit().map_err(|error| sort::<C, E>(error, None))
}

fn is_there<C: Dialect, E: From<Error>>(conn: &mut C, mark: &Mark) -> Result<bool, Failed<E>> {
    let there = mark.is_there(conn, false).map_err(|error| sort::<C, E>(error, None))?;
    Ok(there == Some(true))
}

fn commit_failed<C: Dialect, E: From<Error>>(
    error: diesel::result::Error,
    mark: Option<Mark>,
) -> Failed<E> {
    if C::classify(&error).leaves_commit_in_doubt() {
        let unconfirmed = Unconfirmed::new(mark, error);
        return Failed::For(Error::OutcomeUnknown(Box::new(unconfirmed)).into());
    }
    sort::<C, E>(error, mark.map(|mark| mark.record))
}

fn sort<C: Dialect, E: From<Error>>(
    failure: impl Into<Failure>,
    record: Option<crate::RecordRef>,
) -> Failed<E> {
    let failure = failure.into();
    let fault = failure.fault::<C>();
    let source = failure.into_source();
    match fault {
        Fault::Conflict { reason, .. } => Failed::Doomed(Doom { record, reason, source }),
        Fault::Aborted => Failed::For(
            Error::FailureIgnored { record, statement_error: source.to_string() }.into(),
        ),
        Fault::BegunByHand => Failed::For(Error::TransactionByHand { record }.into()),
        _ => Failed::For(Error::Database { record, source }.into()),
    }
}
