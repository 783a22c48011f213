//! Writes of PostgreSQL: each is one statement.

use diesel::sql_types::Text;
use diesel::{OptionalExtension, PgConnection, QueryResult, RunQueryDsl};

use super::binds::{announcement, ended, entry_binds, new_binds, texts};
use super::statements::{
    Advance, AdvanceOnce, AdvanceOnceKeeping, Claim, ClaimId, ClaimOnce, ClaimThese, ExtendLeases,
    Insert, InsertAtOnce, InsertMany, Settle, UnclaimId,
};
use crate::dialect::change::{Change, Claims, NewFlow, Which, since_2000};
use crate::dialect::rows::{ClaimedColumns, ClaimedRow, InsertedColumns, InsertedRow, Stamp};
use crate::dialect::sql::statement::{Bind, Bound};
use crate::dialect::{Statements as _, Writes};

impl Writes for PgConnection {
    const ONE_STATEMENT: bool = true;

    fn write(&mut self, change: &Change<'_>) -> QueryResult<Option<Stamp>> {
        let (after, timing) = (change.after(), change.timing);
        let mut binds = vec![
            Bind::Text(after.state),
            Bind::Int(after.seq),
            Bind::Int(after.attempts.into()),
            Bind::MaybeInt(timing.due_in),
            change.completes.into(),
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
        let usual = timing.lease.is_none() && change.props.is_none();
        let stamp: QueryResult<String> = if let Some(entry) = change.only_entry().filter(|_| usual)
        {
            binds.extend(place);
            binds.extend(entry_binds(change, &entry));
            match &*entry.link.artefacts {
                [] => Bound::<AdvanceOnce, Text>::new(&binds).get_result(self),
                [(name, payload), ..] => {
                    binds.extend([Bind::Text(name), Bind::Text(payload)]);
                    Bound::<AdvanceOnceKeeping, Text>::new(&binds).get_result(self)
                }
            }
        } else {
            let (history, artefacts) = texts(change);
            binds.extend([
                Bind::MaybeInt(timing.lease.map(|(micros, _)| micros)),
                Bind::Maybe(timing.lease.map(|(_, worker)| worker)),
                Bind::Maybe(change.props),
            ]);
            binds.extend(place);
            binds.extend([Bind::Text(&history), Bind::Text(&artefacts)]);
            Bound::<Advance, Text>::new(&binds).get_result(self)
        };
        Ok(stamp.optional()?.map(Stamp::Dated))
    }

    fn insert(&mut self, flow: &NewFlow<'_>) -> QueryResult<Option<InsertedRow>> {
        Bound::<Insert, InsertedColumns>::new(&new_binds(flow, None)).get_result(self).optional()
    }

    fn insert_at_once(&mut self, flow: &NewFlow<'_>) -> QueryResult<Option<InsertedRow>> {
        let binds = new_binds(flow, Some(announcement(flow.token)));
        Bound::<InsertAtOnce, InsertedColumns>::new(&binds).get_result(self).optional()
    }

    fn insert_many(&mut self, flow: &NewFlow<'_>, all: &[String]) -> QueryResult<Vec<InsertedRow>> {
        let props = format!("[{}]", all.join(","));
        let binds = [
            Bind::Text(&props),
            Bind::Text(flow.flow),
            Bind::Text(flow.state),
            Bind::MaybeInt(flow.timing.due_in),
            Bind::MaybeInt(flow.timing.deadline_in),
            flow.completes.into(),
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
        let binds = [
            Bind::Text(claims.link.to),
            Bind::Int(lease),
            Bind::Text(worker),
            Bind::MaybeInt(claims.deadline_in),
            Bind::Text(claims.link.transition),
            Bind::Text(claims.from),
            Bind::Text(worker),
            Bind::Text(claims.token),
        ];
        let place = [Bind::Text(claims.flow), Bind::Text(claims.from)];
        let mut binds = [&place[..], &which, &binds].concat();
        if let (None, Which::Oldest { .. }) = (claims.finishes, claims.which) {
            return Bound::<ClaimOnce, ClaimedColumns>::new(&binds).load(self);
        }
        binds.push(Bind::Text(claims.finishes.unwrap_or("[]")));
        match claims.which {
            Which::Oldest { .. } => Bound::<Claim, ClaimedColumns>::new(&binds).load(self),
            Which::These(_) => Bound::<ClaimThese, ClaimedColumns>::new(&binds).load(self),
        }
    }

    fn settle(&mut self, changes: &[Change<'_>]) -> QueryResult<Vec<i64>> {
        let texts = ended(changes);
        let binds = texts.each_ref().map(|text| Bind::Text(text));
        let rows = self.counts::<Settle>(&binds)?;
        Ok(rows.into_iter().map(|row| row.number).collect())
    }

    fn extend_leases(&mut self, worker: &str, leases: &str) -> QueryResult<usize> {
        self.run::<ExtendLeases>(&[Bind::Text(leases), Bind::Text(worker)])
    }
}
