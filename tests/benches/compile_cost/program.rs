//! One flow, written twice: a line of states, each with an error state and a way back, and one
//! error state more, so that their number is even.

use std::fmt::Write as _;

/// With the derive.
pub(crate) fn derived(states: usize) -> String {
    let last = last(states);
    let names: Vec<_> = (0..last).map(|i| format!("S{i}, F{i}(error)")).collect();
    let edges = (0..last).map(|i| (i, i + 1)).map(|(i, next)| {
        format!("go_{i}: S{i} | F{i} => S{next}, persist(Note),\n    fail_{i}: S{i} => F{i}")
    });
    let edges: Vec<_> = edges.chain(["spare: S0 => Spare".to_owned()]).collect();
    let mut out = String::from(
        "//! A flow.\nuse serde::{Deserialize, Serialize};\n\
         /// A flow.\n#[derive(flowstate::Flow, Serialize, Deserialize)]\n",
    );
    line(
        &mut out,
        format_args!(
            "#[state(\n    {},\n    S{last},\n    Spare(error)\n)]",
            names.join(",\n    ")
        ),
    );
    line(&mut out, format_args!("#[initial(S0)]\n#[completed(S{last})]"));
    line(&mut out, format_args!("#[persist(Note(String))]"));
    line(&mut out, format_args!("#[transition(\n    {}\n)]", edges.join(",\n    ")));
    out.push_str("pub struct Large {\n    /// Which.\n    pub id: u64,\n}\n");
    out
}

/// The number of the last state on the line.
fn last(states: usize) -> usize {
    states / 2 - 1
}

/// What the derive makes of such a flow, as a patient person would write it.
pub(crate) fn by_hand(states: usize) -> String {
    let last = last(states);
    let names = (0..last).flat_map(|i| [format!("S{i}"), format!("F{i}")]);
    let names: Vec<String> = names.chain([format!("S{last}"), "Spare".to_owned()]).collect();
    let mut out = String::from(HEAD);
    state(&mut out, &names);
    for (i, next) in (0..last).map(|i| (i, i + 1)) {
        let go = [format!("S{i}"), format!("F{i}")];
        transition(&mut out, &format!("Go{i}"), &go, &format!("S{next}"), "Note");
        transition(&mut out, &format!("Fail{i}"), &go[..1], &format!("F{i}"), "()");
    }
    transition(&mut out, "Spare", &["S0".to_owned()], "Spare", "()");
    definition(&mut out, &names, last);
    outcome(&mut out, last);
    out
}

const HEAD: &str = include_str!("by_hand.txt");

fn state(out: &mut String, names: &[String]) {
    line(out, format_args!("/// The states."));
    line(out, format_args!("#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]"));
    line(out, format_args!("pub enum LargeState {{"));
    for name in names {
        line(out, format_args!("    /// A state.\n    {name},"));
    }
    line(
        out,
        format_args!(
            "}}\nimpl LargeState {{\n    /// All.\n    pub const ALL: &'static [Self] = &["
        ),
    );
    for name in names {
        line(out, format_args!("        Self::{name},"));
    }
    line(out, format_args!("    ];\n}}\nconst STATES: &[StateDefinition] = &["));
    for name in names {
        let error = if is_step(name) { "" } else { ".error()" };
        let stored = name.to_lowercase();
        line(out, format_args!("    StateDefinition::new(\"{stored}\", \"{name}\"){error},"));
    }
    line(out, format_args!("];\n/// Markers.\npub mod states {{"));
    for name in names {
        line(out, format_args!("    /// A marker.\n    pub enum {name} {{}}"));
    }
    line(out, format_args!("}}"));
}

fn transition(out: &mut String, name: &str, from: &[String], to: &str, persists: &str) {
    let states: Vec<_> = from.iter().map(|state| format!("LargeState::{state}")).collect();
    let (stored, constant) = (name.to_lowercase(), name.to_uppercase());
    line(
        out,
        format_args!(
            "/// A transition.
#[derive(Clone, Copy, Debug)]
pub struct {name};
impl Large {{
    /// A transition.
    pub const {constant}: {name} = {name};
}}
impl flowstate::__private::Derived for {name} {{}}
impl Transition for {name} {{
    type Flow = Large;
    type To = states::{to};
    type Persists = {persists};
    type Loads = ();
    const NAME: &'static str = \"{stored}\";
    const FROM: &'static [LargeState] = &[{}];
    const TO: LargeState = LargeState::{to};
}}
impl TransitionOf<Large> for {name} {{
    type Own = Self;
}}",
            states.join(", ")
        ),
    );
    for state in from {
        line(out, format_args!("impl StartsFrom<states::{state}> for {name} {{}}"));
    }
}

/// Whether a state is on the line.
fn is_step(name: &str) -> bool {
    name.strip_prefix('S').is_some_and(|number| number.parse::<usize>().is_ok())
}

fn definition(out: &mut String, names: &[String], last: usize) {
    line(out, format_args!("const TRANSITIONS: &[TransitionDefinition] = &["));
    for (i, next) in (0..last).map(|i| (i, i + 1)) {
        line(
            out,
            format_args!(
                "    TransitionDefinition::new(\"go_{i}\", &[\"s{i}\", \"f{i}\"], \"s{next}\")\
                 .persisting(&[\"note\"]),\n    \
                 TransitionDefinition::new(\"fail_{i}\", &[\"s{i}\"], \"f{i}\"),"
            ),
        );
    }
    line(out, format_args!("    TransitionDefinition::new(\"spare\", &[\"s0\"], \"spare\"),"));
    line(out, format_args!("];\n// {} states", names.len()));
}

fn outcome(out: &mut String, last: usize) {
    line(
        out,
        format_args!(
            "/// What it ended with.
#[derive(Debug, PartialEq, Eq, Clone)]
pub enum LargeOutcome {{
    /// The end.
    S{last},
}}
impl FlowOutcome<Large> for LargeOutcome {{
    fn read<R: ArtefactReader<Large>>(
        state: LargeState,
        _: &mut R,
    ) -> Result<Option<Self>, R::Error> {{
        Ok((state == LargeState::S{last}).then_some(Self::S{last}))
    }}
}}"
        ),
    );
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // writing to a String cannot fail
    let _ = writeln!(out, "{text}");
}
