//! Sees the statements that fail on a connection, those whose failure a closure ignores too.
//!
//! PostgreSQL gives up a transaction in which a statement failed; SQLite and MySQL go on and would
//! commit half of the work. Diesel's [`Instrumentation`] is the one place where every statement
//! passes, so that all databases can be held to the same rule.

use std::any::TypeId;
use std::sync::Arc;

use diesel::connection::{
    Connection, DebugQuery, Instrumentation, InstrumentationEvent, get_default_instrumentation,
};

use crate::dialect::by_hand;
use crate::dialect::connection::AsStore;
use crate::dialect::fault::{Fault, copy};
use crate::dialect::sql::statement::took_ours;
use crate::dialect::write_queue::QueueAccess;
use crate::dialect::{Dialect, Obstacle};

/// A statement that failed and was not undone by a savepoint round it.
#[derive(Debug)]
pub(crate) struct Seen {
    /// How many transactions and savepoints were open.
    depth: u32,
    pub(crate) source: diesel::result::Error,
    pub(crate) fault: Fault,
    /// The database has ended the whole transaction: no savepoint undoes that.
    ended: bool,
}

impl Clone for Seen {
    fn clone(&self) -> Self {
        Self { source: copy(&self.source), ..*self }
    }
}

/// Instrumentation that remembers failures and passes every event on.
struct Instrument {
    inner: Option<Box<dyn Instrumentation>>,
    classify: fn(&diesel::result::Error) -> Fault,
    depth: u32,
    failure: Option<Seen>,
    /// The failure that the rollback to a savepoint is about to undo.
    undoing: Option<Seen>,
    /// Nothing is noted or passed on.
    blind: bool,
    /// Where the connection queues to write.
    write_queue: Option<QueueAccess>,
    /// What tells the database of this connection from its copies, once it was asked.
    #[cfg_attr(not(feature = "r2d2"), allow(dead_code, reason = "for workers"))]
    identity: Option<Arc<str>>,
    /// Others may have begun a transaction by a text, or changed what the session is set to.
    unsure: bool,
}

impl Instrument {
    /// A statement has done what it says, or has failed half-way.
    fn note_text(&mut self, query: &dyn DebugQuery) {
        if took_ours() {
            return;
        }
        let text = by_hand::sql(query);
        // in a transaction of which Diesel knows nobody begins one by hand
        self.unsure |=
            if self.depth == 0 { by_hand::may_begin(&text) } else { by_hand::may_set(&text) };
        if let Some(access) = &mut self.write_queue {
            access.wrote &= by_hand::is_of_rows(&text);
            access.stale |= by_hand::may_set(&text);
        }
    }
}

impl Instrumentation for Instrument {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        if self.blind {
            return;
        }
        match &event {
            InstrumentationEvent::BeginTransaction { depth, .. } => {
                self.depth = depth.get();
                if self.depth == 1 {
                    self.failure = None;
                }
            }
            InstrumentationEvent::CommitTransaction { depth, .. } => {
                self.depth = depth.get() - 1;
                if let Some(failure) = &mut self.failure {
                    failure.depth = failure.depth.min(self.depth);
                }
            }
            InstrumentationEvent::RollbackTransaction { depth, .. } => {
                self.depth = depth.get() - 1;
                let undone = |failure: &Seen| failure.depth >= depth.get() && !failure.ended;
                if depth.get() == 1 {
                    self.failure = None;
                } else if self.failure.as_ref().is_some_and(undone) {
                    self.undoing = self.failure.take();
                }
            }
            InstrumentationEvent::StartQuery { .. } => {
                took_ours();
            }
            InstrumentationEvent::FinishQuery { error: None, query, .. } => {
                self.undoing = None;
                self.note_text(*query);
            }
            InstrumentationEvent::FinishQuery { error: Some(_), query, .. }
                if self.undoing.is_some() =>
            {
                self.note_text(*query);
                // there is no savepoint any more, and no transaction
                self.failure = self.undoing.take().map(|failure| Seen { ended: true, ..failure });
            }
            InstrumentationEvent::FinishQuery { error: Some(error), query, .. } => {
                self.note_text(*query);
                let fault = (self.classify)(error);
                // an answer, and no failure
                let is_answer = fault == Fault::KeyTaken;
                // the first failure explains the others, unless a later one is a conflict
                if !is_answer && (self.failure.is_none() || fault.conflict().is_some()) {
                    let (depth, source) = (self.depth, copy(error));
                    let ended = fault.ends_transaction();
                    self.failure = Some(Seen { depth, source, fault, ended });
                }
            }
            _ => {}
        }
        self.inner.on_connection_event(event);
    }
}

/// Gives a connection instrumentation of your own: use it in place of
/// [`Connection::set_instrumentation`].
///
/// It sees every statement. The transactions of this crate are begun and committed by statements
/// too, so that Diesel's events of transactions are told only of savepoints, and of others'
/// transactions.
///
/// This crate watches the statements on its connections in order to see failures that a closure
/// ignores ([`Error::FailureIgnored`](crate::Error::FailureIgnored)). It does so through Diesel's
/// instrumentation, of which a connection has one; set through this function yours gets every
/// event all the same. It sees transactions that are begun by hand there, too
/// ([`Error::TransactionByHand`](crate::Error::TransactionByHand)), and what would change texts on
/// their way ([`Unfit::Encoding`](crate::Unfit::Encoding)): it asks the server once for each
/// connection, and again after a statement that may have begun or set something. Instrumentation set directly on a connection is left in place, and ignored
/// failures are then not noticed on SQLite and MySQL, but for those with which MySQL ends the whole
/// transaction; nor is either of these on PostgreSQL and MySQL. Diesel's
/// [`set_default_instrumentation`](diesel::connection::set_default_instrumentation) works as ever.
pub fn instrument<S: AsStore>(conn: &mut S, instrumentation: impl Instrumentation) {
    install(conn.as_store(), Some(Box::new(instrumentation)));
}

/// Makes sure that failures are seen; outside a transaction, forgets earlier ones.
pub(crate) fn watch<C: Dialect>(conn: &mut C) {
    let outside = conn.depth().is_ok_and(|depth| depth == 0);
    if let Some(instrument) = conn.instrumentation().downcast_mut::<Instrument>() {
        if outside {
            instrument.failure = None;
            instrument.depth = 0;
        }
    } else if has_default_instrumentation(conn) {
        install(conn, get_default_instrumentation());
    } else {
        tracing::debug!(
            "a connection has instrumentation of its own; set it with `flowstate_diesel::instrument`, \
             or ignored failures of statements stay unnoticed"
        );
    }
}

/// Whether every failure on the connection is seen.
pub(crate) fn is_watching<C: Dialect>(conn: &mut C) -> bool {
    conn.instrumentation().downcast_mut::<Instrument>().is_some()
}

/// What keeps this crate from writing on this connection, if so. No transaction is open of which Diesel
/// knows.
pub(crate) fn obstacle<C: Dialect>(conn: &mut C) -> Option<Obstacle> {
    let instrument = conn.instrumentation().downcast_mut::<Instrument>()?;
    if !instrument.unsure {
        return None;
    }
    // how that fails will be seen at the next statement
    let obstacle = unseen(conn, C::obstacle).ok().flatten();
    if let Some(instrument) = conn.instrumentation().downcast_mut::<Instrument>() {
        instrument.unsure = obstacle.is_some();
    }
    obstacle
}

/// The failure that was seen at this depth or deeper and not undone.
pub(crate) fn failure<C: Dialect>(conn: &mut C, depth: u32) -> Option<Seen> {
    let instrument = conn.instrumentation().downcast_mut::<Instrument>()?;
    instrument.failure.clone().filter(|failure| failure.ended || failure.depth >= depth)
}

/// Asks the database something of which nobody is to know: how it fails is the answer.
pub(crate) fn unseen<C: Dialect, R>(conn: &mut C, ask: impl FnOnce(&mut C) -> R) -> R {
    let set_blind = |conn: &mut C, blind| {
        if let Some(instrument) = conn.instrumentation().downcast_mut::<Instrument>() {
            instrument.blind = blind;
        }
    };
    set_blind(conn, true);
    let answer = ask(conn);
    set_blind(conn, false);
    answer
}

/// What the statement said that made the database refuse all further ones with `error`.
pub(crate) fn first_failure<C: Dialect>(conn: &mut C, error: &diesel::result::Error) -> String {
    failure(conn, 0).map_or_else(|| error.to_string(), |failure| failure.source.to_string())
}

/// A transaction was begun by a statement, of which Diesel tells no more.
pub(crate) fn began<C: Dialect>(conn: &mut C) {
    if let Some(instrument) = conn.instrumentation().downcast_mut::<Instrument>() {
        instrument.depth = 1;
    }
}

/// It was ended by a statement, too.
pub(crate) fn ended<C: Dialect>(conn: &mut C) {
    if let Some(instrument) = conn.instrumentation().downcast_mut::<Instrument>() {
        instrument.depth = 0;
    }
}

/// The identity of this connection's database, if it has been asked for.
#[cfg_attr(not(feature = "r2d2"), allow(dead_code, reason = "for workers"))]
pub(crate) fn identity<C: Dialect>(conn: &mut C) -> Option<Arc<str>> {
    conn.instrumentation().downcast_mut::<Instrument>()?.identity.clone()
}

/// Remembers the identity of this connection's database, if the connection is watched.
#[cfg_attr(not(feature = "r2d2"), allow(dead_code, reason = "for workers"))]
pub(crate) fn keep_identity<C: Dialect>(conn: &mut C, identity: Arc<str>) {
    if let Some(instrument) = conn.instrumentation().downcast_mut::<Instrument>() {
        instrument.identity = Some(identity);
    }
}

/// How many threads of this process wait for their turn to write to the same database.
#[cfg_attr(not(feature = "sqlite"), allow(dead_code, reason = "for SQLite"))]
pub(crate) fn waiting<C: Dialect>(conn: &mut C) -> usize {
    watch(conn);
    write_queue(conn).map_or(0, |access| access.queue.waiting())
}

/// Where the writers of this connection's database queue, if they do and it is watched.
///
/// The instrument keeps its place, because nothing else goes with a connection: one with
/// instrumentation of its own does not queue.
pub(super) fn write_queue<C: Dialect>(conn: &mut C) -> Option<&mut QueueAccess> {
    conn.instrumentation().downcast_mut::<Instrument>()?.write_queue.as_mut()
}

fn install<C: Dialect>(conn: &mut C, inner: Option<Box<dyn Instrumentation>>) {
    // joining a transaction that is already open
    let depth = conn.depth().unwrap_or_default();
    // a connection that cannot say will say so again when it is used
    let write_queue = conn.write_queue().ok().flatten();
    conn.set_instrumentation(Instrument {
        inner,
        classify: C::classify,
        depth,
        failure: None,
        undoing: None,
        blind: false,
        write_queue,
        identity: None,
        // what was sent before nobody saw
        unsure: true,
    });
}

/// Whether the connection has the instrumentation that Diesel gives to every new one, so that
/// nothing is lost if it is wrapped in ours.
fn has_default_instrumentation<C: Connection>(conn: &mut C) -> bool {
    let present = type_of(conn.instrumentation());
    match get_default_instrumentation() {
        Some(mut default) => present == type_of(&mut *default),
        None => match type_of_none() {
            Some(none) => present == none,
            // Diesel's own "none" has no size, and its type no name
            None => size_of_val(conn.instrumentation()) == 0,
        },
    }
}

fn type_of(instrumentation: &mut dyn Instrumentation) -> TypeId {
    instrumentation.as_any_mut().type_id()
}

/// The type of Diesel's "no instrumentation", read off a fresh connection.
#[cfg(feature = "sqlite")]
fn type_of_none() -> Option<TypeId> {
    use std::sync::OnceLock;

    static NONE: OnceLock<Option<TypeId>> = OnceLock::new();
    *NONE.get_or_init(|| {
        let mut conn = diesel::SqliteConnection::establish(":memory:").ok()?;
        Some(type_of(conn.instrumentation()))
    })
}

#[cfg(not(feature = "sqlite"))]
fn type_of_none() -> Option<TypeId> {
    None
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use diesel::connection::SimpleConnection;
    use diesel::{QueryResult, SqliteConnection};

    use super::*;
    use crate::error::ConflictReason;

    /// A connection whose failures all end the transaction, as a deadlock does on MySQL.
    fn connection() -> SqliteConnection {
        let mut conn = SqliteConnection::establish(":memory:").expect("memory");
        install(&mut conn, None);
        let instrument = conn.instrumentation().downcast_mut::<Instrument>().expect("installed");
        instrument.classify = |_| Fault::Conflict { reason: ConflictReason::Deadlock, ends: true };
        conn
    }

    #[test]
    fn a_failure_outside_a_transaction_is_not_held_against_the_next() {
        let conn = &mut connection();
        conn.batch_execute("nonsense").expect_err("it fails");
        conn.transaction(|conn| {
            assert!(failure(conn, 1).is_none());
            conn.transaction(|conn| conn.batch_execute("nonsense")).expect_err("it fails");
            assert!(failure(conn, 1).is_some(), "no savepoint undoes it");
            QueryResult::Ok(())
        })
        .expect("committed");
    }
}
