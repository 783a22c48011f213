//! Every mistake, as the compiler tells it: `tests/ui/<kind of mistake>/`.
//!
//! `TRYBUILD=overwrite cargo test -p flowstate-tests --test ui` writes the snapshots anew; look at
//! each before you keep it.
#![allow(missing_docs, reason = "a test has no readers of its documentation")]

use std::fs;
use std::path::{Path, PathBuf};

const KINDS: [&str; 11] = [
    "cascade",
    "completed",
    "graph",
    "initial",
    "options",
    "persist",
    "shape",
    "state",
    "together",
    "transition",
    "types",
];

#[test]
fn mistakes_are_explained() {
    let cases = trybuild::TestCases::new();
    for kind in KINDS {
        cases.compile_fail(format!("ui/{kind}/*.rs"));
    }
}

/// Serde's derives have more than one thing to say of a payload.
const OF_SERDE: [&str; 3] =
    ["artefact_not_serializable", "existing_artefact_not_serializable", "field_not_serializable"];

#[test]
fn one_mistake_is_one_error() {
    let snapshots = snapshots();
    assert!(snapshots.len() >= 70, "{} snapshots", snapshots.len());
    let alone = |path: &&PathBuf| !is_of(path, "together") && !is_of_serde(path);
    for path in snapshots.iter().filter(alone) {
        let text = fs::read_to_string(path).unwrap();
        let errors = text.lines().filter(|line| line.starts_with("error")).count();
        assert_eq!(errors, 1, "{}", path.display());
        assert!(!text.contains("warning"), "{}", path.display());
    }
}

#[test]
fn mistakes_are_on_a_token() {
    // the compiler marks the derive itself if there is no token to show
    for path in snapshots().iter().filter(|path| !is_of_serde(path)) {
        let text = fs::read_to_string(path).unwrap();
        let lines: Vec<_> = text.lines().collect();
        let marked = lines.windows(2).find(|pair| pair[1].contains('^')).map(|pair| pair[0]);
        assert!(marked.is_some_and(|line| !line.contains("derive(Flow")), "{}", path.display());
    }
}

fn is_of_serde(path: &Path) -> bool {
    OF_SERDE.iter().any(|case| path.file_stem().is_some_and(|stem| stem == *case))
}

fn is_of(path: &Path, kind: &str) -> bool {
    path.parent().is_some_and(|folder| folder.ends_with(kind))
}

fn snapshots() -> Vec<PathBuf> {
    let ui = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui");
    let kinds = fs::read_dir(ui).unwrap().map(|kind| kind.unwrap().path());
    let files = kinds.flat_map(|kind| fs::read_dir(kind).unwrap()).map(|file| file.unwrap().path());
    files.filter(|file| file.extension().is_some_and(|extension| extension == "stderr")).collect()
}

#[test]
fn the_derive_knows_the_limit_of_stored_names() {
    let limit = format!("more than {}", flowstate::MAX_NAME_LENGTH);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui/state/name_too_long.stderr");
    assert!(fs::read_to_string(path).unwrap().contains(&limit), "{limit}");
}
