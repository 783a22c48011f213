//! What programs have left of themselves: the graphs of their flows, and their workers.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use flowstate::lock::LockFile;
use flowstate::{Definition, Flow};
use serde::Serialize;

use super::decoder::Decoder;
use super::error::{Error, Result};
use super::graph::{Graph, hash};
use super::reading::reading;
use crate::dialect::Dialect;
use crate::dialect::connection::{AsStore, Store};
use crate::dialect::operate::{DefinitionRow, Operate, WorkerRow};
use crate::dialect::sql::operator::Clock;
use crate::dialect::sql::statement::Bind;
use crate::text::time;
use crate::transaction;
use crate::transaction::explain::Explain as _;

/// How long ago a live worker was seen at the most: it says so every 10 seconds.
pub(crate) const ALIVE: TimeDelta = TimeDelta::seconds(30);

/// Flows of one program: a tuple of one to twelve, such as `(Order, Bill)` or `(Order,)`.
///
/// Sealed: it is implemented for what there is.
pub trait Flows: sealed::Sealed {
    /// Their graphs.
    fn definitions() -> Vec<&'static Definition>;

    /// Their lock files, in the same order.
    fn locks() -> Vec<Option<LockFile>>;
}

mod sealed {
    use super::Decoder;

    pub trait Sealed {
        /// What reads their values, in the same order.
        fn decoders() -> Vec<Decoder>;
    }
}

/// Leaves the graphs of flows in the database, where [`operator`](crate::operator) and the command
/// `flowstate` find them. Workers do so by themselves; this is for programs without one.
///
/// `program` says who knows these flows, such as `concat!(env!("CARGO_PKG_NAME"), " ",
/// env!("CARGO_PKG_VERSION"))`. Returns the names of flows under which another program has left a
/// graph that shares no state with this one: two programs use one name for two things. That is told
/// to `tracing`, too; nothing is refused.
///
/// # Errors
/// [`Error::Failed`].
pub fn register<F: Flows>(program: &str, conn: &mut impl AsStore) -> Result<Vec<&'static str>> {
    note_definitions(conn.as_store(), program, &F::definitions())
}

pub(crate) fn note_definitions<C: Store>(
    conn: &mut C,
    program: &str,
    definitions: &[&'static Definition],
) -> Result<Vec<&'static str>> {
    let known = Registry::load(conn)?;
    let mut strangers = Vec::new();
    let named = definitions.iter().flat_map(|known| known.names().map(move |name| (*known, name)));
    for (definition, name) in named {
        let graph = Graph { flow: name.to_owned(), ..Graph::from(definition) };
        let text = graph.to_text();
        let binds =
            [Bind::Text(name), Bind::Text(&hash(&text)), Bind::Text(&text), Bind::Text(program)];
        transaction::run(conn, &mut |conn: &mut C| conn.note_definition(&binds).explain(conn))?;
        let others = known.graphs(name);
        if others.map(|other| &other.graph).any(|other| other.shares_no_state_with(&graph)) {
            tracing::warn!(
                flow = name,
                program,
                "another program has a flow of this name that shares no state with this one"
            );
            strangers.push(name);
        }
    }
    Ok(strangers)
}

/// A graph that a program has left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Registered {
    /// The stored name of the flow.
    pub flow: String,
    /// Tells the versions of the graph apart.
    pub hash: String,
    /// The graph.
    pub graph: Graph,
    /// Who left it, as of late.
    pub program: String,
    /// When it was first left.
    pub first_seen_at: DateTime<Utc>,
    /// When it was last left.
    pub last_seen_at: DateTime<Utc>,
}

/// A worker that runs, or has died.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct WorkerEntry {
    /// The worker's id, with which it signs its claims.
    pub id: String,
    /// Its program.
    pub program: String,
    /// The version of that.
    pub version: String,
    /// The machine it runs on.
    pub host: String,
    /// Its process.
    pub pid: i64,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// When it last said that it lives.
    pub seen_at: DateTime<Utc>,
    /// The states from which it takes records, by flow.
    pub serves: BTreeMap<String, Vec<String>>,
    /// How many threads it has.
    pub threads: i64,
    /// How many records it had claimed when it was seen.
    pub running: i64,
    /// Whether it was seen within the last 30 seconds.
    pub is_alive: bool,
}

/// All that programs have left, as of a moment.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Registry {
    /// The graphs, by flow, the oldest first.
    pub definitions: Vec<Registered>,
    /// The workers, those seen last first.
    pub workers: Vec<WorkerEntry>,
    /// When this was, by the database's clock.
    pub now: DateTime<Utc>,
}

/// Reads what programs have left.
///
/// # Errors
/// [`Error::Failed`], or [`Error::Stored`] if somebody else wrote it.
pub fn registry(conn: &mut impl AsStore) -> Result<Registry> {
    Registry::load(conn.as_store())
}

impl Registry {
    pub(crate) fn load<C: Dialect + Operate>(conn: &mut C) -> Result<Self> {
        reading(conn, Self::read)
    }

    fn read<C: Dialect + Operate>(conn: &mut C) -> Result<Self> {
        let now = clock(conn)?;
        let definitions = conn.definitions().explain(conn)?;
        let workers = conn.workers().explain(conn)?;
        Ok(Self {
            definitions: definitions.into_iter().map(Registered::read).collect::<Result<_>>()?,
            workers: workers
                .into_iter()
                .map(|row| WorkerEntry::read(row, now))
                .collect::<Result<_>>()?,
            now,
        })
    }

    /// The graphs of a flow, the one that was seen last first.
    pub fn graphs<'a>(&'a self, flow: &str) -> impl Iterator<Item = &'a Registered> {
        let mut found: Vec<_> =
            self.definitions.iter().filter(|known| known.flow == flow).collect();
        found.sort_by_key(|known| std::cmp::Reverse((known.last_seen_at, known.first_seen_at)));
        found.into_iter()
    }

    /// The graph of a flow that was seen last.
    #[must_use]
    pub fn graph(&self, flow: &str) -> Option<&Graph> {
        self.graphs(flow).next().map(|known| &known.graph)
    }

    /// The graph, seen last, that knows this state.
    #[must_use]
    pub fn graph_with(&self, flow: &str, state: &str) -> Option<&Graph> {
        self.graphs(flow).map(|known| &known.graph).find(|graph| graph.state(state).is_some())
    }

    /// Whether graphs of the flow were left, and none knows the state.
    #[must_use]
    pub fn is_unknown(&self, flow: &str, state: &str) -> bool {
        self.graphs(flow).next().is_some() && self.graph_with(flow, state).is_none()
    }

    /// Whether the state is completed, in the graphs that know it.
    #[must_use]
    pub fn is_completed(&self, flow: &str, state: &str) -> bool {
        let known = self.graph_with(flow, state).and_then(|graph| graph.state(state));
        known.is_some_and(|state| state.completed)
    }

    /// Whether the state is completed in one of the graphs, so that records may have ended there.
    pub(crate) fn may_have_ended(&self, flow: &str, state: &str) -> bool {
        let mut known = self.graphs(flow).filter_map(|known| known.graph.state(state));
        known.any(|state| state.completed)
    }

    /// Whether a worker that lives takes records from this state.
    pub(crate) fn is_served(&self, flow: &str, state: &str) -> bool {
        self.workers.iter().any(|worker| worker.is_alive && worker.serves(flow, state))
    }

    /// Whether the state stands for a failure in one of the graphs, or in none that is known.
    #[must_use]
    pub fn may_fail(&self, flow: &str, state: &str) -> bool {
        let mut known = self.graphs(flow).filter_map(|known| known.graph.state(state)).peekable();
        known.peek().is_none() || known.any(|state| state.error)
    }

    /// Whether workers take records from this state, but none that lives.
    #[must_use]
    pub fn is_unserved(&self, flow: &str, state: &str) -> bool {
        self.is_queue(flow, state) && !self.is_served(flow, state)
    }

    /// Whether workers take records from this state.
    pub(crate) fn is_queue(&self, flow: &str, state: &str) -> bool {
        self.graph_with(flow, state).is_some_and(|graph| graph.is_queue(state))
            || self.workers.iter().any(|worker| worker.serves(flow, state))
    }

    /// Whether a worker that signs like this lives.
    #[must_use]
    pub fn is_alive(&self, holder: &str) -> bool {
        self.workers.iter().any(|worker| worker.id == holder && worker.is_alive)
    }
}

impl WorkerEntry {
    /// Whether it takes records from this state.
    #[must_use]
    pub fn serves(&self, flow: &str, state: &str) -> bool {
        self.serves.get(flow).is_some_and(|states| states.iter().any(|served| served == state))
    }

    fn read(row: WorkerRow, now: DateTime<Utc>) -> Result<Self> {
        let what = format!("worker `{}`", row.id);
        let stored = |text: &str| Error::Stored { what: what.clone(), text: text.to_owned() };
        let time = |text: &str| time::parse(text).ok_or_else(|| stored(text));
        let seen_at = time(&row.seen_at)?;
        Ok(Self {
            started_at: time(&row.started_at)?,
            seen_at,
            serves: serde_json::from_str(&row.serves).map_err(|_| stored(&row.serves))?,
            is_alive: now - seen_at <= ALIVE,
            id: row.id,
            program: row.program,
            version: row.version,
            host: row.host,
            pid: row.pid,
            threads: row.threads,
            running: row.running,
        })
    }
}

impl Registered {
    fn read(row: DefinitionRow) -> Result<Self> {
        let what = format!("the definition of `{}`", row.flow);
        let stored = |text: &str| Error::Stored { what: what.clone(), text: text.to_owned() };
        let time = |text: &str| time::parse(text).ok_or_else(|| stored(text));
        Ok(Self {
            graph: Graph::read(&row.definition).ok_or_else(|| stored(&row.definition))?,
            first_seen_at: time(&row.first_seen_at)?,
            last_seen_at: time(&row.last_seen_at)?,
            flow: row.flow,
            hash: row.hash,
            program: row.program,
        })
    }
}

/// The time by the database's clock.
pub(crate) fn clock<C: Dialect>(conn: &mut C) -> Result<DateTime<Utc>> {
    let rows = conn.counts::<Clock>(&[]).explain(conn)?;
    let text = rows.into_iter().next().map(|row| row.label).unwrap_or_default();
    time::parse(&text)
        .ok_or_else(|| Error::Stored { what: "the database's clock".to_owned(), text })
}

macro_rules! tuples {
    ($($flow:ident)*) => {
        impl<$($flow: Flow),*> sealed::Sealed for ($($flow,)*) {
            fn decoders() -> Vec<Decoder> {
                vec![$(Decoder::of::<$flow>()),*]
            }
        }

        impl<$($flow: Flow),*> Flows for ($($flow,)*) {
            fn definitions() -> Vec<&'static Definition> {
                vec![$($flow::DEFINITION),*]
            }

            fn locks() -> Vec<Option<LockFile>> {
                vec![$($flow::LOCK),*]
            }
        }
    };
}

tuples!(A);
tuples!(A B);
tuples!(A B C);
tuples!(A B C D);
tuples!(A B C D E);
tuples!(A B C D E G);
tuples!(A B C D E G H);
tuples!(A B C D E G H I);
tuples!(A B C D E G H I J);
tuples!(A B C D E G H I J K);
tuples!(A B C D E G H I J K L);
tuples!(A B C D E G H I J K L M);
