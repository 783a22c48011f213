//! The flow of the callers, and what they do to it.

use diesel::connection::SimpleConnection;
use flowstate::Flow;
use flowstate_diesel::prelude::*;
use flowstate_diesel::{Error, Once, Store, transaction};
use serde::{Deserialize, Serialize};

/// Flips for ever.
#[derive(Flow, Serialize, Deserialize, Debug)]
#[state(Even, Odd, Closed)]
#[initial(Even)]
#[completed(Closed)]
#[persist(Last(String))]
#[transition(flip: Even => Odd, persist(Last))]
#[transition(flop: Odd => Even, load(Last))]
#[transition(close: Even | Odd => Closed)]
pub(super) struct Tally {
    pub(super) name: String,
}

/// A kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// One transition, in as few statements as there can be.
    Move,
    /// One with a guard, and a row of the caller's own.
    Guarded,
    /// Two records in one transaction, and a row of the caller's own.
    Two,
    Create,
    CreateOnce,
}

impl Kind {
    pub(super) fn any() -> Self {
        match fastrand::u8(..100) {
            0..55 => Self::Move,
            55..70 => Self::Guarded,
            70..82 => Self::Two,
            82..91 => Self::Create,
            _ => Self::CreateOnce,
        }
    }

    /// How many records it moves or makes.
    pub(super) fn records(self) -> usize {
        if self == Self::Two { 2 } else { 1 }
    }

    /// Does it under a name that nobody else has, which can be found afterwards.
    pub(super) fn call<S>(self, name: &str, ids: &[i64], conn: &mut S) -> Result<(), Error>
    where
        S: Store + SimpleConnection,
    {
        let at = fastrand::usize(..ids.len());
        match self {
            Self::Move => flip(ids[at], name, conn),
            Self::Guarded => guarded(ids[at], name, conn),
            Self::Two => {
                let other = (at + fastrand::usize(1..ids.len())) % ids.len();
                // in order: the callers are not to be in each other's way for ever
                both([ids[at.min(other)], ids[at.max(other)]], name, conn)
            }
            Self::Create => Tally { name: name.to_owned() }.create(conn).map(drop),
            Self::CreateOnce => {
                let once = Tally { name: name.to_owned() }.create_once(name, conn)?;
                assert!(matches!(once, Once::Created(_)), "nobody else has the key {name}");
                Ok(())
            }
        }
    }
}

fn flip<S: Store>(id: i64, name: &str, conn: &mut S) -> Result<(), Error> {
    let mut tally = Tally::find(id, conn)?;
    if tally.state() == TallyState::Even {
        let last = Last(name.to_owned());
        return tally.transition(Tally::FLIP, conn).persist(last).actor(name).run();
    }
    tally.transition(Tally::FLOP, conn).actor(name).run().map(drop)
}

fn guarded<S: Store + SimpleConnection>(id: i64, name: &str, conn: &mut S) -> Result<(), Error> {
    let mut tally = Tally::find(id, conn)?;
    if tally.state() == TallyState::Even {
        let request = tally.transition(Tally::FLIP, conn).persist(Last(name.to_owned()));
        let request = request.actor(name).guard("it may", |_, _| true);
        return request.within(|_, conn| Ok(effect(name, conn)?)).run();
    }
    let request = tally.transition(Tally::FLOP, conn).actor(name).guard("it may", |_, _| true);
    request.within(|_, conn| Ok(effect(name, conn)?)).run().map(drop)
}

fn both<S: Store + SimpleConnection>(ids: [i64; 2], name: &str, conn: &mut S) -> Result<(), Error> {
    transaction(conn, |conn| {
        effect(name, conn)?;
        ids.iter().try_for_each(|id| flip(*id, name, conn))
    })
}

fn effect<S: SimpleConnection>(name: &str, conn: &mut S) -> diesel::QueryResult<()> {
    conn.batch_execute(&format!("INSERT INTO effects (name) VALUES ('{name}')"))
}
