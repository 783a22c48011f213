//! The diagrams, of a flow whose stored names need care.

use flowstate::{Flow, diagram};
use serde::{Deserialize, Serialize};

/// Names that mean something in a diagram.
#[derive(Flow, Serialize, Deserialize)]
#[flow(name = "odd \"names\"")]
#[state(
    Begun(rename = "say \"hi\""),
    Stopped(rename = "end"),
    Failed(error, rename = "back\\slash: no")
)]
#[initial(Begun)]
#[completed(Stopped)]
#[persist(Note(String))]
#[transition(work: Begun | Failed => Failed, persist(Note))]
#[transition(stop: Failed => Stopped, load(Note))]
struct Odd {}

#[test]
fn mermaid_spells_out_what_it_would_misread() {
    let expected = r#"stateDiagram-v2
    [*] --> say_u20__u22_hi_u22_
    state "say  hi " as say_u20__u22_hi_u22_
    state "end" as end_
    state "back\slash  no" as back_u5c_slash_u3a__u20_no
    say_u20__u22_hi_u22_ --> back_u5c_slash_u3a__u20_no: work +note
    back_u5c_slash_u3a__u20_no --> back_u5c_slash_u3a__u20_no: work +note
    back_u5c_slash_u3a__u20_no --> end_: stop -note
    end_ --> [*]
    classDef error stroke:#c00,stroke-width:2px
    class back_u5c_slash_u3a__u20_no error
"#;
    assert_eq!(diagram::mermaid(Odd::DEFINITION), expected);
}

#[test]
fn dot_quotes_every_name() {
    let expected = r#"digraph "odd \"names\"" {
    rankdir=LR;
    node [shape=box, style=rounded];
    "" [shape=point];
    "" -> "say \"hi\"";
    "say \"hi\"";
    "end" [peripheries=2];
    "back\\slash: no" [style="rounded,dashed"];
    "say \"hi\"" -> "back\\slash: no" [label="work +note"];
    "back\\slash: no" -> "back\\slash: no" [label="work +note"];
    "back\\slash: no" -> "end" [label="stop -note"];
}
"#;
    assert_eq!(diagram::dot(Odd::DEFINITION), expected);
}
