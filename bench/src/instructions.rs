//! How many instructions a transition takes: the same each time, where times are not.

use std::collections::BTreeMap;
use std::process::Command;

use crate::args::{Instructions, Kind};
use crate::database::Database;
use crate::databases::{Visit, visit};

/// The difference between a longer and a shorter run leaves out what happens only once.
const RUNS: [u64; 2] = [20, 70];
/// `create` and six transitions.
const OPERATIONS: u64 = 7;

type Counts = BTreeMap<String, u64>;

/// Counts, and holds the counts against a file. Returns whether they may pass.
pub(crate) fn run(asked: &Instructions) -> std::io::Result<bool> {
    let mut counts = Counts::new();
    for kind in &asked.databases {
        visit(*kind, None, &asked.servers, &mut Count { kind: *kind, counts: &mut counts });
    }
    if let Some(path) = &asked.write {
        std::fs::write(path, serde_json::to_string_pretty(&counts)? + "\n")?;
    }
    let Some(path) = &asked.check else { return Ok(true) };
    let stored: Counts = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    let grown: Vec<_> = counts
        .iter()
        .filter_map(|(name, count)| stored.get(name).map(|before| (name, *before, *count)))
        .filter(|(_, before, count)| count * 10 > before * 11)
        .collect();
    for (name, before, count) in &grown {
        eprintln!("{name}: {count} instructions, {before} before: more than 10 % above");
    }
    Ok(grown.is_empty())
}

struct Count<'a> {
    kind: Kind,
    counts: &'a mut Counts,
}

impl Visit for Count<'_> {
    fn visit<D: Database>(&mut self, database: &D) {
        for side in ["floor", "ours"] {
            let [short, long] = RUNS.map(|flows| collected(&database.url(), side, flows));
            let count = (long - short) / ((RUNS[1] - RUNS[0]) * OPERATIONS);
            println!("{}, {side}: {count} instructions a transition", database.name());
            self.counts.insert(format!("{:?} {side}", self.kind).to_lowercase(), count);
        }
    }
}

/// The instructions of a whole run.
fn collected(url: &str, side: &str, flows: u64) -> u64 {
    let program = std::env::current_exe().expect("this program");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(["child", "flows", url, side, &flows.to_string()])
        .output()
        .expect("valgrind is installed");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let count = text.lines().find_map(|line| line.split_once("Collected : "));
    count.and_then(|(_, count)| count.trim().parse().ok()).expect("a count")
}
