//! The derive on random graphs, from attributes to messages, against a search of every state with
//! every set of artefacts that can be there.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;

use proptest::prelude::*;

use super::mistakes;

#[derive(Clone, Debug)]
struct Flow {
    /// Whether a state is a failure, and whether it is completed; the first is initial.
    states: Vec<(bool, bool)>,
    edges: Vec<Edge>,
    artefacts: usize,
}

#[derive(Clone, Debug)]
struct Edge {
    /// Nothing for `*`.
    from: Option<BTreeSet<usize>>,
    to: usize,
    persists: BTreeSet<usize>,
    loads: BTreeSet<usize>,
}

type Set = BTreeSet<usize>;

fn edges(states: usize, artefacts: usize) -> impl Strategy<Value = Edge> {
    let from = prop::collection::btree_set(0..states, 1..=3.min(states));
    let from = prop_oneof![6 => from.prop_map(Some), 1 => Just(None)];
    let set = || prop::collection::btree_set(0..artefacts, 0..=3.min(artefacts));
    let (persists, loads) = (set(), prop_oneof![3 => Just(Set::new()), 1 => set()]);
    (from, 0..states, persists, loads).prop_map(|(from, to, persists, loads)| Edge {
        from,
        to,
        persists,
        loads,
    })
}

fn flows() -> impl Strategy<Value = Flow> {
    (2..6_usize, 1..4_usize).prop_flat_map(|(states, artefacts)| {
        let state = (prop::bool::weighted(0.2), prop::bool::weighted(0.3));
        let states_of = prop::collection::vec(state, states);
        let edges = prop::collection::vec(edges(states, artefacts), 1..10);
        (states_of, edges, prop::bool::weighted(0.05)).prop_map(move |(mut states, edges, any)| {
            // most random graphs would fail for these alone
            states[0].1 &= any;
            let last = states.len() - 1;
            states[last].1 = true;
            let mut flow = Flow { states, edges, artefacts };
            let completed = flow.completed();
            for from in flow.edges.iter_mut().filter_map(|edge| edge.from.as_mut()) {
                from.retain(|state| any || !completed.contains(state));
            }
            flow.edges.retain(|edge| edge.from.as_ref().is_none_or(|from| !from.is_empty()));
            flow
        })
    })
}

impl Flow {
    fn completed(&self) -> Set {
        (0..self.states.len()).filter(|state| self.states[*state].1).collect()
    }

    fn starts_from(&self, edge: &Edge, state: usize) -> bool {
        match &edge.from {
            Some(from) => from.contains(&state),
            None => !self.states[state].1,
        }
    }

    /// As a user would write it.
    fn attributes(&self) -> String {
        let list = |letter: char, set: &mut dyn Iterator<Item = usize>| {
            set.map(|i| format!("{letter}{i}")).collect::<Vec<_>>().join(", ")
        };
        let states = self.states.iter().enumerate();
        let states =
            states.map(|(i, (error, _))| format!("S{i}{}", if *error { "(error)" } else { "" }));
        let mut out = format!(
            "#[state({})] #[initial(S0)] #[completed({})]",
            states.collect::<Vec<_>>().join(", "),
            list('S', &mut self.completed().into_iter())
        );
        for i in 0..self.artefacts {
            let _ = write!(out, "#[persist(P{i}(u8))]");
        }
        for (i, edge) in self.edges.iter().enumerate() {
            let from = edge.from.as_ref().map_or_else(
                || "*".to_owned(),
                |from| list('S', &mut from.iter().copied()).replace(',', " |"),
            );
            let _ = write!(out, "#[transition(t{i}: {from} => S{}", edge.to);
            for (option, set) in [("persist", &edge.persists), ("load", &edge.loads)] {
                if !set.is_empty() {
                    let _ = write!(out, ", {option}({})", list('P', &mut set.iter().copied()));
                }
            }
            out += ")]";
        }
        out + "struct Order {}"
    }

    /// Every state that can be reached, with the artefacts that are there then.
    fn reached(&self) -> BTreeSet<(usize, Set)> {
        let start = (0, Set::new());
        let (mut reached, mut open) = (BTreeSet::from([start.clone()]), vec![start]);
        while let Some((state, kept)) = open.pop() {
            for edge in self.edges.iter().filter(|edge| self.starts_from(edge, state)) {
                let next = (edge.to, &kept | &edge.persists);
                if reached.insert(next.clone()) {
                    open.push(next);
                }
            }
        }
        reached
    }

    fn ends(&self, state: usize) -> bool {
        let (mut reached, mut open) = (Set::from([state]), vec![state]);
        while let Some(state) = open.pop() {
            for edge in self.edges.iter().filter(|edge| self.starts_from(edge, state)) {
                open.extend(reached.insert(edge.to).then_some(edge.to));
            }
        }
        reached.iter().any(|state| self.states[*state].1)
    }

    /// How many transitions lead to each state on the shortest way on which an artefact is neither
    /// persisted nor loaded.
    fn without(&self, artefact: usize) -> BTreeMap<usize, usize> {
        let (mut lengths, mut open) = (BTreeMap::from([(0, 0)]), VecDeque::from([0]));
        while let Some(state) = open.pop_front() {
            let length = lengths[&state] + 1;
            for edge in self.edges.iter().filter(|edge| self.starts_from(edge, state)) {
                let ends = edge.persists.contains(&artefact) || edge.loads.contains(&artefact);
                if !ends && !lengths.contains_key(&edge.to) {
                    lengths.insert(edge.to, length);
                    open.push_back(edge.to);
                }
            }
        }
        lengths
    }

    /// Walks along a counter-example as it was printed, `S0 -t1-> S2 -t0-> S1`, up to `transition`.
    fn replay(&self, path: &str, transition: usize, artefact: usize) {
        let mut words = path.split([' ', '-', '>']).filter(|word| !word.is_empty());
        let number = |word: &str| word[1..].parse::<usize>().unwrap();
        let (mut state, mut length) = (number(words.next().unwrap()), 0);
        assert_eq!(state, 0, "{path}");
        while let (Some(by), Some(to)) = (words.next(), words.next()) {
            let edge = &self.edges[number(by)];
            assert!(self.starts_from(edge, state) && edge.to == number(to), "{path}: {by}");
            assert!(!edge.persists.contains(&artefact), "{path}: {by}");
            (state, length) = (edge.to, length + 1);
        }
        let edge = &self.edges[transition];
        assert!(self.starts_from(edge, state) && edge.loads.contains(&artefact), "{path}");
        let lengths = self.without(artefact);
        let shortest = lengths.iter().filter(|(state, _)| self.starts_from(edge, **state));
        assert_eq!(shortest.map(|(_, length)| *length).min(), Some(length), "{path}");
    }

    /// Holds a message against the graph.
    fn check(&self, message: &str) {
        let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
        let number = |name: &str| name[1..].parse::<usize>().unwrap();
        let is_reached = |state| self.reached().iter().any(|(reached, _)| *reached == state);
        if message.contains("may not be there") {
            self.replay(quoted[2], number(quoted[0]), number(quoted[1]));
        } else if message.contains("where nothing is persisted yet") {
            self.replay("S0", number(quoted[0]), number(quoted[1]));
        } else if message.starts_with("nothing persists") {
            let artefact = number(quoted[0]);
            assert!(!self.edges.iter().any(|edge| edge.persists.contains(&artefact)), "{message}");
        } else if message.starts_with("no path leads from `S0` to the state") {
            assert!(!is_reached(number(quoted[1])), "{message}");
        } else if message.starts_with("no path leads from the state")
            || message.starts_with("the loop of")
        {
            assert!(!self.ends(number(quoted[0])), "{message}");
        } else if message.starts_with("nothing leaves the completed state") {
            assert!(self.states[number(quoted[0])].1, "{message}");
        } else {
            assert!(message.starts_with("the initial state") && self.states[0].1, "{message}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(800))]

    #[test]
    fn what_is_accepted_never_misses_an_artefact(flow in flows()) {
        let messages = mistakes(&flow.attributes());
        if messages.is_empty() {
            let reached = flow.reached();
            for (state, kept) in &reached {
                prop_assert!(flow.states[*state].0 || flow.ends(*state), "{state}");
                for edge in flow.edges.iter().filter(|edge| flow.starts_from(edge, *state)) {
                    prop_assert!(edge.loads.is_subset(kept), "{edge:?} in {state} with {kept:?}");
                }
            }
            let states: Set = reached.iter().map(|(state, _)| *state).collect();
            prop_assert_eq!(states.len(), flow.states.len());
        }
        for message in messages {
            flow.check(&message);
        }
    }
}
