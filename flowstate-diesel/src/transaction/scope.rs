//! The transactions that this crate has open, found by their connection.
//!
//! Users' methods take a plain `&mut SqliteConnection`, so what belongs to a transaction (its hooks,
//! the conflict that doomed it) cannot travel as an argument. It is kept per thread and found by
//! the connection's address, which cannot change while the closure of the transaction borrows it.

use std::cell::RefCell;

use flowstate::TransactionOutcome;

use super::notify::Notification;
use crate::dialect::Dialect;
use crate::dialect::fault::copy;
use crate::error::unconfirmed::Mark;
use crate::error::{ConflictReason, RecordRef};
use crate::metrics::Taken;
use crate::unwind::discard;

thread_local! {
    static OPEN: RefCell<Vec<Scope>> = const { RefCell::new(Vec::new()) };
}

/// Something to be run after the outermost commit.
pub(crate) struct Hook {
    pub(crate) mark: Mark,
    pub(crate) run: Box<dyn FnOnce()>,
    /// How many transactions and savepoints were open when the transition was done. More than its
    /// scope has: a savepoint opened by the caller may yet roll it back.
    depth: u32,
}

/// A conflict that was met inside a transaction: from then on it can only be rolled back.
#[derive(Debug)]
pub(crate) struct Doom {
    pub(crate) record: Option<RecordRef>,
    pub(crate) reason: ConflictReason,
    pub(crate) source: diesel::result::Error,
}

impl Clone for Doom {
    fn clone(&self) -> Self {
        Self { source: copy(&self.source), ..*self }
    }
}

struct Scope {
    connection: usize,
    depth: u32,
    /// Whether the outermost transaction is ours, so that its commit is seen.
    rooted: bool,
    outcome: TransactionOutcome,
    hooks: Vec<Hook>,
    /// Hooks that will never run. What they have captured is the user's code: it is dropped when no
    /// transaction is open any more.
    undone: Vec<Hook>,
    doom: Option<Doom>,
    mark: Option<Mark>,
    /// The notifications for workers after the commit.
    notifications: Vec<Notification>,
    /// What is counted after the commit.
    taken: Taken,
    /// The marks that a savepoint of the caller may yet undo.
    doubtful: Vec<Mark>,
}

impl Scope {
    fn keep_notification(&mut self, notification: Notification) {
        if !self.notifications.contains(&notification) {
            self.notifications.push(notification);
        }
    }

    fn keep_mark(&mut self, mut mark: Mark, depth: u32) {
        let before = self.mark.as_ref().filter(|before| before.record == mark.record);
        mark.created |= before.is_some_and(|before| before.created);
        if depth > self.depth {
            self.doubtful.push(mark);
        } else {
            self.mark = Some(mark);
        }
    }
}

/// Where a call finds itself.
#[derive(Clone, Debug)]
pub(crate) enum Position {
    /// No transaction is open.
    Outside,
    /// In a transaction. `rooted`: this crate opened it and will see its commit; else the caller did
    /// with Diesel. `outcome`: of the innermost transaction or savepoint.
    Inside { rooted: bool, outcome: TransactionOutcome },
    /// In a closure that goes on though the transaction is gone that was opened for it.
    Ended,
}

impl Position {
    pub(crate) fn outcome(&self) -> Option<TransactionOutcome> {
        match self {
            Self::Outside | Self::Ended => None,
            Self::Inside { outcome, .. } => Some(outcome.clone()),
        }
    }

    pub(crate) fn is_rooted(&self) -> bool {
        match self {
            Self::Outside | Self::Ended => true,
            Self::Inside { rooted, .. } => *rooted,
        }
    }
}

pub(crate) fn position<C: Dialect>(conn: &mut C) -> diesel::QueryResult<Position> {
    let depth = conn.depth()?;
    let ours = innermost(conn, |scope| {
        if depth < scope.depth {
            return Position::Ended;
        }
        // in a savepoint that the caller opened since?
        let theirs = depth > scope.depth;
        let outcome = if theirs {
            TransactionOutcome::elsewhere(Some(&scope.outcome))
        } else {
            scope.outcome.clone()
        };
        Position::Inside { rooted: scope.rooted, outcome }
    });
    Ok(ours.unwrap_or_else(|| match depth {
        0 => Position::Outside,
        _ => Position::Inside { rooted: false, outcome: TransactionOutcome::elsewhere(None) },
    }))
}

/// How many transactions and savepoints are open at least as long as nothing that failed in them
/// may be committed: all of ours, and of a transaction of others what we opened in it.
pub(crate) fn answered_for<C: Dialect>(conn: &C) -> Option<u32> {
    innermost(conn, |scope| if scope.rooted { 1 } else { scope.depth })
}

/// A scope that ends when this is dropped, on a panic too.
pub(crate) struct Entered {
    connection: usize,
    left: bool,
}

/// Hooks, marks and notifications that a scope has gathered.
#[derive(Default)]
pub(crate) struct Gathered {
    pub(crate) hooks: Vec<Hook>,
    /// Those that a savepoint has undone.
    pub(crate) undone: Vec<Hook>,
    pub(crate) doom: Option<Doom>,
    pub(crate) mark: Option<Mark>,
    pub(crate) notifications: Vec<Notification>,
    pub(crate) taken: Taken,
}

/// Opens a scope for the transaction or savepoint that was just begun at `position`.
pub(crate) fn enter<C: Dialect>(
    conn: &mut C,
    position: &Position,
    outcome: TransactionOutcome,
) -> diesel::QueryResult<Entered> {
    let depth = conn.depth()?;
    let connection = address(conn);
    let rooted = position.is_rooted();
    let scope = Scope {
        connection,
        depth,
        rooted,
        outcome,
        hooks: Vec::new(),
        undone: Vec::new(),
        doom: None,
        mark: None,
        notifications: Vec::new(),
        taken: Taken::default(),
        doubtful: Vec::new(),
    };
    let entered = with_open(|open| open.push(scope));
    entered.ok_or_else(|| {
        let problem = "a thread that has ended runs no transactions: they are not for destructors of \
                       thread-locals";
        diesel::result::Error::QueryBuilderError(problem.into())
    })?;
    Ok(Entered { connection, left: false })
}

impl Entered {
    /// Closes the scope and takes what it gathered.
    pub(crate) fn leave(mut self) -> Gathered {
        self.left = true;
        let scope = take(self.connection);
        scope.map_or_else(Gathered::default, |scope| {
            let Scope { hooks, undone, doom, mark, notifications, taken, mut doubtful, .. } = scope;
            let mark = mark.or_else(|| doubtful.pop());
            Gathered { hooks, undone, doom, mark, notifications, taken }
        })
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        if !self.left
            && let Some(scope) = take(self.connection)
        {
            bury(self.connection, scope.hooks, scope.undone);
        }
    }
}

/// Hands hooks to the transaction that is open on the connection.
pub(crate) fn defer<C: Dialect>(
    conn: &mut C,
    hooks: impl IntoIterator<Item = (Mark, Box<dyn FnOnce()>)>,
) {
    let depth = conn.depth().unwrap_or_default();
    let hooks: Vec<_> = hooks.into_iter().map(|(mark, run)| Hook { mark, run, depth }).collect();
    innermost(conn, |scope| scope.hooks.extend(hooks));
}

/// Hands on what a savepoint gathered, after its release.
pub(crate) fn merge<C: Dialect>(conn: &mut C, mut gathered: Gathered) {
    let depth = conn.depth().unwrap_or_default();
    note_taken(conn, std::mem::take(&mut gathered.taken));
    innermost(conn, |scope| {
        let hooks = gathered.hooks.into_iter().map(|hook| Hook { depth, ..hook });
        scope.hooks.extend(hooks);
        scope.undone.extend(gathered.undone);
        scope.doom = scope.doom.take().or(gathered.doom);
        gathered
            .notifications
            .into_iter()
            .for_each(|notification| scope.keep_notification(notification));
        if let Some(mark) = gathered.mark {
            scope.keep_mark(mark, depth);
        }
    });
}

/// What a savepoint gathered that was rolled back: its hooks never run.
pub(crate) fn undo<C: Dialect>(conn: &C, gathered: Gathered) {
    bury(address(conn), gathered.hooks, gathered.undone);
}

/// Leaves hooks that never run to the transaction round them, which drops them when it has ended. If
/// there is none, they are dropped now.
fn bury(connection: usize, hooks: Vec<Hook>, undone: Vec<Hook>) {
    let mut left = undone;
    left.extend(hooks);
    in_innermost(connection, |scope| scope.undone.append(&mut left));
    discard(left);
}

/// The conflict that doomed the open transaction, if any.
pub(crate) fn doom<C: Dialect>(conn: &C) -> Option<Doom> {
    innermost(conn, |scope| scope.doom.clone()).flatten()
}

/// Dooms the open transaction.
pub(crate) fn set_doom<C: Dialect>(conn: &C, doom: Doom) {
    innermost(conn, |scope| scope.doom.get_or_insert(doom).reason);
}

/// Remembers a row that the open transaction wrote, by which its outcome can be told, and what
/// workers are told of it after the commit.
pub(crate) fn set_mark<C: Dialect>(conn: &mut C, mark: Mark, notification: Option<Notification>) {
    let depth = conn.depth().unwrap_or_default();
    innermost(conn, |scope| {
        scope.keep_mark(mark, depth);
        if let Some(notification) = notification {
            scope.keep_notification(notification);
        }
    });
}

/// Remembers what is counted after the commit. In a transaction of others, whose commit nobody sees,
/// it is counted at once.
pub(crate) fn note_taken<C: Dialect>(conn: &C, taken: Taken) {
    if cfg!(not(feature = "metrics")) {
        return;
    }
    let mut taken = Some(taken);
    innermost(conn, |scope| taken.take().into_iter().for_each(|taken| scope.taken.append(taken)));
    taken.into_iter().for_each(Taken::count);
}

/// The marks by which the outcome would be told, if savepoints of the caller may have undone them
/// all.
pub(crate) fn doubtful<C: Dialect>(conn: &C) -> Vec<Mark> {
    innermost(conn, |scope| if scope.mark.is_none() { scope.doubtful.clone() } else { Vec::new() })
        .unwrap_or_default()
}

/// Drops the mark of a transition that is no longer there.
pub(crate) fn drop_doubtful<C: Dialect>(conn: &C, mark: &Mark) {
    innermost(conn, |scope| scope.doubtful.retain(|doubtful| doubtful != mark));
}

/// The rows whose presence tells whether the transitions of deferred hooks are still there: those
/// that a savepoint of the caller may have undone.
pub(crate) fn doubtful_marks<C: Dialect>(conn: &C) -> Vec<Mark> {
    innermost(conn, |scope| {
        let doubtful = scope.hooks.iter().filter(|hook| hook.depth > scope.depth);
        doubtful.map(|hook| hook.mark.clone()).collect()
    })
    .unwrap_or_default()
}

/// Drops the hooks of a transition that is no longer there.
pub(crate) fn drop_hooks<C: Dialect>(conn: &C, mark: &Mark) {
    innermost(conn, |scope| {
        let hooks = std::mem::take(&mut scope.hooks);
        let (undone, hooks) = hooks.into_iter().partition(|hook| hook.mark == *mark);
        scope.hooks = hooks;
        scope.undone.extend::<Vec<_>>(undone);
    });
}

fn innermost<C: Dialect, R>(conn: &C, f: impl FnOnce(&mut Scope) -> R) -> Option<R> {
    in_innermost(address(conn), f)
}

/// `f` must run no code of others, nor drop anything of theirs: they may come back here.
fn in_innermost<R>(connection: usize, f: impl FnOnce(&mut Scope) -> R) -> Option<R> {
    let mut f = Some(f);
    with_open(|open| {
        let scope = open.iter_mut().rev().find(|scope| scope.connection == connection)?;
        // if there is none it is dropped later, with what it has captured
        Some(f.take()?(scope))
    })?
}

/// `None` in a thread whose thread-locals are being destroyed: those of others may be later than ours.
fn with_open<R>(f: impl FnOnce(&mut Vec<Scope>) -> R) -> Option<R> {
    OPEN.try_with(|open| f(&mut open.borrow_mut())).ok()
}

fn take(connection: usize) -> Option<Scope> {
    with_open(|open| {
        let at = open.iter().rposition(|scope| scope.connection == connection)?;
        Some(open.remove(at))
    })?
}

fn address<C>(conn: &C) -> usize {
    std::ptr::from_ref(conn).addr()
}
