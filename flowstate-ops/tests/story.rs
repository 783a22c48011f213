//! The newcomer's story of the README: its commands are run as they stand there, on the real
//! programs, as processes on a file.
#![cfg(all(feature = "command", feature = "sqlite"))]

#[path = "../examples/bills.rs"]
#[expect(dead_code, reason = "only its flow is wanted: as a program it is run")]
mod bills;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A command of the README, and what it must say.
const STORY: [(&str, &[&str]); 6] = [
    ("cargo run", &["bill #1 of Ada is refused"]),
    (
        "flowstate list --stuck",
        &["bill", "refused", "gave up", "the bank does not answer about 4200"],
    ),
    (
        "flowstate show 1",
        &[
            "gave up: all tries failed",
            "then `retry`",
            "the bank does not answer",
            "start_charge",
            "fail_charge",
        ],
    ),
    ("flowstate retry 1", &["1 done, 0 refused"]),
    ("BANK=up cargo run", &["bill #1 of Ada is paid"]),
    ("flowstate history 1", &["operator.retry", "the bank is back", "finish_charge"]),
];

/// The block of commands that begins with the program, without its comments.
fn commands() -> Vec<String> {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    let readme = std::fs::read_to_string(readme).expect(readme);
    let mut blocks = readme.split("```").filter(|block| block.starts_with("sh\n"));
    let block = blocks.find(|block| block.contains("--example bills")).expect("the story");
    let lines = block.lines().skip(1).map(|line| line.split(" #").next().unwrap_or(line).trim());
    lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// The words of a command; what stands in single quotes is one.
fn words(command: &str) -> Vec<String> {
    let parts = command.split('\'').enumerate();
    let words = parts.flat_map(|(at, part)| match at % 2 {
        0 => part.split_whitespace().map(str::to_owned).collect(),
        _ => vec![part.to_owned()],
    });
    words.collect()
}

/// Where the example is: it is built with the tests.
fn example() -> PathBuf {
    let here = std::env::current_exe().expect("this test");
    here.ancestors().nth(2).expect("the folder of the build").join("examples/bills")
}

/// What a command of the README prints. `settings`: its environment, which it may change.
fn run(command: &str, folder: &Path, settings: &mut BTreeMap<String, String>) -> String {
    let words = words(command);
    let is_setting = |word: &&String| word.contains('=') && !word.starts_with('-');
    if words[0] == "export" {
        let (name, value) = words[1].split_once('=').expect("a value");
        settings.insert(name.to_owned(), value.to_owned());
        return String::new();
    }
    let own: Vec<_> = words.iter().take_while(is_setting).collect();
    let rest = &words[own.len()..];
    let mut process = match &*rest[0] {
        "cargo" => Command::new(example()),
        "flowstate" => {
            let mut process = Command::new(env!("CARGO_BIN_EXE_flowstate"));
            process.args(&rest[1..]);
            process
        }
        other => panic!("`{other}` is not part of the story"),
    };
    let own = own.into_iter().filter_map(|setting| setting.split_once('='));
    let output = process.current_dir(folder).envs(&*settings).envs(own).output();
    let output = output.expect(command);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {said}{errors}");
    said
}

/// `FLOWSTATE_LOCK=write cargo test -p flowstate-ops --test story` writes it.
#[test]
fn the_lock_of_the_bills_is_current() {
    let bill = bills::Bill { customer: "Ada".to_owned(), cents: 4_200 };
    flowstate::lock::sample_props(&bill);
    flowstate::lock::check::<bills::Bill>();
}

/// A step has failed for good; it is found, explained, made due again, and done.
#[test]
fn what_is_stuck_is_found_explained_and_healed() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = BTreeMap::new();
    let mut story = STORY.iter();
    for command in commands() {
        let said = run(&command, folder.path(), &mut settings);
        if command.starts_with("export") || command.starts_with("cargo install") {
            continue;
        }
        let (begins, parts) = story.next().unwrap_or_else(|| panic!("`{command}` is told"));
        assert!(command.starts_with(begins), "`{command}`, and not `{begins}`");
        for part in *parts {
            assert!(said.contains(part), "`{command}` says `{part}`: {said}");
        }
    }
    assert!(story.next().is_none(), "the README has all of it");
    let stuck = run("flowstate list --stuck -o ids", folder.path(), &mut settings);
    assert_eq!(stuck.trim(), "", "nothing is stuck any more");
}
