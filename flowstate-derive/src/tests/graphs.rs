//! The derive on random graphs, from attributes to messages, against a search of every state with
//! every set of artefacts that can be there.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;

use proptest::prelude::*;

use super::mistakes;

type Set = BTreeSet<usize>;

#[derive(Clone, Debug)]
struct Flow {
    /// Whether a state is a failure, and whether it is completed; the first is initial.
    states: Vec<(bool, bool)>,
    /// Those that are declared, and then those of the steps.
    edges: Vec<Edge>,
    /// Their names, in that order.
    names: Vec<String>,
    steps: Vec<Step>,
    artefacts: usize,
}

/// What is drawn of a step. Its running state is its own.
#[derive(Clone, Debug)]
struct Step {
    from: Set,
    running: usize,
    outcomes: Vec<Outcome>,
    /// Where a failed try leads, if an error state that others leave was drawn; without it, to one of
    /// its own, from which it starts again.
    fail: Option<usize>,
    give_up: Option<usize>,
    loads: Set,
}

#[derive(Clone, Debug)]
struct Outcome {
    to: usize,
    persists: Set,
    /// Which of the transitions that could be taken at once is.
    then: Option<usize>,
}

#[derive(Clone, Debug)]
struct Edge {
    /// Nothing for `*`.
    from: Option<BTreeSet<usize>>,
    to: usize,
    persists: BTreeSet<usize>,
    loads: BTreeSet<usize>,
}

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

fn steps(states: usize, artefacts: usize) -> impl Strategy<Value = Step> {
    let set = || prop::collection::btree_set(0..artefacts, 0..=2.min(artefacts));
    let then = prop::option::weighted(0.3, 0..4_usize);
    let outcome = (0..states, set(), then);
    let outcome = outcome.prop_map(|(to, persists, then)| Outcome { to, persists, then });
    let outcomes = prop::collection::vec(outcome, 1..4);
    let fail = prop::option::weighted(0.5, 0..states);
    let give_up = prop::option::weighted(0.3, 0..states);
    let from = prop::collection::btree_set(0..states, 1..=2.min(states));
    let loads = prop::collection::btree_set(0..artefacts, 0..=1);
    let drawn = (from, outcomes, fail, give_up, loads);
    drawn.prop_map(|(from, outcomes, fail, give_up, loads)| Step {
        from,
        running: 0,
        outcomes,
        fail,
        give_up,
        loads,
    })
}

fn flows() -> impl Strategy<Value = Flow> {
    (2..6_usize, 1..4_usize).prop_flat_map(|(states, artefacts)| {
        let state = (prop::bool::weighted(0.2), prop::bool::weighted(0.3));
        let states_of = prop::collection::vec(state, states);
        let edges = prop::collection::vec(edges(states, artefacts), 1..10);
        let steps = prop::collection::vec(steps(states, artefacts), 0..3);
        let drawn = (states_of, edges, steps, prop::bool::weighted(0.05));
        drawn.prop_map(move |(mut states, edges, steps, any)| {
            // most random graphs would fail for these alone
            states[0].1 &= any;
            let last = states.len() - 1;
            states[last].1 = true;
            let names = Vec::new();
            let mut flow = Flow { states, edges, names, steps: Vec::new(), artefacts };
            let completed = flow.completed();
            for from in flow.edges.iter_mut().filter_map(|edge| edge.from.as_mut()) {
                from.retain(|state| any || !completed.contains(state));
            }
            flow.edges.retain(|edge| edge.from.as_ref().is_none_or(|from| !from.is_empty()));
            flow.names = (0..flow.edges.len()).map(|i| format!("t{i}")).collect();
            for step in steps {
                flow.add(step);
            }
            flow
        })
    })
}

impl Flow {
    /// Adds a step, without what the rules of steps alone would refuse.
    fn add(&mut self, mut step: Step) {
        let taken: Set = self.steps.iter().flat_map(|other| other.from.iter().copied()).collect();
        let completed = self.completed();
        step.from.retain(|state| !taken.contains(state) && !completed.contains(state));
        let mut ends = Set::new();
        step.outcomes.retain(|outcome| ends.insert(outcome.to));
        step.give_up = step.give_up.filter(|state| !step.from.contains(state));
        if step.from.is_empty() {
            return;
        }
        let (name, running) = (format!("p{}", self.steps.len()), self.states.len());
        step.running = running;
        self.states.push((false, false));
        let is_left = |state| self.edges.iter().any(|edge| self.starts_from(edge, state));
        let is_failure = |state: &usize| self.states[*state].0 && is_left(*state);
        step.fail = step.fail.filter(is_failure).filter(|state| step.give_up != Some(*state));
        let failed = step.fail.unwrap_or(running + 1);
        if step.fail.is_none() {
            self.states.push((true, false));
            step.from.insert(failed);
        }
        let plain = self.names.iter().filter(|name| name.starts_with('t')).count();
        for outcome in &mut step.outcomes {
            let is_open = |edge: &Edge| edge.persists.is_empty() && edge.loads.is_empty();
            let next: Vec<usize> = (0..plain)
                .filter(|at| is_open(&self.edges[*at]))
                .filter(|at| self.starts_from(&self.edges[*at], outcome.to))
                .collect();
            outcome.then =
                outcome.then.and_then(|then| next.get(then % next.len().max(1)).copied());
        }
        self.edge(format!("start_{name}"), step.from.clone(), running, (&Set::new(), &step.loads));
        for (at, outcome) in step.outcomes.iter().enumerate() {
            let to = outcome.to;
            let end = if at == 0 { String::new() } else { format!("_s{to}") };
            let sets = (&outcome.persists, &Set::new());
            self.edge(format!("finish_{name}{end}"), Set::from([running]), to, sets);
        }
        let none = &Set::new();
        self.edge(format!("fail_{name}"), Set::from([running]), failed, (none, none));
        if let Some(to) = step.give_up {
            self.edge(format!("give_up_{name}"), Set::from([running]), to, (none, none));
        }
        self.steps.push(step);
    }

    fn edge(&mut self, name: String, from: Set, to: usize, (persists, loads): (&Set, &Set)) {
        let (persists, loads) = (persists.clone(), loads.clone());
        self.edges.push(Edge { from: Some(from), to, persists, loads });
        self.names.push(name);
    }

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
        let plain = self.names.iter().filter(|name| name.starts_with('t')).count();
        for (i, edge) in self.edges[..plain].iter().enumerate() {
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
        for (i, step) in self.steps.iter().enumerate() {
            let set = |set: &Set| list('P', &mut set.iter().copied());
            let outcomes = step.outcomes.iter().map(|outcome| {
                let persist = (!outcome.persists.is_empty())
                    .then(|| format!("persist({})", set(&outcome.persists)));
                let then = outcome.then.map(|then| format!("then(t{then})"));
                let options: Vec<_> = persist.into_iter().chain(then).collect();
                let options = options.join(", ");
                let options = if options.is_empty() { options } else { format!("({options})") };
                format!("S{}{options}", outcome.to)
            });
            let outcomes = outcomes.collect::<Vec<_>>().join(" | ");
            let from = list('S', &mut step.from.iter().copied()).replace(',', " |");
            let running = step.running;
            let failed = step.fail.unwrap_or(running + 1);
            let _ = write!(out, "#[step(p{i}: {from} => S{running} => {outcomes}, fail(S{failed})");
            if !step.loads.is_empty() {
                let _ = write!(out, ", load({})", set(&step.loads));
            }
            if let Some(state) = step.give_up {
                let _ = write!(out, ", give_up(S{state})");
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

    /// The transition of this name.
    fn named(&self, name: &str) -> usize {
        self.names.iter().position(|other| other == name).unwrap()
    }

    /// The artefacts in the generated enum of results, by state.
    fn results(&self) -> BTreeMap<usize, Set> {
        let output = crate::derive(self.attributes().parse().unwrap());
        let file: syn::File = syn::parse2(output).unwrap();
        let is_result = |item: &syn::Item| match item {
            syn::Item::Enum(item) if item.ident == "OrderOutcome" => Some(item.clone()),
            _ => None,
        };
        let results = file.items.iter().find_map(is_result).unwrap();
        let number = |name: String| name[1..].parse::<usize>().unwrap();
        let arm = |arm: &syn::Variant| {
            let fields = arm.fields.iter().map(|field| number(quote::quote!(#field).to_string()));
            (number(arm.ident.to_string()), fields.collect())
        };
        results.variants.iter().map(arm).collect()
    }

    /// Walks along a counter-example as it was printed, `S0 -t1-> S2 -t0-> S1`, up to `transition`.
    fn replay(&self, path: &str, transition: usize, artefact: usize) {
        let mut words = path.split([' ', '-', '>']).filter(|word| !word.is_empty());
        let number = |word: &str| word[1..].parse::<usize>().unwrap();
        let (mut state, mut length) = (number(words.next().unwrap()), 0);
        assert_eq!(state, 0, "{path}");
        while let (Some(by), Some(to)) = (words.next(), words.next()) {
            let edge = &self.edges[self.named(by)];
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
            self.replay(quoted[2], self.named(quoted[0]), number(quoted[1]));
        } else if message.contains("where nothing is persisted yet") {
            self.replay("S0", self.named(quoted[0]), number(quoted[1]));
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
    #![proptest_config(ProptestConfig::with_cases(1600))]

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
            for (state, kept) in flow.results() {
                let ends = reached.iter().filter(|(end, _)| *end == state).map(|(_, kept)| kept);
                let always = ends.cloned().reduce(|all, kept| &all & &kept).unwrap();
                prop_assert_eq!(kept, always, "S{}", state);
            }
        }
        for message in messages {
            flow.check(&message);
        }
    }
}
