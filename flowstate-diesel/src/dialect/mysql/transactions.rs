//! Transactions of MySQL and MariaDB.

use std::sync::atomic::{AtomicBool, Ordering};

use diesel::connection::{
    AnsiTransactionManager, SimpleConnection as _, TransactionManager as _,
    TransactionManagerStatus,
};
use diesel::sql_types::BigInt;
use diesel::{MysqlConnection, QueryResult, RunQueryDsl, dsl};

use super::statements::{AutocommitOff, AutocommitOn, Begin};
use crate::dialect::begin::{self, Commit};
use crate::dialect::fault::{Failure, Fault, message};
use crate::dialect::{Statements as _, Transactions};
use crate::error::ConflictReason;

const TRANSACTION_GONE: &str = "the database has ended the transaction";

const TRANSACTION_ENDED: &str = "the database has ended the transaction: a deadlock has undone it, \
     or a statement that commits by itself, such as CREATE TABLE, has committed it";

impl Transactions for MysqlConnection {
    fn begin(&mut self) -> QueryResult<()> {
        // MariaDB can prepare it; MySQL cannot, and says so in a language of its own
        static PREPARABLE: AtomicBool = AtomicBool::new(true);
        if PREPARABLE.load(Ordering::Relaxed) {
            match begin::begin::<_, Begin>(self) {
                Err(diesel::result::Error::DatabaseError(..)) => {}
                begun => return begun,
            }
        }
        let begun = AnsiTransactionManager::begin_transaction_sql(self, "BEGIN");
        if begun.is_ok() {
            PREPARABLE.store(false, Ordering::Relaxed);
        }
        begun
    }

    fn commit(&mut self) -> QueryResult<()> {
        begin::commit::<_, Commit>(self)
    }

    // After a deadlock there is no transaction, and what follows would commit statement by statement
    // <https://dev.mysql.com/doc/refman/8.4/en/innodb-error-handling.html>. Without autocommit it
    // belongs to a new transaction, which is rolled back in the end.
    fn begin_for_others(&mut self) -> QueryResult<()> {
        let begun = begin::begin::<_, AutocommitOff>(self);
        if begun.is_err() {
            self.close();
        }
        begun
    }

    // Switching it on again commits <https://dev.mysql.com/doc/refman/8.4/en/commit.html>: one round
    // trip for both.
    fn commit_for_others(&mut self) -> QueryResult<()> {
        let committed = begin::commit::<_, AutocommitOn>(self);
        if committed.is_err() {
            self.close();
        }
        committed
    }

    // Galera may abort a transaction while it is rolled back, and says so in answer to ROLLBACK: it
    // is gone all the same, but Diesel would use the connection no more.
    fn roll_back(&mut self) -> QueryResult<()> {
        let is_outermost = self.depth().is_ok_and(|depth| depth == 1);
        let rolled_back = AnsiTransactionManager::rollback_transaction(self);
        if is_outermost
            && rolled_back.as_ref().is_err_and(|error| Self::classify(error).ends_transaction())
            && self.batch_execute("ROLLBACK").is_ok()
        {
            *AnsiTransactionManager::transaction_manager_status_mut(self) =
                TransactionManagerStatus::default();
            return Ok(());
        }
        rolled_back
    }

    // After a rollback that failed this would commit.
    fn close(&mut self) {
        if self.depth().is_err() || self.run::<AutocommitOn>(&[]).is_err() {
            self.give_up();
        }
    }

    // A failed statement leaves the transaction usable; COMMIT commits what is there.
    fn before_commit(&mut self) -> QueryResult<()> {
        Ok(())
    }

    // A deadlock, or a statement that commits by itself, is followed by another transaction, which
    // knows no savepoint.
    fn mark_beginning(&mut self) -> QueryResult<()> {
        self.batch_execute("SAVEPOINT flowstate_beginning")
    }

    fn find_beginning(&mut self) -> Result<(), Failure> {
        self.batch_execute("RELEASE SAVEPOINT flowstate_beginning").map_err(|error| {
            missing_savepoint(error, Failure::Noticed(Fault::Aborted, TRANSACTION_ENDED))
        })
    }

    // A second BEGIN commits the first <https://dev.mysql.com/doc/refman/8.4/en/commit.html>.
    fn is_in_transaction(&mut self) -> QueryResult<bool> {
        // without it every statement is in one
        let autocommit = dsl::sql::<BigInt>("SELECT CAST(@@autocommit AS SIGNED)");
        Ok(autocommit.get_result::<i64>(self)? == 1 && self.join().is_ok())
    }

    // Outside a transaction a savepoint is gone as soon as it is made.
    fn join(&mut self) -> Result<(), Failure> {
        self.batch_execute("SAVEPOINT flowstate; RELEASE SAVEPOINT flowstate").map_err(|error| {
            let reason = ConflictReason::Deadlock;
            let fault = Fault::Conflict { reason, ends: true };
            missing_savepoint(error, Failure::Noticed(fault, TRANSACTION_GONE))
        })
    }

    // Diesel believes that the transaction is open, and would commit what follows. It goes into
    // one that refuses to write, and that Diesel refuses to commit.
    fn abandon(&mut self) {
        if self.join().is_err() {
            // if this fails, the connection is lost
            self.batch_execute("START TRANSACTION READ ONLY").unwrap_or_default();
            self.give_up();
        }
    }
}

/// `noticed` if a savepoint of ours is missing: in whatever language the server says so, it repeats
/// the name.
fn missing_savepoint(error: diesel::result::Error, noticed: Failure) -> Failure {
    match message(&error) {
        Some(message) if message.contains("flowstate") => noticed,
        _ => error.into(),
    }
}
