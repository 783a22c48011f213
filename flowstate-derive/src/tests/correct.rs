//! Large flows: no false alarm, and an expansion that grows with the edges.

use super::messages;

/// A line of states with an error state and a way back for every one of them.
fn ladder(states: usize) -> String {
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
    format!(
        "#[state({}, {})] #[initial(S0)] #[completed(S{})] #[persist(Note(String))] {}
         struct Ladder {{}}",
        names.join(", "),
        failed.join(", "),
        states - 1,
        edges.join("\n")
    )
}

fn expand(states: usize) -> (usize, Vec<String>) {
    let output = crate::derive(ladder(states).parse().unwrap());
    (output.to_string().len(), messages(&output))
}

#[test]
fn two_hundred_states_are_no_mistake() {
    assert_eq!(expand(100).1, Vec::<String>::new());
    assert_eq!(expand(200).1, Vec::<String>::new());
}

#[test]
fn the_expansion_grows_with_the_edges() {
    let (small, large) = (expand(50).0, expand(200).0);
    assert!(large < small * 9 / 2, "50 states take {small} letters, 200 take {large}");
}

/// `cargo test -p flowstate-derive cost -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn cost() {
    println!("| states | the derive alone, ms | lines of its expansion |");
    println!("| ---: | ---: | ---: |");
    for states in [10, 60, 200] {
        let input: proc_macro2::TokenStream = ladder(states / 2).parse().unwrap();
        let once = || {
            let began = std::time::Instant::now();
            (crate::derive(input.clone()), began.elapsed())
        };
        let (output, _) = once();
        let shortest = (0..100).map(|_| once().1).min().unwrap();
        let lines = prettyplease::unparse(&syn::parse2(output).unwrap()).lines().count();
        println!("| {states} | {:.1} | {lines} |", shortest.as_secs_f64() * 1e3);
    }
}
