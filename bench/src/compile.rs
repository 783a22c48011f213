//! How long a flow of 60 states and 20 steps takes to compile, against the same transitions declared
//! one by one.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::report::{Figure, Report, Target};

const STEPS: usize = 20;

/// Builds both in turn.
pub(crate) fn run(rounds: usize) -> std::io::Result<()> {
    let folder = tempfile::tempdir()?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
    fs::write(
        folder.path().join("Cargo.toml"),
        "[workspace]\nmembers = [\"a\", \"b\"]\nresolver = \"3\"\n",
    )?;
    // the versions that are compiled here
    fs::copy(root.join("Cargo.lock"), folder.path().join("Cargo.lock"))?;
    let sides = [("a", flow(transitions)), ("b", flow(step))];
    for (name, _) in &sides {
        fs::create_dir_all(folder.path().join(name).join("src"))?;
        let manifest = format!(
            "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\n\
             flowstate = {{ path = \"{}\" }}\nserde = {{ version = \"1\", features = [\"derive\"] }}\n",
            root.join("flowstate").display()
        );
        fs::write(folder.path().join(name).join("Cargo.toml"), manifest)?;
        fs::write(folder.path().join(name).join("src/lib.rs"), "")?;
    }
    let build = |round: usize, (name, text): &(&str, String)| {
        let changed = format!("{text}// round {round}\n");
        fs::write(folder.path().join(name).join("src/lib.rs"), changed).expect("written");
        let begun = Instant::now();
        let built = Command::new("cargo")
            .args(["build", "--offline", "-q", "-p", name])
            .current_dir(folder.path())
            .env("CARGO_TARGET_DIR", folder.path().join("target"))
            .output()
            .expect("cargo");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        begun.elapsed().as_secs_f64()
    };
    // what both depend on
    for side in &sides {
        build(0, side);
    }
    let times: Vec<_> =
        (1..=rounds).map(|round| sides.each_ref().map(|side| build(round, side))).collect();
    let mut report = Report::default();
    let figure = Figure::new("steps against their transitions", "compiler", "s", &times);
    report.add(figure.target(Target::AtMost(1.2)).note(format!("{STEPS} steps, 61 states")));
    println!("{report}");
    Ok(())
}

/// A flow of so many pieces of work, one after the other, each declared in these words.
fn flow(declared: fn(usize) -> String) -> String {
    let mut text =
        "use flowstate::Flow;\n\n#[derive(Flow, serde::Serialize, serde::Deserialize)]\n"
            .to_owned();
    for at in 0..STEPS {
        writeln!(text, "#[state(Waiting{at}, Running{at}, Failed{at}(error))]").expect("a string");
    }
    writeln!(text, "#[state(Waiting{STEPS})]\n#[initial(Waiting0)]\n#[completed(Waiting{STEPS})]")
        .expect("a string");
    text.extend((0..STEPS).map(declared));
    text + "pub struct Work {}\n"
}

fn step(at: usize) -> String {
    let next = at + 1;
    format!(
        "#[step(work{at}: Waiting{at} | Failed{at} => Running{at} => Waiting{next}, fail(Failed{at}))]\n"
    )
}

fn transitions(at: usize) -> String {
    let next = at + 1;
    format!(
        "#[transition(start{at}: Waiting{at} | Failed{at} => Running{at})]\n\
         #[transition(finish{at}: Running{at} => Waiting{next})]\n\
         #[transition(fail{at}: Running{at} => Failed{at})]\n"
    )
}
