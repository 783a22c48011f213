//! Writes of PostgreSQL: each is one statement.

use diesel::sql_types::Text;
use diesel::{OptionalExtension, PgConnection, QueryResult, RunQueryDsl};

use super::statements::{
    Advance, AdvanceOnce, AdvanceOnceKeeping, Claim, ClaimId, ClaimOnce, ClaimThese, ExtendLeases,
    Insert, InsertAtOnce, InsertMany, InsertSingle, InsertSingleAtOnce, Settle, UnclaimId,
};
use crate::dialect::change::{Change, Claims, Entry, Landing, NewFlow, Payload, Which, since_2000};
use crate::dialect::rows::{ClaimedColumns, ClaimedRow, InsertedColumns, InsertedRow, Stamp};
use crate::dialect::settlement::{Nested, ended, texts};
use crate::dialect::sql::statement::{Bind, Bound};
use crate::dialect::{Statements as _, Waits, Writes};

impl Writes for PgConnection {
    const ONE_STATEMENT: bool = true;

    fn write(&mut self, change: &Change<'_>) -> QueryResult<Option<Stamp>> {
        let (after, Landing { completes, timing, .. }) = (change.after(), change.landing);
        let mut binds = vec![
            Bind::Text(after.state),
            Bind::Int(after.seq),
            Bind::Int(after.attempts.into()),
            Bind::MaybeInt(timing.due_in),
            completes.into(),
            after.is_error.into(),
            Bind::MaybeInt(timing.deadline_in),
        ];
        let born = change.born.map(since_2000);
        let place = [
            Bind::Int(change.id),
            Bind::Int(change.before.seq),
            Bind::Text(change.record.flow),
            Bind::MaybeInt(born),
            Bind::Maybe(change.held_by),
        ];
        let entry = change.only_entry().filter(|_| change.props.is_none());
        let stamp: QueryResult<String> = if let Some(entry) = entry {
            binds.extend(place);
            binds.extend(entry_binds(change, &entry));
            match &*entry.link.artefacts {
                [] => Bound::<AdvanceOnce, Text>::new(&binds).get_result(self),
                [Payload { name, json, version }, ..] => {
                    let version = Bind::Int((*version).into());
                    binds.extend([Bind::Text(name), Bind::Text(json), version]);
                    Bound::<AdvanceOnceKeeping, Text>::new(&binds).get_result(self)
                }
            }
        } else {
            let [history, artefacts] = texts(change, Nested::AsValue);
            binds.extend([
                Bind::Maybe(change.props.map(|props| props.json)),
                Bind::MaybeInt(change.props.map(|props| props.version.into())),
            ]);
            binds.extend(place);
            binds.extend([Bind::Text(&history), Bind::Text(&artefacts)]);
            Bound::<Advance, Text>::new(&binds).get_result(self)
        };
        Ok(stamp.optional()?.map(Stamp::Dated))
    }

    fn insert(&mut self, flow: &NewFlow<'_>) -> QueryResult<Option<InsertedRow>> {
        let binds = new_binds(flow, None);
        if flow.is_single {
            Bound::<InsertSingle, InsertedColumns>::new(&binds).get_result(self).optional()
        } else {
            Bound::<Insert, InsertedColumns>::new(&binds).get_result(self).optional()
        }
    }

    fn insert_at_once(&mut self, flow: &NewFlow<'_>) -> QueryResult<Option<InsertedRow>> {
        let binds = new_binds(flow, Some(announcement(flow.token)));
        if flow.is_single {
            Bound::<InsertSingleAtOnce, InsertedColumns>::new(&binds).get_result(self).optional()
        } else {
            Bound::<InsertAtOnce, InsertedColumns>::new(&binds).get_result(self).optional()
        }
    }

    fn insert_many(&mut self, flow: &NewFlow<'_>, all: &[String]) -> QueryResult<Vec<InsertedRow>> {
        let props = format!("[{}]", all.join(","));
        let Landing { completes, timing, .. } = flow.landing;
        let binds = [
            Bind::Text(&props),
            Bind::Text(flow.flow),
            Bind::Text(flow.state),
            Bind::Int(flow.props.version.into()),
            Bind::MaybeInt(timing.due_in),
            Bind::MaybeInt(timing.deadline_in),
            completes.into(),
            Bind::Text(NewFlow::TRANSITION),
            Bind::Text(flow.token),
        ];
        Bound::<InsertMany, InsertedColumns>::new(&binds).load(self)
    }

    fn await_insert(&mut self, id: i64) -> QueryResult<()> {
        if self.run::<ClaimId>(&[Bind::Int(id)])? == 1 {
            self.run::<UnclaimId>(&[Bind::Int(id)])?;
        }
        Ok(())
    }

    fn claim(&mut self, claims: &Claims<'_>) -> QueryResult<Vec<ClaimedRow>> {
        let (lease, worker) = claims.lease;
        let ids;
        let which = match claims.which {
            Which::Oldest { reach, but, limit } => {
                vec![Bind::Int(reach), Bind::Text(but), Bind::Int(limit)]
            }
            Which::These(these) => {
                ids = serde_json::Value::from(these).to_string();
                vec![Bind::Text(&ids)]
            }
        };
        let moved = [
            Bind::Text(claims.link.to),
            Bind::Int(lease),
            Bind::Text(worker),
            Bind::MaybeInt(claims.deadline_in),
            (claims.waits == Waits::Bounded).into(),
        ];
        // of a step that cannot be repeated nothing is looked for, and nothing begins anew
        let (finishes, back, old) = match claims.finishes {
            Some(finishes) => (finishes, Claims::LOOKS_BACK, Claims::LOOKS_BACK),
            None => ("[]", 0, i64::MAX),
        };
        let [finishes, start] = [finishes, claims.link.transition].map(Bind::Text);
        let finishes = [finishes, start, Bind::Int(back), Bind::Int(old)];
        let noted = [
            Bind::Text(claims.link.transition),
            Bind::Text(claims.from),
            Bind::Text(worker),
            Bind::Text(claims.token),
        ];
        let place = [Bind::Text(claims.flow), Bind::Text(claims.from)];
        if let (None, Which::Oldest { .. }) = (claims.finishes, claims.which) {
            let binds = [&place[..], &which, &moved, &noted].concat();
            return Bound::<ClaimOnce, ClaimedColumns>::new(&binds).load(self);
        }
        let binds = [&place[..], &which, &moved, &finishes, &noted].concat();
        match claims.which {
            Which::Oldest { .. } => Bound::<Claim, ClaimedColumns>::new(&binds).load(self),
            Which::These(_) => Bound::<ClaimThese, ClaimedColumns>::new(&binds).load(self),
        }
    }

    fn settle(&mut self, changes: &[Change<'_>]) -> QueryResult<Vec<i64>> {
        let texts = ended(changes, Nested::AsValue);
        let binds = texts.each_ref().map(|text| Bind::Text(text));
        let rows = self.counts::<Settle>(&binds)?;
        Ok(rows.into_iter().map(|row| row.number).collect())
    }

    fn extend_leases(&mut self, worker: &str, leases: &str) -> QueryResult<usize> {
        self.run::<ExtendLeases>(&[Bind::Text(leases), Bind::Text(worker)])
    }
}

/// The history row of the only link of a change.
fn entry_binds<'a>(change: &Change<'a>, entry: &Entry<'a>) -> [Bind<'a>; 7] {
    let notes = change.notes;
    [
        Bind::Text(entry.link.transition),
        Bind::Text(entry.from),
        Bind::Int(entry.attempt.into()),
        Bind::Maybe(notes.error.as_deref()),
        Bind::Maybe(notes.actor.as_deref()),
        Bind::Maybe(notes.metadata.as_deref()),
        Bind::Text(&notes.token),
    ]
}

/// The values of a new record; `announcement` if it is inserted in a transaction of its own.
fn new_binds<'a>(flow: &NewFlow<'a>, announcement: Option<i64>) -> Vec<Bind<'a>> {
    let due_at = flow.due_at.map(|due| due.timestamp_micros());
    let timing = flow.landing.timing;
    let times = [due_at, timing.due_in, timing.deadline_in];
    let mut binds = flow.binds(times.map(Bind::MaybeInt)).to_vec();
    binds.extend(announcement.map(Bind::Int));
    let name = Bind::Text(NewFlow::TRANSITION);
    binds.extend([name, Bind::Maybe(flow.metadata), Bind::Text(flow.token)]);
    binds
}

/// The number of the lock under which a record is created: 64 of the token's random bits.
pub(super) fn announcement(token: &str) -> i64 {
    let bits = token.get(..16).and_then(|bits| u64::from_str_radix(bits, 16).ok());
    bits.unwrap_or_default().cast_signed()
}
