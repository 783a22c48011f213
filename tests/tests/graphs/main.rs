//! Correct graphs: every one of them compiles, so the proofs raise no false alarm.
#![allow(missing_docs, reason = "a test has no readers of its documentation")]

mod two_hundred_states;

use flowstate::{Definition, Flow};
use serde::{Deserialize, Serialize};

macro_rules! correct {
    ($($name:ident { $(#[$($attribute:tt)*])* })*) => {
        $(mod $name {
            use super::*;

            #[derive(Flow, Serialize, Deserialize)]
            $(#[$($attribute)*])*
            pub struct Graph {}
        })*

        const ALL: &[(&str, &Definition)] = &[$((stringify!($name), $name::Graph::DEFINITION)),*];
    };
}

correct! {
    two_states {
        #[state(A, B)]
        #[initial(A)]
        #[completed(B)]
        #[transition(go: A => B)]
    }
    a_long_line {
        #[state(A, B, C, D, E)]
        #[initial(A)]
        #[completed(E)]
        #[transition(one: A => B)]
        #[transition(two: B => C)]
        #[transition(three: C => D)]
        #[transition(four: D => E)]
    }
    declared_backwards {
        #[transition(go: A => B)]
        #[completed(B)]
        #[initial(A)]
        #[state(B, A)]
    }
    self_loop {
        #[state(A, B)]
        #[initial(A)]
        #[completed(B)]
        #[transition(again: A => A)]
        #[transition(go: A => B)]
    }
    loop_of_two {
        #[state(A, B, C)]
        #[initial(A)]
        #[completed(C)]
        #[transition(there: A => B)]
        #[transition(back: B => A)]
        #[transition(leave: B => C)]
    }
    back_to_the_initial_state {
        #[state(A, B, C)]
        #[initial(A)]
        #[completed(C)]
        #[transition(go: A => B)]
        #[transition(restart: A | B => A)]
        #[transition(end: B => C)]
    }
    parallel_edges {
        #[state(A, B)]
        #[initial(A)]
        #[completed(B)]
        #[transition(approve: A => B)]
        #[transition(skip: A => B)]
    }
    several_completed_states {
        #[state(A, Approved, Refused, Withdrawn)]
        #[initial(A)]
        #[completed(Approved, Refused)]
        #[completed(Withdrawn(destroy))]
        #[transition(approve: A => Approved)]
        #[transition(refuse: A => Refused)]
        #[transition(withdraw: A => Withdrawn)]
    }
    a_completed_error_state {
        #[state(A, Done, Failed(error))]
        #[initial(A)]
        #[completed(Done, Failed)]
        #[transition(finish: A => Done)]
        #[transition(fail: A => Failed)]
    }
    an_error_state_without_exit {
        #[state(A, Done, Failed(error))]
        #[initial(A)]
        #[completed(Done)]
        #[transition(finish: A => Done)]
        #[transition(fail: A => Failed)]
    }
    an_error_state_with_exit {
        #[state(A, Done, Failed(error))]
        #[initial(A)]
        #[completed(Done)]
        #[transition(finish: A => Done)]
        #[transition(fail: A => Failed)]
        #[transition(retry: Failed => A)]
    }
    error_states_in_a_row {
        #[state(A, Done, Failed(error), GivenUp(error))]
        #[initial(A)]
        #[completed(Done)]
        #[transition(finish: A => Done)]
        #[transition(fail: A => Failed)]
        #[transition(give_up: Failed => GivenUp)]
    }
    an_initial_error_state {
        #[state(Broken(error), Repaired)]
        #[initial(Broken)]
        #[completed(Repaired)]
        #[transition(repair: Broken => Repaired)]
    }
    wildcard_to_completed {
        #[state(A, B, C, Cancelled)]
        #[initial(A)]
        #[completed(C, Cancelled)]
        #[transition(go: A => B)]
        #[transition(end: B => C)]
        #[transition(cancel: * => Cancelled)]
    }
    wildcard_to_error {
        #[state(A, B, C, Failed(error))]
        #[initial(A)]
        #[completed(C)]
        #[transition(go: A => B)]
        #[transition(end: B => C)]
        #[transition(fail: * => Failed)]
        #[transition(retry: Failed => A)]
    }
    wildcard_is_the_only_exit {
        #[state(A, B, Cancelled)]
        #[initial(A)]
        #[completed(Cancelled)]
        #[transition(go: A => B)]
        #[transition(cancel: * => Cancelled)]
    }
    persisted_then_loaded {
        #[state(A, B, C)]
        #[initial(A)]
        #[completed(C)]
        #[persist(Note(String))]
        #[transition(take: A => B, persist(Note))]
        #[transition(read: B => C, load(Note))]
    }
    persisted_and_never_loaded {
        #[state(A, B)]
        #[initial(A)]
        #[completed(B)]
        #[persist(Receipt { number: u64, text: String })]
        #[transition(pay: A => B, persist(Receipt))]
    }
    persisted_on_both_branches {
        #[state(A, Left, Right, B, C)]
        #[initial(A)]
        #[completed(C)]
        #[persist(Note(String))]
        #[transition(left: A => Left, persist(Note))]
        #[transition(right: A => Right, persist(Note))]
        #[transition(join: Left | Right => B)]
        #[transition(read: B => C, load(Note))]
    }
    persisted_by_parallel_edges {
        #[state(A, B, C)]
        #[initial(A)]
        #[completed(C)]
        #[persist(Note(String))]
        #[transition(by_hand: A => B, persist(Note))]
        #[transition(by_mail: A => B, persist(Note))]
        #[transition(read: B => C, load(Note))]
    }
    rewritten_in_a_loop {
        #[state(A, B, C)]
        #[initial(A)]
        #[completed(C)]
        #[persist(Draft(String))]
        #[transition(write: A | B => B, persist(Draft))]
        #[transition(publish: B => C, load(Draft))]
    }
    loaded_and_rewritten_at_once {
        #[state(A, B, C)]
        #[initial(A)]
        #[completed(C)]
        #[persist(Count(u64))]
        #[transition(begin: A => B, persist(Count))]
        #[transition(count: B => B, persist(Count), load(Count))]
        #[transition(end: B => C)]
    }
    taken_after_a_time {
        #[state(Asked, Answered, Expired(error), Closed)]
        #[initial(Asked)]
        #[completed(Closed)]
        #[transition(answer: Asked => Answered)]
        #[transition(expire: Asked => Expired, after("3 days"))]
        #[transition(ask_again: Expired => Asked, after("1 hour 30 minutes"))]
        #[transition(close: Answered | Expired => Closed)]
    }
    taken_after_a_time_from_everywhere {
        #[state(Asked, Answered, Gone)]
        #[initial(Asked)]
        #[completed(Gone)]
        #[persist(Answer(u8))]
        #[transition(answer: Asked => Answered, persist(Answer))]
        #[transition(read: Answered => Gone, load(Answer))]
        #[transition(forget: * => Gone, after("2 weeks"))]
    }
    loaded_again_after_a_failure {
        #[state(A, Saving, Failed(error), Saved)]
        #[initial(A)]
        #[completed(Saved)]
        #[persist(Body(String))]
        #[transition(fetch: A => Failed, persist(Body))]
        #[transition(save: Failed => Saving, load(Body))]
        #[transition(fail: Saving => Failed)]
        #[transition(finish: Saving => Saved)]
    }
    loaded_behind_a_state_that_has_it_twice {
        #[state(A, B, C, D)]
        #[initial(A)]
        #[completed(D)]
        #[persist(One(u8), Two(u8))]
        #[transition(first: A => B, persist(One, Two))]
        #[transition(second: B => C, load(One))]
        #[transition(third: B | C => D, load(One, Two))]
    }
    eight_artefacts_at_once {
        #[state(A, B, C)]
        #[initial(A)]
        #[completed(C)]
        #[persist(P1(u8), P2(u8), P3(u8), P4(u8), P5(u8), P6(u8), P7(u8), P8(u8))]
        #[transition(keep: A => B, persist(P1, P2, P3, P4, P5, P6, P7, P8))]
        #[transition(read: B => C, load(P8, P7, P6, P5, P4, P3, P2, P1))]
    }
    a_diamond_with_a_late_branch {
        #[state(A, B, C, D, E)]
        #[initial(A)]
        #[completed(E)]
        #[persist(Note(String))]
        #[transition(short: A => D, persist(Note))]
        #[transition(long: A => B)]
        #[transition(on: B => C)]
        #[transition(join: C => D, persist(Note))]
        #[transition(read: D => E, load(Note))]
    }
    names_that_are_also_names_of_ours {
        #[state(State, Flow, Record, Transition)]
        #[initial(State)]
        #[completed(Transition)]
        #[persist(Artefact(String))]
        #[transition(flow: State => Flow, persist(Artefact))]
        #[transition(record: Flow => Record, load(Artefact))]
        #[transition(transition: Record => Transition)]
        #[transition(state: Flow => Flow)]
    }
    transitions_named_by_keywords {
        #[state(A, B, C)]
        #[initial(A)]
        #[completed(C)]
        #[transition(move: A => B)]
        #[transition(continue: B => B)]
        #[transition(self: B => B)]
        #[transition(return: B => C)]
    }
    one_name_for_a_state_and_a_transition {
        #[state(Start, Finish)]
        #[initial(Start)]
        #[completed(Finish)]
        #[transition(start: Start => Start)]
        #[transition(finish: Start => Finish)]
    }
    transitions_of_nearly_one_name {
        #[state(A, B)]
        #[initial(A)]
        #[completed(B)]
        #[transition(try_1: A => A)]
        #[transition(try1: A => A)]
        #[transition(end: A => B)]
    }
}

#[test]
fn correct_graphs_compile() {
    assert!(ALL.len() >= 25, "{}", ALL.len());
    for (name, graph) in ALL {
        let is_state = |state: &&str| graph.states.iter().any(|known| known.name == *state);
        assert!(is_state(&graph.initial), "{name}");
        for transition in graph.transitions {
            assert!(is_state(&transition.to) && transition.from.iter().all(is_state));
        }
    }
}

#[test]
fn two_hundred_states_compile() {
    let graph = two_hundred_states::Graph::DEFINITION;
    assert_eq!((graph.states.len(), graph.transitions.len()), (200, 240));
    let end = graph.transitions.last().unwrap();
    assert_eq!((end.from.len(), end.to), (199, "s199"));
}

#[test]
fn a_crate_that_makes_it_hard_compiles() {
    use flowstate_hygiene::{large, names, places, shadows};

    let large = large::Large::DEFINITION;
    assert_eq!((large.states.len(), large.transitions.len()), (60, 200));
    let sync = shadows::Sync::DEFINITION;
    assert_eq!((sync.name, sync.states[3].name), ("sync", "err"));
    let invoice = names::Invoice::DEFINITION;
    assert_eq!((invoice.name, invoice.states[1].name), ("invoice-v2", "type"));
    assert_eq!((invoice.states[1].variant, invoice.artefacts[0].name), ("Type", "type"));
    assert_eq!(places::in_a_function(), 4);
}

#[test]
fn one_attribute_may_hold_several_transitions() {
    #[derive(Flow, Serialize, Deserialize)]
    #[state(A, B, C)]
    #[initial(A)]
    #[completed(C)]
    #[persist(Note(String))]
    #[transition(
        first: A => B, persist(Note), rename = "begin",
        /// The last one.
        second: B => C, load(Note),
    )]
    pub struct Graph {}

    let [first, second] = Graph::DEFINITION.transitions else { panic!("two transitions") };
    assert_eq!((first.name, first.persists, first.loads.len()), ("begin", &["note"][..], 0));
    assert_eq!((second.name, second.loads, second.doc), ("second", &["note"][..], "The last one."));
}
