//! Diagrams of a graph that a program has left: the program itself need not be there.

use std::fmt::Write as _;

use crate::operator::{Graph, GraphTransition};

/// As Mermaid, which GitHub and many editors show.
#[must_use]
pub fn mermaid(graph: &Graph) -> String {
    let mut text = "stateDiagram-v2\n".to_owned();
    let mut line = |line: std::fmt::Arguments<'_>| {
        // writing into a string does not fail
        writeln!(text, "    {line}").unwrap_or_default();
    };
    line(format_args!("[*] --> {}", id(&graph.initial)));
    for state in graph.states.iter().filter(|state| id(&state.name) != state.name) {
        line(format_args!("state \"{}\" as {}", state.name.replace('"', "'"), id(&state.name)));
    }
    for edge in &graph.transitions {
        for from in &edge.from {
            line(format_args!("{} --> {}: {}", id(from), id(&edge.to), label(edge)));
        }
    }
    for state in graph.states.iter().filter(|state| state.completed) {
        line(format_args!("{} --> [*]", id(&state.name)));
    }
    let failed = graph.states.iter().filter(|state| state.error).map(|state| id(&state.name));
    let failed: Vec<_> = failed.collect();
    if !failed.is_empty() {
        line(format_args!("classDef error stroke:#c33,color:#c33"));
        line(format_args!("class {} error", failed.join(",")));
    }
    text
}

/// As DOT, for Graphviz.
#[must_use]
pub fn dot(graph: &Graph) -> String {
    let mut text = format!("digraph {} {{\n    rankdir = LR;\n", quoted(&graph.flow));
    let mut line = |line: std::fmt::Arguments<'_>| {
        // writing into a string does not fail
        writeln!(text, "    {line}").unwrap_or_default();
    };
    for state in &graph.states {
        let shape = if state.completed { "doublecircle" } else { "box" };
        let colour = if state.error { ", color = red" } else { "" };
        line(format_args!("{} [shape = {shape}{colour}];", quoted(&state.name)));
    }
    for edge in &graph.transitions {
        for from in &edge.from {
            let label = quoted(&label(edge));
            line(format_args!("{} -> {} [label = {label}];", quoted(from), quoted(&edge.to)));
        }
    }
    text.push_str("}\n");
    text
}

fn label(edge: &GraphTransition) -> String {
    match edge.after_micros {
        Some(micros) => format!("{} after {}s", edge.name, micros / 1_000_000),
        None => edge.name.clone(),
    }
}

/// A name that Mermaid takes as one.
fn id(name: &str) -> String {
    let sign = |sign: char| if sign.is_alphanumeric() || sign == '_' { sign } else { '_' };
    name.chars().map(sign).collect()
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
