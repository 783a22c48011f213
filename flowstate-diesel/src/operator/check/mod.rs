//! Whether a version of a program can go on with the records that are there.

mod found;
mod page;
mod seen;

use std::collections::{BTreeMap, BTreeSet};

use flowstate::Definition;
use flowstate::lock::Kind;

pub use found::{AliasLeft, Checked, Found, StateHas};

use self::page::Page;
use self::seen::Seen;
use super::decoder::Decoder;
use super::error::Result;
use super::graph::Graph;
use super::lane::{Part, lanes};
use super::reading::reading;
use super::registry::{Flows, Registry};
use crate::dialect::connection::{AsStore, Store};
use crate::dialect::operate::{LaneRow, NumbersRow};
use crate::dialect::sql::check::{ArtefactsNamed, LiveAmong};
use crate::dialect::sql::shared::ClaimedStrangers;
use crate::dialect::sql::statement::Bind;
use crate::transaction::explain::Explain as _;
use crate::transition::artefacts::names_json;

/// So many values that cannot be read are told one by one.
const MOST_TOLD: u64 = 1_000;

/// Checks whether this program can go on with the records that are there: run it with a new version
/// after `migrate` and before traffic, or in CI against a copy of the database.
///
/// ```
/// # use flowstate_diesel::prelude::*;
/// # #[derive(flowstate::Flow, serde::Serialize, serde::Deserialize)]
/// # #[state(Open, Paid)]
/// # #[initial(Open)]
/// # #[completed(Paid)]
/// # #[transition(pay: Open => Paid)]
/// # struct Order { cents: i64 }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let conn = &mut SqliteConnection::establish(":memory:")?;
/// # flowstate_diesel::migrate(conn)?;
/// let checked = flowstate_diesel::check::<(Order,)>(conn).decode().run()?;
/// assert!(checked.is_clean(), "{checked}"); // each finding in a line, with what to do
/// # Ok(())
/// # }
/// ```
///
/// [`Check`] says what is looked at.
pub fn check<F: Flows>(conn: &mut impl AsStore) -> Check<'_, impl Store> {
    let subjects = F::definitions().into_iter().zip(F::decoders());
    let subjects = subjects.map(|(definition, decoder)| Subject::of(definition, decoder));
    Check::new(subjects.collect(), conn.as_store())
}

/// Holds flows against the records that are there; does nothing until [`Check::run`].
///
/// - Of the records that have not ended: states that are not known, states without a way to an end,
///   claims where no step runs, transitions and artefacts by names that are not known, props and
///   artefacts of versions that are newer, artefacts that the lock file says are there and are not;
///   with [`Check::decode`] each value that its type cannot read.
/// - Of all records: those in states that are not known, and how many rows have a former name that is
///   still read.
///
/// It only reads, in pages of 100 records along the indexes, takes no lock, and holds no
/// transaction: it can run beside everything else. Records that move meanwhile are seen where they
/// were or where they come, or not at all. Of records that have ended it reads nothing but, where a
/// flow has former names of artefacts, those names.
#[must_use = "nothing is checked until `.run()`"]
pub struct Check<'c, C> {
    subjects: Vec<Subject>,
    decodes: bool,
    progress: Box<dyn FnMut(u64, u64) + 'c>,
    conn: &'c mut C,
}

/// A flow, as the version knows it that is asked about.
struct Subject {
    graph: Graph,
    /// What the lock file says that every record of a state has.
    has: BTreeMap<String, BTreeSet<String>>,
    decoder: Option<Decoder>,
    /// The former names of the flow.
    aliases: &'static [&'static str],
}

impl Subject {
    fn of(definition: &'static Definition, decoder: Decoder) -> Self {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let has = definition.states.iter().map(|state| (state.name.to_owned(), owned(state.has)));
        let (graph, aliases) = (Graph::from(definition), definition.aliases);
        Self { graph, has: has.collect(), decoder: Some(decoder), aliases }
    }

    /// The names under which records of the flow are stored.
    fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&*self.graph.flow).chain(self.aliases.iter().copied())
    }

    fn has(&self, state: &str) -> Option<&BTreeSet<String>> {
        let name = &self.graph.state(state)?.name;
        self.has.get(name)
    }
}

/// A lane whose records have not ended.
struct Live {
    lane: LaneRow,
    /// How many there were when the check began: so many are looked at, though more come.
    records: u64,
}

impl<'c, C: Store> Check<'c, C> {
    fn new(subjects: Vec<Subject>, conn: &'c mut C) -> Self {
        Self { subjects, decodes: false, progress: Box::new(|_, _| {}), conn }
    }

    /// A check of graphs that programs have left, without their types: nothing can be decoded.
    pub fn against(
        graphs: impl IntoIterator<Item = Graph>,
        conn: &'c mut impl AsStore<Store = C>,
    ) -> Self {
        let subject = |graph| Subject { graph, has: BTreeMap::new(), decoder: None, aliases: &[] };
        Self::new(graphs.into_iter().map(subject).collect(), conn.as_store())
    }

    /// Only this flow, by its stored name.
    pub fn only(mut self, flow: &str) -> Self {
        self.subjects.retain(|subject| subject.graph.flow == flow);
        self
    }

    /// Reads the props and the newest artefacts of each record as the types of this program, too.
    /// A type whose code panics is a finding.
    pub fn decode(self) -> Self {
        Self { decodes: true, ..self }
    }

    /// Is told after each page how many records were looked at, and of how many.
    pub fn progress(self, tell: impl FnMut(u64, u64) + 'c) -> Self {
        Self { progress: Box::new(tell), ..self }
    }

    /// Checks.
    ///
    /// # Errors
    /// [`Error::Failed`](super::Error::Failed): the check itself could not run;
    /// [`Error::Stored`](super::Error::Stored) if a time or a registered graph is none.
    pub fn run(mut self) -> Result<Checked> {
        let registry = Registry::load(self.conn)?;
        let subjects = std::mem::take(&mut self.subjects);
        let mut checked = Checked::default();
        let mut all = Vec::with_capacity(subjects.len());
        for subject in &subjects {
            all.push(self.stand(subject, &registry, &mut checked)?);
        }
        let total = all.iter().flatten().map(|live| live.records).sum();
        for (subject, lanes) in subjects.iter().zip(&all) {
            let mut seen = Seen::default();
            for live in lanes {
                self.look(subject, live, total, &mut seen, &mut checked)?;
            }
            self.look_at_moved(subject, lanes, &mut seen, &mut checked)?;
            self.artefact_aliases(subject, &mut checked)?;
            seen.tell(&subject.graph, &mut checked);
        }
        Ok(checked)
    }

    /// Where the records of a flow stand. Returns where those are that have not ended.
    fn stand(
        &mut self,
        subject: &Subject,
        registry: &Registry,
        checked: &mut Checked,
    ) -> Result<Vec<Live>> {
        let graph = &subject.graph;
        let mut live = Vec::new();
        let mut former: BTreeMap<&str, u64> = BTreeMap::new();
        let mut under: BTreeMap<String, u64> = BTreeMap::new();
        let mut all = Vec::new();
        for name in subject.names() {
            all.extend(reading(self.conn, |conn| lanes(conn, Some(name)))?);
        }
        for lane in all {
            let numbers = reading(self.conn, |conn| {
                Ok(conn.numbers_of(&lane, i64::MAX, 0).explain(conn)?)
            })?;
            let records = numbers.due + numbers.claimed + numbers.rest;
            checked.findings.extend(found(graph, registry, &lane, &numbers));
            let known = graph.state(&lane.state);
            let count = u64::try_from(records).unwrap_or_default();
            *under.entry(lane.flow.clone()).or_default() += count;
            if let Some(alias) =
                known.and_then(|known| known.aliases.iter().find(|alias| **alias == lane.state))
            {
                *former.entry(alias).or_default() += count;
            }
            if known.is_none_or(|known| !known.completed) {
                live.push(Live { lane, records: count });
            }
        }
        self.claims(subject, checked)?;
        checked.aliases.extend(subject.aliases.iter().map(|alias| AliasLeft {
            flow: graph.flow.clone(),
            kind: Kind::Itself,
            name: (*alias).to_owned(),
            now: graph.flow.clone(),
            records: under.get(*alias).copied().unwrap_or_default(),
        }));
        for state in &graph.states {
            checked.aliases.extend(state.aliases.iter().map(|alias| AliasLeft {
                flow: graph.flow.clone(),
                kind: Kind::State,
                name: alias.clone(),
                now: state.name.clone(),
                records: former.get(&**alias).copied().unwrap_or_default(),
            }));
        }
        Ok(live)
    }

    /// Claims in states that the version knows, and where no step of it runs.
    fn claims(&mut self, subject: &Subject, checked: &mut Checked) -> Result<()> {
        let graph = &subject.graph;
        let running = graph.states.iter().filter(|state| graph.is_running(&state.name));
        let names = running.flat_map(|state| state.aliases.iter().chain([&state.name]));
        let names = names_json(names.map(String::as_str));
        let mut rows = Vec::new();
        for flow in subject.names() {
            rows.extend(reading(self.conn, |conn| {
                let binds = [Bind::Text(flow), Bind::Text(&names)];
                Ok(conn.counts::<ClaimedStrangers>(&binds).explain(conn)?)
            })?);
        }
        let known = rows.into_iter().filter(|row| graph.state(&row.label).is_some());
        checked.findings.extend(known.map(|row| Found::NoStep {
            flow: graph.flow.clone(),
            state: row.label,
            records: row.number,
        }));
        Ok(())
    }

    /// Looks at the records of a lane, page by page.
    fn look(
        &mut self,
        subject: &Subject,
        live: &Live,
        total: u64,
        seen: &mut Seen,
        checked: &mut Checked,
    ) -> Result<()> {
        for part in Part::ALL {
            let (mut cursor, mut left) = (part.first(&live.lane), live.records);
            while left > 0 {
                let Some(page) = page::read(self.conn, part, &cursor)? else {
                    break;
                };
                self.add(subject, &live.lane.state, &page, seen, checked)?;
                left = left.saturating_sub(page.rows);
                (self.progress)(checked.records.min(total), total);
                let Some(next) = page.next else { break };
                cursor = next;
            }
        }
        Ok(())
    }

    /// Looks at the records that moved meanwhile, of which no page knew: each in the state in which it
    /// is by now. With them every record that had not ended at one moment has been seen in a state from
    /// which it came to where it is, along the transitions of programs.
    fn look_at_moved(
        &mut self,
        subject: &Subject,
        lanes: &[Live],
        seen: &mut Seen,
        checked: &mut Checked,
    ) -> Result<()> {
        let goes_on = |state: &str| subject.graph.state(state).is_none_or(|known| !known.completed);
        let known = subject.graph.states.iter().flat_map(|it| it.aliases.iter().chain([&it.name]));
        let states: BTreeSet<_> = known.chain(lanes.iter().map(|live| &live.lane.state)).collect();
        let states = names_json(states.into_iter().map(String::as_str).filter(|it| goes_on(it)));
        for flow in subject.names() {
            let binds = [Bind::Text(flow), Bind::Text(&states)].repeat(3);
            let live =
                reading(self.conn, |conn| Ok(conn.counts::<LiveAmong>(&binds).explain(conn)?))?;
            let mut missed: Vec<_> = live.into_iter().map(|row| row.number).collect();
            missed.retain(|id| !seen.ids.contains(id));
            for ids in missed.chunks(page::PAGE) {
                for (state, page) in page::by_state(self.conn, flow, ids)? {
                    if goes_on(&state) {
                        self.add(subject, &state, &page, seen, checked)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        subject: &Subject,
        state: &str,
        page: &Page,
        seen: &mut Seen,
        checked: &mut Checked,
    ) -> Result<()> {
        seen.add(&subject.graph, state, subject.has(state), page);
        checked.records += page.live();
        match subject.decoder.filter(|_| self.decodes) {
            Some(decoder) => page::decode(self.conn, &subject.graph, decoder, page, checked),
            None => Ok(()),
        }
    }

    fn artefact_aliases(&mut self, subject: &Subject, checked: &mut Checked) -> Result<()> {
        let graph = &subject.graph;
        let all = graph
            .artefacts
            .iter()
            .flat_map(|known| known.aliases.iter().map(move |alias| (alias, &known.name)));
        let all: Vec<_> = all.collect();
        if all.is_empty() {
            return Ok(());
        }
        let names = names_json(all.iter().map(|(alias, _)| &***alias));
        let mut rows = Vec::new();
        for flow in subject.names() {
            rows.extend(reading(self.conn, |conn| {
                let binds = [Bind::Text(&names), Bind::Text(flow)];
                Ok(conn.counts::<ArtefactsNamed>(&binds).explain(conn)?)
            })?);
        }
        let count = |alias: &String| -> u64 {
            let rows = rows.iter().filter(|row| row.label == *alias);
            rows.filter_map(|row| u64::try_from(row.number).ok()).sum()
        };
        checked.aliases.extend(all.iter().map(|(alias, now)| AliasLeft {
            flow: graph.flow.clone(),
            kind: Kind::Artefact,
            name: (*alias).clone(),
            now: (*now).clone(),
            records: count(alias),
        }));
        Ok(())
    }
}

/// What is wrong with where these records stand, if anything is.
fn found(
    graph: &Graph,
    registry: &Registry,
    lane: &LaneRow,
    numbers: &NumbersRow,
) -> Option<Found> {
    let (flow, state) = (graph.flow.clone(), lane.state.clone());
    let records = numbers.due + numbers.claimed + numbers.rest;
    let Some(known) = graph.state(&lane.state) else {
        return Some(Found::UnknownState { flow, state, records });
    };
    if known.completed {
        let records = numbers.due;
        return (records > 0).then_some(Found::NotEnded { flow, state, records });
    }
    // a failure that nothing follows may be meant so, but not if something did before
    let had_a_way =
        || registry.graphs(&graph.flow).any(|former| former.graph.can_go_on(&lane.state));
    let is_stranded = !graph.can_end(&lane.state) && (!known.error || had_a_way());
    is_stranded.then_some(Found::NoWayOut { flow, state, records })
}
