//! Pictures of a flow, made from its [`Definition`].

use std::fmt::Write as _;

use crate::{Definition, TransitionDefinition};

/// A Mermaid state diagram, which GitHub and many editors show as a picture. Error states are red,
/// states in which a step runs have a dashed line.
///
/// ```
/// # use flowstate::{Definition, StateDefinition, TransitionDefinition};
/// const DOOR: Definition = Definition::new("door", "open")
///     .with_states(&[
///         StateDefinition::new("open", "Open"),
///         StateDefinition::new("shut", "Shut").completed(false),
///     ])
///     .with_transitions(&[TransitionDefinition::new("close", &["open"], "shut")]);
///
/// assert_eq!(
///     flowstate::diagram::mermaid(&DOOR),
///     "stateDiagram-v2\n    [*] --> open\n    open --> shut: close\n    shut --> [*]\n"
/// );
/// ```
#[must_use]
pub fn mermaid(flow: &Definition) -> String {
    let mut out = format!("stateDiagram-v2\n    [*] --> {}\n", id(flow.initial));
    for state in flow.states.iter().filter(|state| id(state.name) != state.name) {
        line(&mut out, format_args!("state \"{}\" as {}", plain(state.name), id(state.name)));
    }
    for (from, transition) in edges(flow) {
        let label = plain(&label(transition));
        line(&mut out, format_args!("{} --> {}: {label}", id(from), id(transition.to)));
    }
    for state in flow.states.iter().filter(|state| state.is_completed) {
        line(&mut out, format_args!("{} --> [*]", id(state.name)));
    }
    let errors: Vec<_> =
        flow.states.iter().filter(|state| state.is_error).map(|state| id(state.name)).collect();
    let running: Vec<_> = flow.steps.iter().map(|step| id(step.running)).collect();
    if !running.is_empty() {
        line(&mut out, format_args!("classDef running stroke-dasharray:4"));
        line(&mut out, format_args!("class {} running", running.join(", ")));
    }
    if !errors.is_empty() {
        line(&mut out, format_args!("classDef error stroke:#c00,stroke-width:2px"));
        line(&mut out, format_args!("class {} error", errors.join(", ")));
    }
    out
}

/// A Graphviz digraph: `dot -Tsvg`.
///
/// Completed states have a double line, error states a dashed one, states in which a step runs a
/// dotted one.
#[must_use]
pub fn dot(flow: &Definition) -> String {
    let mut out = format!("digraph {} {{\n    rankdir=LR;\n", quoted(flow.name));
    line(&mut out, format_args!("node [shape=box, style=rounded];"));
    line(&mut out, format_args!("\"\" [shape=point];"));
    line(&mut out, format_args!("\"\" -> {};", quoted(flow.initial)));
    for state in flow.states {
        let runs = flow.steps.iter().any(|step| step.running == state.name);
        let shape = match (state.is_error, state.is_completed) {
            _ if runs => " [style=\"rounded,dotted\"]",
            (true, _) => " [style=\"rounded,dashed\"]",
            (_, true) => " [peripheries=2]",
            _ => "",
        };
        line(&mut out, format_args!("{}{shape};", quoted(state.name)));
    }
    for (from, transition) in edges(flow) {
        let label = quoted(&label(transition));
        line(
            &mut out,
            format_args!("{} -> {} [label={label}];", quoted(from), quoted(transition.to)),
        );
    }
    out.push_str("}\n");
    out
}

fn edges(flow: &Definition) -> impl Iterator<Item = (&'static str, &'static TransitionDefinition)> {
    let transitions: &'static [TransitionDefinition] = flow.transitions;
    transitions
        .iter()
        .flat_map(|transition| transition.from.iter().map(move |from| (*from, transition)))
}

/// The transition's name with what it keeps (`+`) and reads (`-`).
fn label(transition: &TransitionDefinition) -> String {
    let mut label = transition.name.to_owned();
    for name in transition.persists {
        label.push_str(" +");
        label.push_str(name);
    }
    for name in transition.loads {
        label.push_str(" -");
        label.push_str(name);
    }
    label
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // writing to a String cannot fail
    let _ = writeln!(out, "    {text}");
}

/// A Mermaid identifier for any stored name: what is no letter, digit or underscore is spelt out.
fn id(name: &str) -> String {
    let mut id = String::new();
    for c in name.chars() {
        if c.is_ascii_alphanumeric() || c == '_' {
            id.push(c);
        } else {
            let _ = write!(id, "_u{:x}_", u32::from(c));
        }
    }
    // `end` closes a block in Mermaid, wherever it stands
    if id == "end" { "end_".to_owned() } else { id }
}

/// Text as a Mermaid label: the characters that end one are replaced.
fn plain(text: &str) -> String {
    text.chars().map(|c| if matches!(c, '"' | ':' | ';' | '\n' | '#') { ' ' } else { c }).collect()
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
