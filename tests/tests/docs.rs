//! The documentation shows what the compiler prints.
//!
//! `BLESS=1 cargo test -p flowstate-tests --test docs` writes the messages into the page.
#![allow(missing_docs, reason = "a test has no readers of its documentation")]

use std::path::{Path, PathBuf};
use std::{env, fs};

const MARK: &str = "<!-- tests/ui/";

fn path(of: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(of)
}

/// The page with the present messages.
fn refreshed(page: &str) -> String {
    let mut out = String::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        out.push_str(line);
        out.push('\n');
        if let Some(case) = line.strip_prefix(MARK).and_then(|rest| rest.strip_suffix(" -->")) {
            out.push_str(&message(case));
            let _ = lines.find(|line| *line == "```text");
            let _ = lines.find(|line| *line == "```");
        }
    }
    out
}

/// The snapshot of a case, without the path that leads to it here.
fn message(case: &str) -> String {
    let text = fs::read_to_string(path("ui").join(case)).expect(case);
    let (folder, _) = case.split_once('/').expect(case);
    format!("```text\n{}\n```\n", text.trim_end().replace(&format!("ui/{folder}/"), ""))
}

#[test]
fn compile_time_messages_are_as_the_compiler_prints_them() {
    let file = path("../docs/compile-time.md");
    let page = fs::read_to_string(&file).unwrap();
    let fresh = refreshed(&page);
    if env::var_os("BLESS").is_some() {
        fs::write(&file, &fresh).unwrap();
        return;
    }
    assert!(page == fresh, "docs/compile-time.md is stale: run this test with `BLESS=1`");
}

#[test]
fn every_proof_is_on_the_page() {
    let page = fs::read_to_string(path("../docs/compile-time.md")).unwrap();
    let proofs = [
        "graph/unreachable_state",
        "graph/missing_transition",
        "graph/dead_end",
        "graph/out_of_a_completed_state",
        "graph/initial_is_completed",
        "graph/artefact_missing_on_a_long_path",
        "graph/artefact_loaded_in_the_initial_state",
        "graph/artefact_nothing_persists",
        "types/transition_of_another_flow",
        "types/then_in_the_wrong_order",
        "types/step_finish_of_another_flow",
        "types/then_that_loads",
        "types/step_fail_persists",
        "types/step_without_fail",
        "types/persist_nothing",
        "types/then_before_persist",
        "types/persist_the_wrong_artefact",
        "types/persist_in_the_wrong_order",
        "types/persist_twice",
        "types/load_what_is_not_declared",
        "types/handler_takes_what_is_not_loaded",
        "types/handler_returns_the_wrong_type",
        "types/artefact_of_another_flow",
        "types/guard_with_a_result_of_nothing",
    ];
    for proof in proofs {
        assert!(page.contains(&format!("{MARK}{proof}.stderr -->")), "{proof}");
    }
}
