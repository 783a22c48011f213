//! One flow, declared twice: a line of steps, as steps and as the three transitions that each was
//! before there were steps.

use std::fmt::Write as _;

/// How many steps the flow has. Each has its queue, its running state and its error state; the last
/// one shares an error state and ends in a completed one.
const STEPS: usize = 20;

/// How many states that makes.
pub(crate) const STATES: usize = 3 * STEPS;

/// With a `#[step(…)]` each.
pub(crate) fn steps() -> String {
    flow("step", |from, i, next, failed| {
        format!("work_{i}: {from} => R{i} => S{next}(persist(Note)), fail(F{failed})")
    })
}

/// With three transitions each.
pub(crate) fn triples() -> String {
    flow("transition", |from, i, next, failed| {
        format!(
            "start_{i}: {from} => R{i},\n    finish_{i}: R{i} => S{next}, persist(Note),\n    \
             fail_{i}: R{i} => F{failed}"
        )
    })
}

fn flow(attribute: &str, unit: impl Fn(&str, usize, usize, usize) -> String) -> String {
    let states = (0..STEPS).map(|i| {
        let failed = if i + 1 < STEPS { format!(", F{i}(error)") } else { String::new() };
        format!("S{i}, R{i}{failed}")
    });
    let units = (0..STEPS).map(|i| {
        let is_last = i + 1 == STEPS;
        let from = if is_last { format!("S{i}") } else { format!("S{i} | F{i}") };
        unit(&from, i, i + 1, if is_last { i - 1 } else { i })
    });
    let (states, units): (Vec<_>, Vec<_>) = (states.collect(), units.collect());
    let mut out = String::from(
        "//! A flow.\nuse serde::{Deserialize, Serialize};\n\
         /// A flow.\n#[derive(flowstate::Flow, Serialize, Deserialize)]\n",
    );
    // writing to a String cannot fail
    let _ = writeln!(out, "#[state(\n    {},\n    S{STEPS}\n)]", states.join(",\n    "));
    let _ = writeln!(out, "#[initial(S0)]\n#[completed(S{STEPS})]\n#[persist(Note(String))]");
    let _ = writeln!(out, "#[{attribute}(\n    {}\n)]", units.join(",\n    "));
    out.push_str("pub struct Large {\n    /// Which.\n    pub id: u64,\n}\n");
    out
}
