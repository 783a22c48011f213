//! Whatever stands in the attributes: no panic, an end, and items.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
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
    "after",
    "after(\"3 days\")",
    "fail",
    "fail(C)",
    "give_up(A)",
    "then(go)",
    "transactional",
    "within",
    "work: A => B => C",
    "G = A | B",
    "G",
    "after(\"1 hour 99999999999999999999 weeks\")",
    "persist(P)",
    "load(P, Q)",
    "go: A => B",
    "\"A\"",
    ";",
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

const ATTRIBUTES: &[&str] = &[
    "state",
    "initial",
    "completed",
    "persist",
    "transition",
    "step",
    "group",
    "flow",
    "serde",
    "doc",
    "a::b",
];

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
    ("transition", "cancel: * => D, expire: A => D, after(\"3 days\"), retry: C => A, load(R)"),
    ("group", "Early = A | C"),
    ("transition", "drop: Early => D, wait: B => D, after(\"1 week\"), within"),
    ("state", "W, F(error), Closing"),
    (
        "step",
        "work: A | F => W => Closing(persist(P), then(close)) | D, fail(F), give_up(D), rename = \"labour\"",
    ),
    ("transition", "close: Closing => D"),
    ("flow", "name = \"f\", record = R1, state = S1, crate = ::flowstate"),
];

const SHAPES: &[&str] = &[
    "struct X { a: u8 }",
    "pub(crate) struct r#type {}",
    "struct X;",
    "struct X { #[state(A)] a: u8 }",
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

/// As `macro_rules` hands on what it matched: some tokens in groups without delimiters.
fn grouped(tokens: TokenStream, every: usize) -> TokenStream {
    let tokens = tokens.into_iter().enumerate().map(|(i, token)| {
        let token = match token {
            TokenTree::Group(group) => {
                Group::new(group.delimiter(), grouped(group.stream(), every)).into()
            }
            token => token,
        };
        let is_chosen = every > 0 && i % every == every - 1;
        let is_name = matches!(token, TokenTree::Literal(_) | TokenTree::Ident(_));
        if is_chosen && is_name { Group::new(Delimiter::None, token.into()).into() } else { token }
    });
    tokens.collect()
}

/// What a derive says, if it comes to an end soon.
fn said(flow: &str, every: usize) -> Vec<String> {
    let (flow, (done, said)) = (flow.to_owned(), mpsc::channel());
    thread::spawn(move || {
        // what is no token stream never reaches a macro
        let messages = flow.parse().map(|tokens| messages(&crate::derive(grouped(tokens, every))));
        let _ = done.send(messages.unwrap_or_default());
    });
    said.recv_timeout(Duration::from_secs(30)).expect("a derive that ends and does not panic")
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
    fn any_attributes_give_items(flow in flows(), every in 0..6_usize) {
        let _ = said(&flow, every);
    }

    #[test]
    fn any_tokens_give_items(words in words(), shape in prop::sample::select(SHAPES)) {
        let _ = said(&format!("{words} {shape}"), 0);
    }
}

#[test]
fn the_flow_that_is_mutated_is_correct() {
    let attributes: Vec<_> =
        FLOW.iter().map(|(name, words)| format!("#[{name}({words})]")).collect();
    let none: [&str; 0] = [];
    assert_eq!(super::mistakes(&format!("{} {}", attributes.join(" "), SHAPES[0])), none);
}
