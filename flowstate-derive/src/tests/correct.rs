//! Large flows: no false alarm, and an expansion that grows with the edges.

use super::messages;

/// A line of states with an error state and a way back for every one of them, and so many
/// transitions that start from everywhere.
fn ladder(states: usize, wildcards: usize) -> String {
    let names: Vec<_> = (0..states).map(|i| format!("S{i}")).collect();
    let failed: Vec<_> = (0..states - 1).map(|i| format!("F{i}(error)")).collect();
    let edges: Vec<_> = (0..states - 1)
        .map(|i| {
            let next = i + 1;
            format!(
                "#[transition(go_{i}: S{i} | F{i} => S{next}, persist(Note))]
                 #[transition(fail_{i}: S{i} => F{i})]"
            )
        })
        .collect();
    let edges = edges
        .into_iter()
        .chain((0..wildcards).map(|i| format!("#[transition(leave_{i}: * => S{})]", states - 1)));
    format!(
        "#[state({}, {})] #[initial(S0)] #[completed(S{})] #[persist(Note(String))] {}
         struct Ladder {{}}",
        names.join(", "),
        failed.join(", "),
        states - 1,
        edges.collect::<Vec<_>>().join("\n")
    )
}

fn expand(states: usize, wildcards: usize) -> (usize, Vec<String>) {
    let output = crate::derive(ladder(states, wildcards).parse().unwrap());
    (output.to_string().len(), messages(&output))
}

#[test]
fn two_hundred_states_are_no_mistake() {
    assert_eq!(expand(100, 0).1, Vec::<String>::new());
    assert_eq!(expand(200, 3).1, Vec::<String>::new());
}

#[test]
fn the_expansion_grows_with_the_edges() {
    let (small, large) = (expand(50, 0).0, expand(200, 0).0);
    assert!(large < small * 9 / 2, "50 states take {small} letters, 200 take {large}");
}

#[test]
fn a_wildcard_does_not_grow_with_the_states() {
    let more = |states| expand(states, 11).0 - expand(states, 1).0;
    let (few, many) = (more(10), more(200));
    assert!(many < few * 5 / 4, "10 wildcards take {few} letters with 10 states, {many} with 200");
}

/// `cargo test -p flowstate-derive cost -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn cost() {
    println!("| states | transitions | the derive alone, ms | lines of its expansion |");
    println!("| ---: | ---: | ---: | ---: |");
    for (states, wildcards) in [(10, 0), (60, 0), (200, 0), (200, 20)] {
        // a line of n states has n - 1 error states beside it, and one is left over
        let steps = states / 2;
        let flow = ladder(steps, wildcards).replacen("#[state(", "#[state(Spare(error), ", 1);
        let flow = flow.replacen("struct", "#[transition(spare: S0 => Spare)] struct", 1);
        let input: proc_macro2::TokenStream = flow.parse().unwrap();
        let once = || {
            let began = std::time::Instant::now();
            (crate::derive(input.clone()), began.elapsed())
        };
        let (output, _) = once();
        assert_eq!(messages(&output), Vec::<String>::new());
        let shortest = (0..100).map(|_| once().1).min().unwrap();
        let lines = prettyplease::unparse(&syn::parse2(output).unwrap()).lines().count();
        let (transitions, ms) = (2 * (steps - 1) + 1 + wildcards, shortest.as_secs_f64() * 1e3);
        println!("| {states} | {transitions} | {ms:.1} | {lines} |");
    }
}
