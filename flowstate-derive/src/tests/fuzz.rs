//! Whatever stands in the attributes: no panic, an end, and items.

use proc_macro2::TokenStream;
use proptest::prelude::*;

use super::messages;

/// What attributes are made of, right and wrong.
const WORDS: &[&str] = &[
    "A",
    "B",
    "C",
    "D",
    "E",
    "go",
    "back",
    "error",
    "destroy",
    "rename",
    "alias",
    "persist",
    "load",
    "name",
    "record",
    "state",
    "crate",
    "flow",
    "self",
    "Self",
    "r#type",
    "r#A",
    "move",
    "_",
    "__",
    "_1",
    "ß",
    "=",
    "=>",
    "->",
    "|",
    ":",
    "::",
    ",",
    "*",
    "<",
    ">",
    "#",
    "!",
    "'a",
    "1",
    "1.5",
    "\"text\"",
    "\"\"",
    "b\"bytes\"",
    "'c'",
    "Vec<u8>",
    "u8",
    "pub",
    "pub(crate)",
    "where",
    "/** doc */",
    "#[derive(Debug)]",
    "#[doc = \"x\"]",
    "(String)",
    "(error)",
    "(destroy)",
    "()",
    "{ a: u8 }",
    "{ a: }",
    "[u8; 4]",
    "(A, B)",
    "(rename = \"x\")",
    "(alias = \"A\")",
    "$",
    "..",
];

const ATTRIBUTES: &[&str] =
    &["state", "initial", "completed", "persist", "transition", "flow", "serde", "doc", "a::b"];

/// A flow of which the parts are exchanged, dropped and doubled.
const FLOW: &[(&str, &str)] = &[
    ("state", "A, B, C(error), D(rename = \"x\", alias = \"y\")"),
    ("initial", "A"),
    ("completed", "D(destroy)"),
    ("persist", "P(String), Q { a: u8, b: Vec<u8> }"),
    ("persist", "some::path::R<u8>, rename = \"s\""),
    ("transition", "go: A | C => B, persist(P, Q)"),
    ("transition", "fail: B => C, persist(R)"),
    ("transition", "end: B => D, load(P), rename = \"finish\", alias = \"stop\""),
    ("transition", "cancel: * => D"),
    ("flow", "name = \"f\", record = R1, state = S1, crate = ::flowstate"),
];

const SHAPES: &[&str] = &[
    "struct X { a: u8 }",
    "pub(crate) struct r#type {}",
    "struct X;",
    "struct X(u8);",
    "struct X<T> { a: T }",
    "enum X { A }",
    "union X { a: u8 }",
];

fn words() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(WORDS), 0..14).prop_map(|words| words.join(" "))
}

fn attribute() -> impl Strategy<Value = String> {
    let name = prop::sample::select(ATTRIBUTES);
    let form = prop::sample::select(&["(…)", "[…]", "{…}", " = …", ""][..]);
    (name, words(), prop_oneof![4 => Just("(…)"), 1 => form])
        .prop_map(|(name, words, form)| format!("#[{name}{}]", form.replace('…', &words)))
}

/// A valid attribute with one token dropped, doubled or replaced.
fn mutated() -> impl Strategy<Value = String> {
    let word = prop::sample::select(WORDS);
    (prop::sample::select(FLOW), 0..30_usize, 0..4_u8, word).prop_map(|(part, at, how, word)| {
        let mut tokens: Vec<String> =
            part.1.parse::<TokenStream>().unwrap().into_iter().map(|t| t.to_string()).collect();
        let at = at % tokens.len();
        match how {
            0 => drop(tokens.remove(at)),
            1 => tokens.insert(at, tokens[at].clone()),
            2 => word.clone_into(&mut tokens[at]),
            _ => {}
        }
        format!("#[{}({})]", part.0, tokens.join(" "))
    })
}

fn flows() -> impl Strategy<Value = String> {
    let whole = FLOW.iter().map(|(name, words)| format!("#[{name}({words})]")).collect::<Vec<_>>();
    let whole = prop::sample::subsequence(whole, 0..=FLOW.len());
    let wrong = prop::collection::vec(prop_oneof![attribute(), mutated(), mutated()], 0..4);
    let shape = prop_oneof![8 => Just(SHAPES[0]), 1 => prop::sample::select(SHAPES)];
    (whole, wrong, shape).prop_map(|(mut whole, wrong, shape)| {
        whole.extend(wrong);
        format!("{} {shape}", whole.join(" "))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn any_attributes_give_items(flow in flows()) {
        // what is no token stream never reaches a macro
        if let Ok(tokens) = flow.parse::<TokenStream>() {
            let _ = messages(&crate::derive(tokens));
        }
    }

    #[test]
    fn any_tokens_give_items(words in words(), shape in prop::sample::select(SHAPES)) {
        if let Ok(tokens) = format!("{words} {shape}").parse::<TokenStream>() {
            let _ = messages(&crate::derive(tokens));
        }
    }
}

#[test]
fn the_flow_that_is_mutated_is_correct() {
    let attributes: Vec<_> =
        FLOW.iter().map(|(name, words)| format!("#[{name}({words})]")).collect();
    let none: [&str; 0] = [];
    assert_eq!(super::mistakes(&format!("{} {}", attributes.join(" "), SHAPES[0])), none);
}
