//! Every mistake, as the compiler tells it: `tests/ui/<kind of mistake>/`.
//!
//! `TRYBUILD=overwrite cargo test -p flowstate-tests --test ui` writes the snapshots anew; look at
//! each before you keep it.
#![allow(missing_docs, reason = "a test has no readers of its documentation")]

use std::fs;
use std::path::{Path, PathBuf};

const KINDS: [&str; 14] = [
    "cascade",
    "completed",
    "graph",
    "group",
    "initial",
    "lock",
    "options",
    "persist",
    "shape",
    "state",
    "step",
    "together",
    "transition",
    "types",
];

#[test]
fn mistakes_are_explained() {
    copy_locks();
    let cases = trybuild::TestCases::new();
    for kind in KINDS {
        cases.compile_fail(format!("ui/{kind}/*.rs"));
    }
}

/// Lock files are beside the manifest of the crate that is compiled, which trybuild makes.
fn copy_locks() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let made = target.join("tests/trybuild").join(env!("CARGO_PKG_NAME")).join("ui/lock");
    fs::create_dir_all(&made).unwrap();
    for file in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("ui/lock")).unwrap() {
        let file = file.unwrap().path();
        if file.extension().is_some_and(|extension| extension == "flow") {
            fs::copy(&file, made.join(file.file_name().unwrap())).unwrap();
        }
    }
}

/// Where the compiler says more than once what is wrong, and how often: of bounds that serde's
/// traits and derives bring, and of impls for a type that is not what it seems.
const SEVERAL: [(&str, usize); 8] = [
    ("artefact_not_serializable", 3),
    ("existing_artefact_declared_anew", 2),
    ("existing_artefact_not_serializable", 2),
    ("existing_record", 5),
    ("field_not_serializable", 4),
    ("flow_without_serde", 2),
    ("one_type_under_two_names", 3),
    ("two_flows_with_one_artefact", 4),
];

#[test]
fn one_mistake_is_one_error() {
    let snapshots = snapshots();
    assert!(snapshots.len() >= 200, "{} snapshots", snapshots.len());
    for (name, _) in SEVERAL {
        let is_it = |path: &PathBuf| path.file_stem().is_some_and(|stem| stem == name);
        assert!(snapshots.iter().any(is_it), "there is no {name}");
    }
    for path in snapshots.iter().filter(|path| !is_of(path, "together")) {
        let text = fs::read_to_string(path).unwrap();
        let errors = text.lines().filter(|line| line.starts_with("error")).count();
        assert_eq!(errors, expected(path).unwrap_or(1), "{}", path.display());
        assert!(!text.contains("warning"), "{}", path.display());
    }
}

#[test]
fn messages_speak_of_the_names_that_users_write() {
    for path in snapshots() {
        let text = fs::read_to_string(&path).unwrap();
        for headline in text.lines().filter(|line| line.starts_with("error")) {
            assert!(
                !["states_of_", "transitions_of_"].iter().any(|module| headline.contains(module)),
                "{}: {headline}",
                path.display()
            );
            // what the compiler finds by itself has notes of its own
            let is_ours = headline.starts_with("error: ");
            assert!(!is_ours || headline.contains('`'), "{}: {headline}", path.display());
        }
    }
}

#[test]
fn mistakes_are_on_a_token() {
    // the compiler marks the derive itself if there is no token to show
    for path in snapshots().iter().filter(|path| expected(path).is_none()) {
        let text = fs::read_to_string(path).unwrap();
        let lines: Vec<_> = text.lines().collect();
        let marked = lines.windows(2).find(|pair| pair[1].contains('^')).map(|pair| pair[0]);
        assert!(marked.is_some_and(|line| !line.contains("derive(Flow")), "{}", path.display());
    }
}

fn expected(path: &Path) -> Option<usize> {
    let stem = path.file_stem()?;
    SEVERAL.iter().find(|(case, _)| stem == *case).map(|(_, errors)| *errors)
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
