//! The library's own tables.

use diesel::QueryResult;

use crate::dialect::connection::AsStore;
use crate::dialect::fault::Failure;
use crate::dialect::sql::statement::statements;
use crate::dialect::{Dialect, Migration, Obstacle, Transactions as _};
use crate::error::{Error, Result};
use crate::transaction;
use crate::transaction::explain::Explain as _;
use crate::transaction::instrument;
use crate::transaction::read::read;

statements! {
    Versions = "SELECT version, COUNT(*) FROM flowstate_migrations GROUP BY version";
}

/// Creates or updates the tables of flowstate, and returns the versions that it applied: none if
/// everything was up to date.
///
/// Safe to call at every start and from several processes at once: one migrates, the others wait.
/// The versions are kept in a table of its own, `flowstate_migrations`, so that Diesel's migrations
/// of the host application and these do not touch each other. The SQL files can be copied into the
/// application's own migrations instead: they record their versions themselves, and this function
/// then finds nothing to do.
///
/// What unqualified names find counts: on PostgreSQL the tables may be in any schema of the
/// `search_path`. If everything is there, nothing is made and nothing locked, and a role that may
/// make no tables can call this too.
///
/// Inside a transaction of the caller's it is part of it, except on MySQL, whose `CREATE TABLE`
/// would commit what the caller has written so far: there it is refused.
///
/// # Errors
/// [`Error::Conflict`](crate::Error::Conflict) if another process migrates for longer than the
/// database waits; [`Error::Unfit`] if the server is too old; on MySQL [`Error::MigrateInTransaction`] if one is open;
/// [`Error::Database`]. On SQLite and PostgreSQL nothing is changed then; MySQL commits each
/// statement by itself, and the rest follows when this is called again.
pub fn migrate<S: AsStore>(conn: &mut S) -> Result<Vec<&'static str>> {
    let conn = conn.as_store();
    refuse_unfit(conn)?;
    if S::Store::CREATING_COMMITS && conn.depth().explain(conn)? > 0 {
        return Err(Error::MigrateInTransaction);
    }
    if is_done(conn)? {
        return Ok(Vec::new());
    }
    transaction::run(conn, &mut |conn| {
        let applied = apply(conn).explain(conn);
        let unlocked = conn.unlock_migrations().explain(conn);
        applied.and_then(|applied| unlocked.map(|()| applied))
    })
}

/// Fails if the server or the session is not fit for use.
pub(crate) fn refuse_unfit<C: Dialect>(conn: &mut C) -> Result<()> {
    if let Some(unfit) = read(conn, None, C::refusal)? {
        return Err(Error::Unfit(unfit));
    }
    instrument::watch(conn);
    match instrument::obstacle(conn) {
        Some(Obstacle::Unfit(unfit)) => Err(Error::Unfit(unfit)),
        Some(Obstacle::ByHand) | None => Ok(()),
    }
}

/// Whether everything has run: then nothing is locked or made, and a role that may only read and write
/// the tables can say so too.
fn is_done<C: Dialect>(conn: &mut C) -> Result<bool> {
    read(conn, None, |conn| Ok(conn.has_versions()? && missing(conn)?.is_empty()))
}

fn apply<C: Dialect>(conn: &mut C) -> std::result::Result<Vec<&'static str>, Failure> {
    let pending = pending(conn)?;
    let run = |migration: &&Migration| {
        conn.batch_execute(migration.up)?;
        Ok(migration.version)
    };
    pending.iter().map(run).collect()
}

/// The migrations that have not run yet.
fn pending<C: Dialect>(conn: &mut C) -> std::result::Result<Vec<&'static Migration>, Failure> {
    conn.lock_migrations()?;
    Ok(missing(conn)?)
}

fn missing<C: Dialect>(conn: &mut C) -> QueryResult<Vec<&'static Migration>> {
    let applied = conn.counts::<Versions>(&[])?;
    let is_pending =
        |migration: &&Migration| applied.iter().all(|applied| applied.label != migration.version);
    Ok(C::MIGRATIONS.iter().filter(is_pending).collect())
}
