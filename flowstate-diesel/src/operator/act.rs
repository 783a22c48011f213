//! An operator's wish, carried out under the row's lock.

use serde::Serialize;
use serde_json::json;

use super::action::{Action, Deadline, Move, decide};
use super::error::{Error, Refusal, Result};
use super::registry::Registry;
use super::standing::Standing;
use crate::dialect::Dialect;
use crate::dialect::connection::AsStore;
use crate::dialect::operate::Operate;
use crate::dialect::rows::CountRow;
use crate::dialect::sql::operator::{KeyHolder, LockStanding, MoveByHand};
use crate::dialect::sql::shared::{CameFrom, InsertHistory};
use crate::dialect::sql::statement::Bind;
use crate::metrics::Taken;
use crate::transaction;
use crate::transaction::explain::Explain as _;
use crate::transaction::notify;
use crate::transaction::scope;
use crate::transaction::token::token;
use crate::transition::destroy::destroy;

/// The longest actor and reason, in bytes.
const MAX_ACTOR: usize = 255;
const MAX_REASON: usize = 4_000;

/// Which record, and at which `seq` it was seen: it is refused if it has moved since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Target {
    /// The record.
    pub id: i64,
    /// Where it was seen; `None` takes it wherever it is.
    pub seq: Option<i64>,
}

impl From<i64> for Target {
    fn from(id: i64) -> Self {
        Self { id, seq: None }
    }
}

/// Who wishes it, and why: both are kept in the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    actor: String,
    reason: String,
}

impl Wish {
    /// Of this actor, such as `anna@laptop`, for this reason.
    ///
    /// # Errors
    /// [`Error::Input`] if one is empty, too long (255 and 4,000 bytes) or contains a NUL.
    pub fn new(actor: impl Into<String>, reason: impl Into<String>) -> Result<Self> {
        let (actor, reason) = (actor.into(), reason.into());
        for (what, text, most) in [("actor", &actor, MAX_ACTOR), ("reason", &reason, MAX_REASON)] {
            let problem = if text.trim().is_empty() {
                format!("say the {what}: it is kept in the history")
            } else if text.len() > most {
                format!("the {what} is {} bytes long; at most {most} are kept", text.len())
            } else if text.contains('\0') {
                format!("the {what} contains a NUL, which not every database can keep")
            } else {
                continue;
            };
            return Err(Error::Input { problem });
        }
        Ok(Self { actor, reason })
    }
}

/// What was done with a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Moved {
    /// The stored name of the flow.
    pub flow: String,
    /// The record.
    pub id: i64,
    /// The state that it has left.
    pub from: String,
    /// The state in which it is.
    pub to: String,
    /// Where it stands now.
    pub seq: i64,
    /// Whether the state deletes its records: it is gone.
    pub destroyed: bool,
    /// What `force` has left out: the transitions of the shortest way there.
    pub skipped: Option<Vec<String>>,
}

/// Does what an operator wishes with one record, in a transaction, under the row's lock.
///
/// Fenced as a transition is: a worker that holds the record finds its claim lost. Actor and reason
/// are kept in the history, in `actor` and in `metadata`; the row there is called `operator.retry`,
/// `operator.force` or `operator.release`, and by the transition's own name for `take`.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Refused`]: nothing was written. [`Error::Failed`]: see there.
pub fn act(
    action: &Action,
    target: impl Into<Target>,
    wish: &Wish,
    conn: &mut impl AsStore,
) -> Result<Moved> {
    let (target, conn) = (target.into(), conn.as_store());
    let registry = Registry::load(conn)?;
    let moved = transaction::run(conn, &mut |conn| act_in(conn, action, target, wish, &registry))?;
    notify::everything();
    Ok(moved)
}

/// Takes an action with one record, in the transaction that is open.
pub(crate) fn act_in<C: Dialect + Operate>(
    conn: &mut C,
    action: &Action,
    target: Target,
    wish: &Wish,
    registry: &Registry,
) -> Result<Moved> {
    let Target { id, seq } = target;
    let rows = conn.standings::<LockStanding>(&[Bind::Int(id)]).explain(conn)?;
    let standing = Standing::read(rows.into_iter().next().ok_or(Error::NotFound { id })?)?;
    let refused =
        |refusal| Error::Refused { flow: standing.flow.clone(), id: standing.id, refusal };
    if let Some(seen) = seq.filter(|&seen| seen != standing.seq) {
        let (seq, state) = (standing.seq, standing.state.clone());
        return Err(refused(Refusal::Moved { seen, seq, state }));
    }
    let to = look(conn, action, &standing, registry)?.map_err(refused)?;
    write(conn, &standing, &to, wish)
}

/// What is to be done with a record, by what the tables say of it; or why it is not to be.
pub(super) fn look<C: Dialect>(
    conn: &mut C,
    action: &Action,
    standing: &Standing,
    registry: &Registry,
) -> Result<Result<Move, Refusal>> {
    let origin = match action {
        Action::Release { .. } => origin(conn, standing)?,
        _ => None,
    };
    let decided = decide(standing, action, registry, origin.as_deref());
    let revives = |to: &Move| standing.completed_at.is_some() && !to.completes;
    if decided.as_ref().is_ok_and(revives)
        && let Some(refusal) = key_taken(conn, standing)?
    {
        return Ok(Err(refusal));
    }
    Ok(decided)
}

/// The state from which the record was claimed.
fn origin<C: Dialect>(conn: &mut C, standing: &Standing) -> Result<Option<String>> {
    let rows = conn
        .counts::<CameFrom>(&[Bind::Int(standing.id), Bind::Int(standing.seq)])
        .explain(conn)?;
    Ok(rows.into_iter().next().map(|row| row.label))
}

/// Whether a record that is completed would come back to life beside another one with its key.
fn key_taken<C: Dialect>(conn: &mut C, standing: &Standing) -> Result<Option<Refusal>> {
    let binds = [Bind::Text(&standing.flow), Bind::Int(standing.id)];
    let rows = conn.counts::<KeyHolder>(&binds).explain(conn)?;
    let taken = |row: CountRow| Refusal::KeyTaken { key: row.label, by: row.number };
    Ok(rows.into_iter().next().map(taken))
}

pub(super) fn write<C: Dialect>(
    conn: &mut C,
    before: &Standing,
    to: &Move,
    wish: &Wish,
) -> Result<Moved> {
    let seq = before.seq.saturating_add(1);
    let is_written = if to.destroys {
        // whoever wrote it may have labels of which no graph is known
        destroy(conn, before.id, before.seq, true).explain(conn)?
    } else {
        let (is_kept, deadline) = match to.deadline {
            Deadline::Kept => (true, None),
            Deadline::Anew(micros) => (false, micros.map(i64::saturating_neg)),
        };
        let moved = conn
            .run::<MoveByHand>(&[
                Bind::Text(&to.to),
                Bind::Int(to.attempts.into()),
                Bind::from(!to.completes),
                to.completes.into(),
                to.is_error.into(),
                is_kept.into(),
                Bind::MaybeInt(deadline),
                Bind::Int(before.id),
                Bind::Int(before.seq),
            ])
            .explain(conn)?;
        note(conn, before, to, wish, seq)?;
        moved == 1
    };
    if !is_written {
        // the row is locked, and where it was seen
        let record = format_args!("{} #{}", before.flow, before.id);
        return Err(crate::Error::skipped(record).into());
    }
    let mut taken = Taken::default();
    taken.add(before.flow.clone(), to.transition.clone(), 1);
    scope::note_taken(conn, taken);
    Ok(Moved {
        flow: before.flow.clone(),
        id: before.id,
        from: before.state.clone(),
        to: to.to.clone(),
        seq,
        destroyed: to.destroys,
        skipped: to.skipped.clone(),
    })
}

fn note<C: Dialect>(
    conn: &mut C,
    before: &Standing,
    to: &Move,
    wish: &Wish,
    seq: i64,
) -> Result<()> {
    let metadata = match &to.skipped {
        Some(skipped) => json!({ "reason": wish.reason, "skipped": skipped }),
        None => json!({ "reason": wish.reason }),
    };
    let (metadata, token) = (metadata.to_string(), token()?);
    conn.run::<InsertHistory>(&[
        Bind::Int(before.id),
        Bind::Int(seq),
        Bind::Text(&to.transition),
        Bind::Text(&before.state),
        Bind::Text(&to.to),
        Bind::Int(before.attempts.saturating_add(1).into()),
        Bind::Maybe(None),
        Bind::Maybe(Some(&wish.actor)),
        Bind::Maybe(Some(&metadata)),
        Bind::Text(&token),
    ])
    .explain(conn)?;
    Ok(())
}
