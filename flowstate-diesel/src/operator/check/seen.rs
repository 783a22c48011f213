//! What the pages of a flow have shown, added up.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use flowstate::lock::Kind;

use super::super::graph::Graph;
use super::found::{AliasLeft, Checked, Found, StateHas};
use super::page::{Page, is_newer};

/// What the rows of a flow's records hold, of those that have not ended.
#[derive(Default)]
pub(super) struct Seen {
    /// The records.
    pub(super) ids: HashSet<i64>,
    transitions: BTreeMap<String, u64>,
    artefacts: BTreeMap<String, u64>,
    states: BTreeMap<String, State>,
    /// Values of newer versions than are read: the props, and each artefact by its name of now.
    newer: BTreeMap<Option<String>, Newer>,
    /// How many records have any of those.
    with_newer: u64,
}

/// Records whose value is of a newer version than is read.
struct Newer {
    known: u32,
    newest: i64,
    records: u64,
    /// The first that was seen.
    example: i64,
}

/// The records of one state.
#[derive(Default)]
struct State {
    records: u64,
    /// How many have which artefact, by the names of now.
    having: BTreeMap<String, u64>,
    /// The first that was seen without it.
    without: BTreeMap<String, i64>,
}

impl Seen {
    /// Adds the records of a page. `has` is what all of them should have.
    pub(super) fn add(
        &mut self,
        graph: &Graph,
        state: &str,
        has: Option<&BTreeSet<String>>,
        page: &Page,
    ) {
        self.ids.extend(page.ids.keys());
        for row in &page.transitions {
            let count = u64::try_from(row.number).unwrap_or_default();
            *self.transitions.entry(row.label.clone()).or_default() += count;
        }
        let mut of_records: BTreeMap<i64, BTreeSet<&str>> = BTreeMap::new();
        for row in &page.artefacts {
            *self.artefacts.entry(row.name.clone()).or_default() += 1;
            let name = graph.artefact(&row.name).map_or(&*row.name, |known| &*known.name);
            of_records.entry(row.seq).or_default().insert(name);
        }
        self.add_newer(graph, page);
        let name = graph.state(state).map_or(state, |known| &*known.name);
        let entry = self.states.entry(name.to_owned()).or_default();
        entry.records += page.live();
        for names in of_records.values() {
            for name in names {
                *entry.having.entry((*name).to_owned()).or_default() += 1;
            }
        }
        for artefact in has.into_iter().flatten() {
            let lacks =
                |id: &&i64| of_records.get(id).is_none_or(|names| !names.contains(&**artefact));
            if let Some(first) = page.ids.keys().find(lacks) {
                entry.without.entry(artefact.clone()).or_insert(*first);
            }
        }
    }

    /// Adds what is newer than the graph reads: of artefacts that which was written last under any of
    /// their names.
    fn add_newer(&mut self, graph: &Graph, page: &Page) {
        let mut versions: BTreeMap<_, _> =
            page.ids.iter().map(|(id, version)| ((*id, None), (graph.version, *version))).collect();
        for row in &page.artefacts {
            if let Some(known) = graph.artefact(&row.name) {
                versions.insert((row.seq, Some(&known.name)), (known.version, row.version));
            }
        }
        let mut records = BTreeSet::new();
        for ((id, name), (known, stored)) in versions {
            let Some(known) = known.filter(|known| is_newer(Some(*known), stored)) else {
                continue;
            };
            records.insert(id);
            let none = Newer { known, newest: stored, records: 0, example: id };
            let newer = self.newer.entry(name.cloned()).or_insert(none);
            newer.newest = newer.newest.max(stored);
            newer.records += 1;
        }
        self.with_newer += u64::try_from(records.len()).unwrap_or(u64::MAX);
    }

    /// Tells what was seen.
    pub(super) fn tell(self, graph: &Graph, checked: &mut Checked) {
        let flow = || graph.flow.clone();
        checked.newer += self.with_newer;
        checked.findings.extend(self.newer.into_iter().map(|(artefact, newer)| {
            let Newer { known, newest, records, example } = newer;
            Found::Newer { flow: flow(), artefact, known, newest, records, example }
        }));
        for (name, state) in self.states.into_iter().filter(|(_, state)| state.records > 0) {
            for (artefact, example) in state.without {
                let having = state.having.get(&artefact).copied().unwrap_or_default();
                let records = state.records.saturating_sub(having);
                let (flow, state) = (flow(), name.clone());
                checked.findings.push(Found::Lacking { flow, state, artefact, records, example });
            }
            let all = state.having.into_iter().filter(|(_, having)| *having == state.records);
            let has = all.map(|(artefact, _)| artefact).collect();
            let records = state.records;
            checked.states.push(StateHas { flow: flow(), state: name, records, has });
        }
        // names with a dot are the library's own
        let own = |name: &String| name.contains('.');
        let transitions = self.transitions.iter().filter(|(name, _)| !own(name));
        let unknown = transitions.filter(|(name, _)| graph.transition(name).is_none());
        checked.findings.extend(unknown.map(|(transition, records)| Found::UnknownTransition {
            flow: flow(),
            transition: transition.clone(),
            records: *records,
        }));
        let unknown = self.artefacts.iter().filter(|(name, _)| graph.artefact(name).is_none());
        checked.findings.extend(unknown.map(|(artefact, records)| Found::UnknownArtefact {
            flow: flow(),
            artefact: artefact.clone(),
            records: *records,
        }));
        for edge in &graph.transitions {
            checked.aliases.extend(edge.aliases.iter().map(|alias| AliasLeft {
                flow: flow(),
                kind: Kind::Transition,
                name: alias.clone(),
                now: edge.name.clone(),
                records: self.transitions.get(alias).copied().unwrap_or_default(),
            }));
        }
    }
}
