//! The turn of one thread to write, and what it writes for others.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use diesel::result::{DatabaseErrorKind, Error};

use super::{Waiter, WriteQueue};
use crate::dialect::change::{Creation, Plan, Standing};
use crate::dialect::fault::copy;
use crate::dialect::rows::{InsertedRow, Stamp};

/// So many offers are written in one transaction at the most, so that who waits behind them does not
/// wait long.
const MOST_OFFERS: usize = 64;

/// So long who has the turn waits, before it commits, for those who offered something when the last turn
/// ended: they come back soon, and one COMMIT serves all of them. Those that do not come back are not
/// waited for a second time.
const LINGER: Duration = Duration::from_micros(100);

/// What a thread waits to write, as data: whoever has the turn may write it.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) what: Offered,
    /// How the connection of that thread writes.
    pub(crate) manner: Arc<str>,
}

#[derive(Debug)]
pub(crate) enum Offered {
    Change {
        plan: Plan,
        before: Standing<'static>,
        /// When the record was created, if that is to be held against the row.
        born: Option<DateTime<Utc>>,
    },
    Creation(Creation),
}

/// What was written of an offer.
#[derive(Debug)]
pub(crate) enum Written {
    Moved(Stamp),
    Created(InsertedRow),
}

/// What came of an offer.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It is committed.
    Written(Written),
    /// Nothing of it is: the row has moved on, or something has failed, be it of another offer. The
    /// thread that made it writes it alone and sees.
    Unwritten,
    /// It was written, and nobody knows whether that was committed.
    InDoubt(Error, Written),
}

/// How the transaction of a turn has ended.
#[derive(Debug)]
pub(crate) enum End {
    RolledBack,
    Committed,
    InDoubt(Error),
}

/// The right to write, given back when dropped. Then those are answered whose offers were taken,
/// whatever has happened: the transaction must have ended by then.
#[derive(Debug)]
pub(crate) struct Turn {
    queue: Arc<WriteQueue>,
    /// Whose offers were taken, and what was written of them.
    taken: Vec<(Arc<Waiter>, Option<Written>)>,
    end: End,
}

impl Turn {
    pub(super) fn new(queue: &Arc<WriteQueue>) -> Self {
        Self { queue: Arc::clone(queue), taken: Vec::new(), end: End::RolledBack }
    }

    /// Waits until there are as many offers as when the last turn ended, but not for long.
    pub(crate) fn linger(&self) {
        let began = Instant::now();
        let is_complete = || {
            let order = self.queue.order();
            order.offers() >= order.lately
        };
        while !is_complete() && began.elapsed() < LINGER {
            std::thread::yield_now();
        }
    }

    /// Whether the first who waits has made an offer in this manner.
    pub(crate) fn has_offers(&self, manner: &str) -> bool {
        let order = self.queue.order();
        order.waiting.front().is_some_and(|first| first.offers(manner))
    }

    /// Takes the next offer in this manner, in the order of the queue: nothing passes before somebody
    /// who writes by itself. What was written of it is then [noted](Self::note).
    pub(crate) fn take(&mut self, manner: &str) -> Option<&Offered> {
        if self.taken.len() >= MOST_OFFERS {
            return None;
        }
        let mut order = self.queue.order();
        let first = order.waiting.pop_front_if(|first| first.offers(manner))?;
        order.served = Some(Instant::now());
        drop(order);
        self.taken.push((first, None));
        self.taken.last()?.0.offer.as_ref().map(|offer| &offer.what)
    }

    /// Notes what was written of the offer that was taken last.
    pub(crate) fn note(&mut self, written: Option<Written>) {
        if let Some((_, noted)) = self.taken.last_mut() {
            *noted = written;
        }
    }

    /// From now on, until [`Self::ended`], nobody can say what becomes of the transaction.
    pub(crate) fn commits(&mut self) {
        if !self.taken.is_empty() {
            let text = "the thread that wrote it has panicked while it committed".to_owned();
            self.end =
                End::InDoubt(Error::DatabaseError(DatabaseErrorKind::Unknown, Box::new(text)));
        }
    }

    pub(crate) fn ended(&mut self, end: End) {
        self.end = end;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let taken = std::mem::take(&mut self.taken);
        let mut told: Vec<_> = taken.iter().map(|(waiter, _)| Arc::clone(waiter)).collect();
        let answers = taken.into_iter().map(|(waiter, written)| {
            let answer = match (&self.end, written) {
                (End::Committed, Some(written)) => Answer::Written(written),
                (End::InDoubt(error), Some(written)) => Answer::InDoubt(copy(error), written),
                (_, None) | (End::RolledBack, _) => Answer::Unwritten,
            };
            (waiter, answer)
        });
        let mut order = self.queue.order();
        order.lately = told.len() + order.offers();
        order.answers.extend(answers);
        order.holder = None;
        let owes = order.owes();
        let first = order.waiting.front().filter(|first| owes || !first.is_passed_over());
        told.extend(first.map(Arc::clone));
        told.retain(|waiter| waiter.tell());
        drop(order);
        for sleeper in told {
            sleeper.called.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread::{ScopedJoinHandle, scope};
    use std::time::Duration;

    use super::super::{Waited, WriteQueue};
    use super::*;
    use crate::dialect::change::{Landing, Notes, Timing};
    use crate::error::RecordRef;

    const LONG: Duration = Duration::from_secs(20);

    fn offer(id: i64, manner: &str) -> Offer {
        let plan = Plan {
            record: RecordRef { flow: "f", id: Some(id) },
            aliases: &[],
            id,
            links: Vec::new(),
            notes: Notes::default(),
            landing: Landing {
                completes: false,
                destroys: false,
                timing: Timing { due_in: None, deadline_in: None, attempts: None },
            },
            lease: None,
            held_by: None,
        };
        let before = Standing { seq: 0, state: "open", is_error: false, attempts: 0 };
        Offer { what: Offered::Change { plan, before, born: None }, manner: manner.into() }
    }

    fn written() -> Written {
        Written::Moved(Stamp::Dated("now".to_owned()))
    }

    fn turn(queue: &Arc<WriteQueue>) -> Turn {
        match queue.wait(LONG, None) {
            Waited::Turn(turn) => turn,
            other => panic!("{other:?}"),
        }
    }

    /// Threads that wait with these offers, in this order, while `lead` has the turn. What they
    /// waited for; `None` for their turn, which they give back.
    fn meet(offers: Vec<Option<Offer>>, lead: impl FnOnce(Turn)) -> Vec<Option<Waited>> {
        let queue = &Arc::new(WriteQueue::default());
        let turn = turn(queue);
        scope(|scope| {
            let mut others: Vec<ScopedJoinHandle<'_, Option<Waited>>> = Vec::new();
            for offer in offers {
                let before = queue.waiting();
                others.push(scope.spawn(move || {
                    let waited = queue.wait(LONG, offer);
                    (!matches!(waited, Waited::Turn(_))).then_some(waited)
                }));
                while queue.waiting() == before {
                    std::thread::yield_now();
                }
            }
            lead(turn);
            others.into_iter().map(|other| other.join().expect("waited")).collect()
        })
    }

    fn ids(turn: &mut Turn, manner: &str) -> Vec<i64> {
        let id = |offered: &Offered| match offered {
            Offered::Change { plan, .. } => plan.id,
            Offered::Creation(creation) => panic!("{creation:?}"),
        };
        std::iter::from_fn(|| turn.take(manner).map(id)).collect()
    }

    #[test]
    fn offers_are_taken_in_order_up_to_the_first_that_cannot_be() {
        let offers = |all: &[(i64, &str)]| -> Vec<_> {
            all.iter().map(|(id, manner)| Some(offer(*id, manner))).collect()
        };
        let mut waiting = offers(&[(1, "full"), (2, "full")]);
        waiting.push(None);
        waiting.extend(offers(&[(4, "full")]));
        let waited = meet(waiting, |mut turn| {
            assert!(turn.has_offers("full") && !turn.has_offers("normal"));
            assert_eq!(ids(&mut turn, "full"), [1, 2], "none passes before who writes alone");
        });
        assert!(waited[2].is_none(), "{waited:?}");
        let other_manner = meet(offers(&[(1, "normal"), (2, "full")]), |mut turn| {
            assert!(ids(&mut turn, "full").is_empty());
        });
        assert!(other_manner[0].is_none(), "{other_manner:?}");
    }

    #[test]
    fn no_more_than_so_many_are_taken() {
        let many = (0..70).map(|id| Some(offer(id, "full"))).collect();
        let waited = meet(many, |mut turn| {
            assert_eq!(ids(&mut turn, "full"), (0..64).collect::<Vec<_>>());
        });
        let answered =
            |waited: &&Option<Waited>| matches!(waited, Some(Waited::Answered(Answer::Unwritten)));
        assert_eq!(waited.iter().filter(answered).count(), 64);
    }

    /// Whoever lingers expects as many as the turn before has met, and after a turn that met none nobody.
    #[test]
    fn who_does_not_come_back_is_not_waited_for_again() {
        let queue = &Arc::new(WriteQueue::default());
        let expected = || queue.order().lately;
        let mut first = turn(queue);
        let waited = scope(|scope| {
            let others = [1, 2, 3].map(|id| {
                let other = scope.spawn(move || queue.wait(LONG, Some(offer(id, "full"))));
                while queue.waiting() < usize::try_from(id).expect("few") {
                    std::thread::yield_now();
                }
                other
            });
            first.linger();
            first.take("full").expect("one of three");
            drop(first);
            assert_eq!(expected(), 3, "one was written and two are left");
            others.map(|other| match other.join().expect("waited") {
                Waited::Turn(turn) => drop(turn),
                Waited::Answered(_) => {}
                other => panic!("{other:?}"),
            })
        });
        assert_eq!(waited.len(), 3);
        turn(queue).linger();
        assert_eq!(expected(), 0, "nobody came");
    }

    /// Whoever was taken is answered, whatever becomes of the one that took it.
    #[test]
    fn the_answer_is_how_the_transaction_ended() {
        let answers = |lead: fn(Turn)| {
            let waited = meet(vec![Some(offer(1, "full")), Some(offer(2, "full"))], |mut turn| {
                turn.take("full").expect("the first");
                turn.note(Some(written()));
                turn.take("full").expect("the second, whose row has moved on");
                turn.note(None);
                lead(turn);
            });
            waited.into_iter().map(|waited| match waited {
                Some(Waited::Answered(Answer::Written(_))) => "written",
                Some(Waited::Answered(Answer::Unwritten)) => "unwritten",
                Some(Waited::Answered(Answer::InDoubt(..))) => "in doubt",
                other => panic!("{other:?}"),
            })
        };
        let both = |lead: fn(Turn)| answers(lead).collect::<Vec<_>>();
        assert_eq!(both(drop), ["unwritten"; 2], "nothing was committed");
        assert_eq!(both(|mut turn| turn.commits()), ["in doubt", "unwritten"], "a panic");
        let committed = both(|mut turn| {
            turn.commits();
            turn.ended(End::Committed);
        });
        assert_eq!(committed, ["written", "unwritten"]);
        let rolled_back = both(|mut turn| {
            turn.commits();
            turn.ended(End::RolledBack);
        });
        assert_eq!(rolled_back, ["unwritten"; 2]);
    }

    /// Who is being written waits for the answer, though its time is up.
    #[test]
    fn who_is_taken_no_longer_times_out() {
        let queue = &Arc::new(WriteQueue::default());
        let mut turn = turn(queue);
        let short = Duration::from_millis(20);
        let waited = scope(|scope| {
            // on a busy machine its time may be up before it could be taken
            let other = loop {
                let other = scope.spawn(move || queue.wait(short, Some(offer(1, "full"))));
                while !other.is_finished() && !turn.has_offers("full") {
                    std::thread::yield_now();
                }
                if turn.take("full").is_some() {
                    break other;
                }
            };
            turn.note(Some(written()));
            std::thread::sleep(short * 3);
            turn.ended(End::Committed);
            drop(turn);
            other.join().expect("waited")
        });
        assert!(matches!(waited, Waited::Answered(Answer::Written(_))), "{waited:?}");
    }
}
