//! What can go wrong, sorted by what the caller can do about it.

mod from;
mod kinds;
mod record_ref;
pub(crate) mod unconfirmed;
mod unfit;
mod what;

use std::time::Duration;

pub use record_ref::RecordRef;
use unconfirmed::Unconfirmed;
pub use unfit::Unfit;
pub use what::{ConflictReason, What};

/// What functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of any kind, as closures given to this crate may return it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a call did not do what it was asked to.
///
/// After any of these nothing of the call is kept, with two exceptions: after
/// [`Error::OutcomeUnknown`] it may have been committed; and what stood before a statement that
/// commits by itself is, such as `CREATE TABLE` on MySQL. (What a closure itself writes after it
/// ignored a failure is its own: see [`Error::FailureIgnored`].) The record in memory is as it was, or was
/// refreshed from the row; it never shows the state that was not reached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // ---- the record is not where the caller thought: look at it again
    /// The record is in a state from which this transition does not start.
    #[error("{record}: `{transition}` starts from {}, but the record is in `{found}`", one_of(.expected))]
    InvalidTransition {
        /// The record.
        record: RecordRef,
        /// The transition that was asked for.
        transition: &'static str,
        /// The state in which the row was found, under its lock.
        found: String,
        /// The states from which the transition starts.
        expected: Vec<&'static str>,
    },
    /// A guard said no.
    #[error("{record}: `{transition}` was refused by the guard \"{guard}\"")]
    GuardRejected {
        /// The record.
        record: RecordRef,
        /// The transition that was asked for.
        transition: &'static str,
        /// The name under which the guard was given.
        guard: &'static str,
    },
    /// The claim is no longer held: its lease ran out and the step was failed over, or somebody moved
    /// the record meanwhile. Nothing was changed; what the handler did has to be worth nothing.
    #[error("{record}: `{transition}` came too late, the claim was lost")]
    LeaseLost {
        /// The record.
        record: RecordRef,
        /// The transition that was asked for.
        transition: &'static str,
    },
    /// There is no such record of this flow.
    #[error("{record} does not exist")]
    NotFound {
        /// The record.
        record: RecordRef,
    },
    /// `create_once` found a record with this key that was created with other props.
    #[error("{record} has the key `{key}` already, and was created with other props")]
    KeyConflict {
        /// The record that has the key.
        record: RecordRef,
        /// The key.
        key: String,
    },

    /// A record that was completed was to be so no more, by an operator or a program of another
    /// version, and meanwhile its key of `create_single` is another record's.
    #[error(
        "{}another record that is not completed has its key now; complete that one first",
        of(*record)
    )]
    KeyTaken {
        /// The record that was to be moved, if it is known.
        record: Option<RecordRef>,
        /// What the database said.
        source: diesel::result::Error,
    },

    // ---- another transaction was in the way: try again
    /// Another transaction was in the way. Nothing was written.
    ///
    /// A deadlock on MySQL ends the whole transaction, savepoints included. One that the caller
    /// opened with Diesel can then neither write nor commit any more, nor can the connection be used
    /// for another; a pool replaces it. One of [`transaction`](crate::transaction()) is retried.
    #[error(
        "{}: {reason} (tried {tries} time{}, {waited:.1?}); {}",
        record.map_or_else(|| "transaction".to_owned(), |record| record.to_string()),
        if *tries == 1 { "" } else { "s" },
        if *whole_transaction { "roll back and retry the whole transaction" } else { "try again later" }
    )]
    Conflict {
        /// The record, if the conflict arose over one.
        record: Option<RecordRef>,
        /// The kind of conflict.
        reason: ConflictReason,
        /// Whether the caller's own transaction must be rolled back and run again: a retry inside
        /// it cannot succeed.
        whole_transaction: bool,
        /// How often it was tried.
        tries: u32,
        /// How long that took.
        waited: Duration,
        /// What the database said.
        source: diesel::result::Error,
    },

    // ---- nobody knows: ask the database on a new connection
    /// The connection failed while it committed: the transition happened or it did not.
    #[error("{0}: the connection failed while committing; ask `resolve` on a new connection")]
    OutcomeUnknown(Box<Unconfirmed>),

    // ---- stored data and code differ: deploy the right code, or repair the row
    /// The row is in a state that this code does not know. It is left alone.
    #[error(
        "{record}: the stored state `{state}` is unknown to this program; keep it with `alias`, or run the version that knows it"
    )]
    UnknownState {
        /// The record.
        record: RecordRef,
        /// The state that was found.
        state: String,
    },
    /// Stored JSON does not fit the type that reads it. The row is left alone.
    #[error("{record}: the stored {what} cannot be read at `{path}`")]
    Decode {
        /// The record.
        record: RecordRef,
        /// The props, or an artefact by its name.
        what: What,
        /// Where in the JSON, such as `lines[2].price`.
        path: String,
        /// The problem with the value, in words.
        source: serde_json::Error,
    },
    /// Props or an artefact were written as a version that this program does not read: by a newer
    /// program. The row is left alone.
    #[error(
        "{record}: the stored {what} has version {found}, and this program reads 1 to {known}: run the \
         program that wrote it, or a newer one"
    )]
    UnknownVersion {
        /// The record.
        record: RecordRef,
        /// The props, or an artefact by its name.
        what: What,
        /// The version that was found.
        found: i64,
        /// The newest version that this program reads.
        known: u32,
    },
    /// The graph says that this artefact was persisted, and the table does not have it.
    #[error("{record}: the {what} is not there, though a transition persisted it")]
    MissingArtefact {
        /// The record.
        record: RecordRef,
        /// The artefact.
        what: What,
    },

    /// A stored time has another form than this crate writes. The row is left alone.
    #[error(
        "{record}: `{found}` is no time as flowstate stores it, such as `2026-01-31 23:59:59.123456`"
    )]
    CorruptTime {
        /// The record.
        record: RecordRef,
        /// The stored text.
        found: String,
    },
    /// The database wrote no row, though nothing was in the way, and gave no error: a trigger, a rule
    /// or a policy skips it. Nothing was written.
    #[error(
        "{record}: the database changed no row though nothing is in the way: a trigger, a rule or a \
         policy skips it"
    )]
    WriteSkipped {
        /// The record, as messages name it.
        record: String,
    },

    // ---- the input cannot be kept: change it
    /// A value that not every database can keep as it is. Refused before anything was written.
    #[error("{record}: the {what} cannot be stored: {fault}")]
    Unstorable {
        /// The record.
        record: RecordRef,
        /// Which value.
        what: What,
        /// The problem with the text, and where in it.
        fault: String,
    },

    // ---- the caller's own code
    /// A guard could not tell.
    #[error("{record}: the guard \"{guard}\" of `{transition}` failed")]
    Guard {
        /// The record.
        record: RecordRef,
        /// The transition that was asked for.
        transition: &'static str,
        /// The name under which the guard was given.
        guard: &'static str,
        /// The error it returned.
        source: BoxError,
    },
    /// A `within` closure failed: its writes and the transition are rolled back.
    #[error("{record}: the work within `{transition}` failed")]
    Within {
        /// The record.
        record: RecordRef,
        /// The transition that was asked for.
        transition: &'static str,
        /// The error it returned.
        source: BoxError,
    },
    /// The closure of [`transaction`](crate::transaction()) failed: everything is rolled back.
    #[error("the work of the transaction failed")]
    Body {
        /// The error it returned.
        source: BoxError,
    },
    /// A statement failed inside a closure, which went on or returned `Ok`. Databases differ in what
    /// they would commit, so nothing is committed, and every further call of this crate in that
    /// transaction is refused.
    ///
    /// On SQLite a full disk, an I/O error, `INSERT OR ROLLBACK`, `ON CONFLICT ROLLBACK` and
    /// `RAISE(ROLLBACK)` end the transaction at once, savepoints included. Statements that the
    /// closure itself sends after it ignored such a failure are in no transaction, and each is
    /// committed by itself: return the error.
    #[error(
        "{}a statement failed inside the transaction and the failure was ignored: {statement_error}; \
         return the error, or wrap what may fail in `conn.transaction(…)`",
        of(*record)
    )]
    FailureIgnored {
        /// The record, if a call about one was refused.
        record: Option<RecordRef>,
        /// What the database said of the statement.
        statement_error: String,
    },

    // ---- wrong use: change the call
    /// A request with hooks inside a transaction that this crate did not open: nobody would know
    /// when it commits.
    #[error(
        "{record}: `{transition}` has `after_commit` hooks, but runs inside a transaction opened elsewhere; open it with `flowstate_diesel::transaction`"
    )]
    HooksInForeignTransaction {
        /// The record.
        record: RecordRef,
        /// The transition that was asked for.
        transition: &'static str,
    },
    /// A transaction was begun by hand, such as by `batch_execute("BEGIN")`, of which Diesel does not
    /// know: this crate would commit it. Nothing was written; what the caller wrote is untouched.
    #[error(
        "{}a transaction was begun by hand, of which Diesel does not know; begin it with \
         `conn.transaction(…)` or `flowstate_diesel::transaction`, and end this one",
        of(*record)
    )]
    TransactionByHand {
        /// The record, if the call was about one.
        record: Option<RecordRef>,
    },
    /// The tables are missing.
    #[error(
        "{}the tables of flowstate are missing; run `flowstate_diesel::migrate(&mut conn)` first",
        of(*record)
    )]
    NotMigrated {
        /// The record, if the call was about one.
        record: Option<RecordRef>,
        /// What the database said.
        source: diesel::result::Error,
    },
    /// The table `flowstate_database`, which tells this database from its copies, is empty.
    #[error(
        "this database has no identity: give it one by `flowstate_diesel::new_identity(&mut conn)`"
    )]
    NoIdentity,
    /// A step is served twice by one worker, or two steps run in one state: a claim of the one could
    /// not be told from the other's.
    #[error(
        "the steps `{step}` and `{other}` of `{flow}` run in one state, `{running}`: serve one of them"
    )]
    ServedTwice {
        /// The flow.
        flow: &'static str,
        /// The step that was served first.
        other: &'static str,
        /// The step that was served then.
        step: &'static str,
        /// The stored name of the state.
        running: &'static str,
    },
    /// What a handler returned says of itself that it is an outcome which its step does not have: the
    /// step was not derived, or not by this version.
    #[error(
        "{record}: `{step}` has {outcomes} outcomes, and was to end by number {outcome}; derive `Flow` \
         with the same version of flowstate rather than implement `Step` by hand"
    )]
    UnknownOutcome {
        /// The record.
        record: RecordRef,
        /// The step.
        step: &'static str,
        /// The place of the outcome in the list of the step's outcomes, from 0.
        outcome: usize,
        /// How many outcomes the step has.
        outcomes: usize,
    },
    /// The server or the connection is not fit for use.
    #[error("{0}")]
    Unfit(Unfit),
    /// A transaction or savepoint was opened inside another and not ended, or one of this crate was
    /// ended by the caller. Nothing was committed.
    #[error(
        "a transaction or savepoint was opened inside and not ended, or ours was ended; use \
         `conn.transaction(…)`"
    )]
    UnbalancedTransaction,
    /// `migrate` was called in a transaction, on a database where creating a table commits it. Nothing
    /// was created.
    #[error(
        "call `migrate` outside a transaction: on this database creating a table commits what was \
         written before"
    )]
    MigrateInTransaction,

    // ---- the machine
    /// The system gave no random numbers, of which tokens are made.
    #[error("the system gives no random numbers")]
    NoRandomNumbers {
        /// The error of the system.
        source: BoxError,
    },
    /// The system gave a worker no thread.
    #[error("no thread could be started")]
    NoThread {
        /// The error of the system.
        source: std::io::Error,
    },
    /// A worker stopped before the end of a claim could be written.
    #[error("the worker stopped before this could be written")]
    WorkerStopped,
    /// Code that belongs to others panicked, where a worker calls it.
    #[error("{doing} panicked: {panic}")]
    Panicked {
        /// The work during which the panic came.
        doing: String,
        /// The text of the panic.
        panic: String,
    },

    // ---- the database
    /// The pool gave no connection.
    #[error("no connection could be had")]
    NoConnection {
        /// What the pool said.
        source: BoxError,
    },
    /// The database or the connection failed. Nothing was committed.
    #[error("{}the database failed", of(*record))]
    Database {
        /// The record, if the failure arose over one.
        record: Option<RecordRef>,
        /// What Diesel said.
        source: diesel::result::Error,
    },
}

/// The beginning of a message about a record.
fn of(record: Option<RecordRef>) -> String {
    record.map(|record| format!("{record}: ")).unwrap_or_default()
}

fn one_of(names: &[&'static str]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(" or ")
}
