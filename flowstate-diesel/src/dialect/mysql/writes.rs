//! Writes of MySQL and MariaDB.

use std::collections::HashSet;

use chrono::{DateTime, SubsecRound as _, Utc};
use diesel::result::{DatabaseErrorKind, Error};
use diesel::{MysqlConnection, QueryResult, RunQueryDsl};

use super::statements::{
    Advance, AdvanceOnce, ExtendLeases, HeldLeases, InsertFlow, InsertSingle, Inserted, LastTaken,
    LastTakenOf, NoteClaims, NoteCreations, NoteVisits, SettleArtefacts, SettleFlows,
    SettleHistory, TakeClaims,
};
use crate::dialect::change::{Change, Claims, NewFlow, since_2000};
use crate::dialect::fallback::{self, Fallback, RARE, Taken, advance_binds, ids_json};
use crate::dialect::fault::Fault;
use crate::dialect::rows::{ClaimedRow, CountRow, FlowRow, InsertedColumns, InsertedRow, Stamp};
use crate::dialect::settlement::{Nested, ended};
use crate::dialect::sql::statement::{Bind, Bound};
use crate::dialect::statements::or_forget;
use crate::dialect::{Statements as _, Writes};

/// As many bytes of payloads may go in one statement: `max_allowed_packet` is 16 MB in MariaDB and
/// 64 MB in MySQL, and may be set lower.
const MOST_BYTES: usize = 256 * 1024;

impl Writes for MysqlConnection {
    fn write(&mut self, change: &Change<'_>) -> QueryResult<Option<Stamp>> {
        fallback::write(self, change)
    }

    fn insert(&mut self, flow: &NewFlow<'_>) -> QueryResult<Option<InsertedRow>> {
        fallback::insert(self, flow)
    }

    fn insert_many(&mut self, flow: &NewFlow<'_>, all: &[String]) -> QueryResult<Vec<InsertedRow>> {
        fallback::insert_many(self, flow, all)
    }

    fn claim(&mut self, claims: &Claims<'_>) -> QueryResult<Vec<ClaimedRow>> {
        fallback::claim(self, claims)
    }

    fn settle(&mut self, changes: &[Change<'_>]) -> QueryResult<Vec<i64>> {
        let leases = changes.iter().map(|change| (change.id, change.before.seq, 0));
        let leases = serde_json::json!(leases.collect::<Vec<_>>()).to_string();
        let worker = changes.first().and_then(|change| change.held_by).unwrap_or_default();
        let held = self.counts::<HeldLeases>(&[Bind::Text(&leases), Bind::Text(worker)])?;
        let held: HashSet<_> = held.into_iter().map(|row| row.number).collect();
        let held: Vec<_> = changes.iter().filter(|change| held.contains(&change.id)).collect();
        match settle_at_once(self, &held)? {
            Some(settled) => Ok(settled),
            None => fallback::settle(self, held.into_iter()),
        }
    }

    fn extend_leases(&mut self, worker: &str, leases: &str) -> QueryResult<usize> {
        // MariaDB overlooks SKIP LOCKED inside an UPDATE
        let held = self.counts::<HeldLeases>(&[Bind::Text(leases), Bind::Text(worker)])?;
        if held.is_empty() {
            return Ok(0);
        }
        let held: Vec<_> = held.iter().map(|row| &*row.label).collect();
        self.run::<ExtendLeases>(&[Bind::Text(&format!("[{}]", held.join(",")))])
    }
}

impl Fallback for MysqlConnection {
    type NoteCreations = NoteCreations;
    type NoteClaims = NoteClaims;
    type NoteVisits = NoteVisits;

    fn advance(&mut self, change: &Change<'_>) -> QueryResult<Option<Stamp>> {
        let timing = change.landing.timing;
        let times = [timing.due_in, timing.deadline_in].map(Bind::MaybeInt);
        let born = Bind::MaybeInt(change.born.map(since_2000));
        let binds = advance_binds(change, times, born);
        let updated = if change.is_usual() {
            self.run::<AdvanceOnce>(&binds[RARE..])?
        } else {
            self.run::<Advance>(&binds)?
        };
        Ok((updated == 1).then(|| Stamp::Estimated(now())))
    }

    fn insert_row(&mut self, flow: &NewFlow<'_>) -> QueryResult<Option<InsertedRow>> {
        let due_at = flow.due_at.map(|due| due.timestamp_micros());
        let timing = flow.landing.timing;
        let times = [due_at, timing.due_in, timing.deadline_in];
        let binds = flow.binds(times.map(Bind::MaybeInt));
        // IGNORE would hide other errors too, and ON DUPLICATE KEY other keys
        let inserted = if flow.is_single {
            self.run::<InsertSingle>(&binds)
        } else {
            self.run::<InsertFlow>(&binds)
        };
        match inserted {
            Ok(_) => {}
            Err(error) if Self::classify(&error) == Fault::KeyTaken => return Ok(None),
            Err(error) => return Err(error),
        }
        let inserted = Bound::<Inserted, InsertedColumns>::new(&[]).get_result(self);
        or_forget(self, inserted).map(Some)
    }

    // A statement that looks many up is led by their ids alone, through whatever there is of each.
    fn last_taken(
        &mut self,
        finishes: &str,
        start: &str,
        rows: &[FlowRow],
    ) -> QueryResult<Vec<CountRow>> {
        let (old, young): (Vec<_>, Vec<_>) =
            rows.iter().partition(|row| row.seq >= Claims::LOOKS_BACK);
        let mut taken = Vec::new();
        if !young.is_empty() {
            let ids = ids_json(young.iter().map(|row| row.id));
            taken = self.counts::<LastTaken>(&[finishes, start, &ids].map(Bind::Text))?;
        }
        for row in old {
            let [id, back_to] = [row.id, row.seq - Claims::LOOKS_BACK].map(Bind::Int);
            let binds = [id, back_to, Bind::Text(finishes), Bind::Text(start)];
            taken.extend(self.counts::<LastTakenOf>(&binds)?);
        }
        Ok(taken)
    }

    fn take(&mut self, claims: &Claims<'_>, ids: &str) -> QueryResult<Taken> {
        let rows = self.run::<TakeClaims>(&[
            Bind::Text(ids),
            Bind::Text(claims.link.to),
            Bind::Int(claims.lease.0),
            Bind::Text(claims.lease.1),
            Bind::MaybeInt(claims.deadline_in),
        ])?;
        Ok(Taken { rows, at: None })
    }
}

/// Ends claims whose rows are locked, whatever their number, with a statement for each table. `None`
/// if they had better be ended one by one: a single one, one that does more than end a claim, or
/// payloads that are large.
fn settle_at_once(
    conn: &mut MysqlConnection,
    held: &[&Change<'_>],
) -> QueryResult<Option<Vec<i64>>> {
    let is_an_end = |change: &&Change<'_>| change.props.is_none() && change.born.is_none();
    let bytes: usize = held.iter().map(|change| bytes(change)).sum();
    if held.len() < 2 || bytes > MOST_BYTES || !held.iter().all(is_an_end) {
        return Ok(None);
    }
    let [flows, history, artefacts] = ended(held.iter().copied(), Nested::AsText);
    if conn.run::<SettleFlows>(&[Bind::Text(&flows)])? != held.len() {
        let text = "a claim that was to be ended has another flow's record".to_owned();
        return Err(Error::DatabaseError(DatabaseErrorKind::Unknown, Box::new(text)));
    }
    conn.run::<SettleHistory>(&[Bind::Text(&history)])?;
    if artefacts != "[]" {
        conn.run::<SettleArtefacts>(&[Bind::Text(&artefacts)])?;
    }
    Ok(Some(held.iter().map(|change| change.id).collect()))
}

fn bytes(change: &Change<'_>) -> usize {
    let payloads = change.links.iter().flat_map(|link| &link.artefacts);
    let texts = [&change.notes.error, &change.notes.metadata];
    payloads.map(|payload| payload.json.len()).sum::<usize>()
        + texts.into_iter().flatten().map(String::len).sum::<usize>()
}

/// The time of a change, which the database does not tell: that of this process's clock, to the
/// microsecond.
fn now() -> DateTime<Utc> {
    DateTime::<Utc>::from(std::time::SystemTime::now()).trunc_subsecs(6)
}
