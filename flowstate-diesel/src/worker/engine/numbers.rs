//! How many records are where, for who scrapes metrics: counted by one thread now and then, however
//! often they are asked for.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use diesel::r2d2::ManageConnection;

use super::core::Core;
use super::known::Known;
use super::unwind::{caught, report};
use crate::dialect::connection::Store;
use crate::metrics;
use crate::operator;
use crate::operator::COUNTED_AT_MOST;
use crate::text::chain::chain;

/// The pause between two counts.
const COUNT_EVERY: Duration = Duration::from_secs(15);

impl<M: ManageConnection<Connection: Store>> Core<M> {
    /// Counts records if it is time to, by a worker that stays. Returns when it is time again.
    pub(super) fn count_in_time(&self, next: &mut Instant) -> Instant {
        if Instant::now() >= *next {
            *next = Instant::now() + COUNT_EVERY;
            if self.presence.is_some() {
                self.count_records();
            }
        }
        *next
    }

    /// Counts the records of every flow that this worker knows. What cannot be counted now keeps its
    /// former numbers.
    fn count_records(&self) {
        for known in &self.known {
            let counted = caught("counting records", || self.with(|conn| Ok(count(known, conn))));
            let error = match counted {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => chain(&error),
                Err(error) => chain(&error),
            };
            report(|| tracing::debug!(error, "records were not counted"));
        }
    }
}

fn count(known: &Known, conn: &mut impl Store) -> operator::Result<()> {
    let Known { flow, definition, .. } = *known;
    let (now, numbers) = operator::numbers_at(Some(flow), COUNTED_AT_MOST, conn)?;
    // states without records are not among the numbers
    let mut states: BTreeMap<_, _> =
        definition.states.iter().map(|state| (state.name, (0, 0.0_f64))).collect();
    let mut stuck = 0_i64;
    for found in numbers {
        stuck += found.stuck;
        // by its present name; one that this program does not know is counted by the program that does
        let mut known = definition.states.iter();
        let known =
            known.find(|state| state.name == found.state || state.aliases.contains(&&*found.state));
        let of_state = known.and_then(|state| states.get_mut(state.name));
        if let Some((records, oldest)) = of_state {
            *records += found.records;
            let due = found.oldest_due_at.and_then(|due| (now - due).to_std().ok());
            *oldest = oldest.max(due.unwrap_or_default().as_secs_f64());
        }
    }
    let number = |records: i64| u32::try_from(records).unwrap_or(u32::MAX);
    for (state, (records, oldest)) in states {
        metrics::state(flow, state, number(records), oldest);
    }
    metrics::stuck(flow, number(stuck));
    Ok(())
}
