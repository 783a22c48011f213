//! Transactions of MySQL and MariaDB.

use diesel::connection::{
    AnsiTransactionManager, SimpleConnection as _, TransactionManager as _,
    TransactionManagerStatus,
};
use diesel::sql_types::{BigInt, Text};
use diesel::{MysqlConnection, QueryResult, RunQueryDsl, dsl};

use super::statements::{AutocommitOff, AutocommitOn};
use crate::dialect::begin;
use crate::dialect::fault::{Failure, Fault, message};
use crate::dialect::sql::statement::Verbatim;
use crate::dialect::{Obstacle, Statements as _, Transactions, Waits};
use crate::error::{ConflictReason, Unfit};

const TRANSACTION_GONE: &str = "the database has ended the transaction";

const TRANSACTION_ENDED: &str = "the database has ended the transaction: a deadlock has undone it, \
     or a statement that commits by itself, such as CREATE TABLE, has committed it";

/// [`AutocommitOff`], with a bound for waits. What was set before is kept, once. MySQL takes no number
/// that is not known to be whole.
const BEGIN_BOUNDED: &str = "SET autocommit = 0, @flowstate_lock_wait = \
     COALESCE(@flowstate_lock_wait, @@SESSION.innodb_lock_wait_timeout), \
     SESSION innodb_lock_wait_timeout = \
     CAST(LEAST(1, @@SESSION.innodb_lock_wait_timeout) AS UNSIGNED)";
/// [`AutocommitOn`] after that: the waits are as they were before.
const COMMIT_BOUNDED: &str = "SET autocommit = 1, SESSION innodb_lock_wait_timeout = \
     CAST(COALESCE(@flowstate_lock_wait, @@SESSION.innodb_lock_wait_timeout) AS UNSIGNED), \
     @flowstate_lock_wait = NULL";

/// Whether each statement is a transaction, and the character sets of what is sent and given back.
/// Where nothing is converted on the way back, what is stored comes as it is, which is `utf8mb4`.
const SESSION: &str = "SELECT CAST(@@autocommit AS SIGNED), \
     CONCAT_WS(', ', @@character_set_client, @@character_set_connection, @@character_set_results), \
     CAST(@@character_set_client = 'utf8mb4' AND @@character_set_connection = 'utf8mb4' \
     AND COALESCE(@@character_set_results, 'binary') IN ('utf8mb4', 'binary') AS SIGNED)";
/// Has the next transaction be at the level of the session. While one is open this is refused, and
/// nothing else tells that a statement has begun one where autocommit is off. Each family skips the
/// comment of the other.
const SAME_LEVEL: &str = "SET /*M! @@tx_isolation = @@SESSION.tx_isolation */ \
     /*!80000 @@transaction_isolation = @@SESSION.transaction_isolation */";

impl Transactions for MysqlConnection {
    // After a deadlock there is no transaction, and what code of others does then would be committed
    // statement by statement <https://dev.mysql.com/doc/refman/8.4/en/innodb-error-handling.html>.
    // Without autocommit it belongs to a new transaction, which is rolled back in the end. Nor can MySQL
    // prepare BEGIN: as a text it takes three round trips.
    //
    // It waits for fifty seconds, unless the server is told otherwise. There is no bound for a
    // transaction alone: the session's is changed with it, and changed back, in the same round trips.
    fn begin(&mut self, waits: Waits) -> QueryResult<()> {
        let begun = match waits {
            Waits::AsSet => begin::begin::<_, AutocommitOff>(self),
            Waits::Bounded => {
                Verbatim(BEGIN_BOUNDED).execute(self).and_then(|_| begin::begun(self))
            }
        };
        if begun.is_err() {
            self.close(waits);
        }
        begun
    }

    // Switching it on again commits <https://dev.mysql.com/doc/refman/8.4/en/commit.html>: one round
    // trip for both.
    fn commit(&mut self, waits: Waits) -> QueryResult<()> {
        let committed = autocommit_on(self, waits);
        let committed = begin::ended(self, committed);
        if committed.is_err() {
            self.close(waits);
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
    fn close(&mut self, waits: Waits) {
        if self.depth().is_err() || autocommit_on(self, waits).is_err() {
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

    // A second BEGIN commits the first <https://dev.mysql.com/doc/refman/8.4/en/commit.html>, and so
    // does switching autocommit on.
    fn obstacle(&mut self) -> QueryResult<Option<Obstacle>> {
        let session = dsl::sql::<(BigInt, Text, BigInt)>(SESSION);
        let (autocommits, encoding, serves) = session.get_result::<(i64, String, i64)>(self)?;
        let is_open = if autocommits == 1 {
            self.join().is_ok()
        } else {
            match Verbatim(SAME_LEVEL).execute(self) {
                Ok(_) => false,
                Err(error) if Self::classify(&error) == Fault::Unexplained => true,
                Err(error) => return Err(error),
            }
        };
        if is_open {
            return Ok(Some(Obstacle::ByHand));
        }
        let remedy = "SET NAMES utf8mb4";
        let unfit = Unfit::Encoding { found: encoding, remedy };
        Ok((serves == 0).then_some(Obstacle::Unfit(unfit)))
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

/// Commits what is open, and has each statement be a transaction again.
fn autocommit_on(conn: &mut MysqlConnection, waits: Waits) -> QueryResult<usize> {
    match waits {
        Waits::AsSet => conn.run::<AutocommitOn>(&[]),
        Waits::Bounded => Verbatim(COMMIT_BOUNDED).execute(conn),
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
