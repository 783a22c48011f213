//! The tests of the tests: a small tree is right, until a wrong import is added.

use std::fs;

use crate::arrows::{circles, upward};
use crate::imports::Crate;

const TOWER: [&str; 4] = ["worker", "transaction", "dialect", "error"];

/// The tree. Each file uses what is below it, a module and its children each other.
const RIGHT: [(&str, &str); 9] = [
    (
        "lib.rs",
        "mod dialect; mod error; mod transaction; mod worker; pub use worker::engine::Engine;
         pub(crate) use error::{self as failure, Error as Failure}; pub use derive::Engine;",
    ),
    ("worker/mod.rs", "pub mod claim; pub mod engine; pub use engine::Engine; pub struct Worker;"),
    (
        "worker/engine.rs",
        "use super::{Worker, claim::Claim}; use crate::transaction::{self, open::Open};
         pub struct Engine; fn run() { log::info!(\"{}\", transaction::open::open()); }",
    ),
    ("worker/claim.rs", "use crate::{Failure, dialect}; pub struct Claim;"),
    ("transaction/mod.rs", "pub mod open; pub mod retry; use retry::Retry;"),
    ("transaction/open.rs", "use super::retry::Retry; pub struct Open;"),
    ("transaction/retry.rs", "use crate::dialect; pub struct Retry;"),
    // neither in a comment nor in a string nor in a unit test
    (
        "dialect.rs",
        "// crate::worker\n const TEXT: &str = \"crate::worker\"; use crate::failure;
         #[cfg(test)] mod tests { use crate::worker::Worker; use super::*; }
         #[cfg(test)] use crate::worker::claim; use ::worker::Worker as Other;",
    ),
    ("error.rs", "pub struct Error;"),
];

/// Circles and upward arrows of the tree with an addition to one of its files.
fn found(file: &str, addition: &str) -> (Vec<String>, Vec<String>) {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in RIGHT {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
        let addition = if name == file { addition } else { "" };
        fs::write(&path, format!("{text}\n{addition}")).expect("the file");
    }
    let found = Crate::read(folder.path());
    assert_eq!(found.globs().len(), usize::from(addition.contains('*')), "{addition}");
    (circles(&found).into_iter().map(|circle| circle.name).collect(), upward(&found, &TOWER))
}

#[test]
fn the_tree_is_right() {
    assert_eq!(found("", ""), (vec![], vec![]));
}

/// An import that runs upwards, in each of the ways in which it can be written.
#[test]
fn an_upward_import_is_seen() {
    let circle = "{dialect, transaction, worker}".to_owned();
    let up = |to: &str| (vec![circle.clone()], vec![format!("dialect -> {to}")]);
    for (addition, to) in [
        ("use crate::worker::Worker;", "worker"),
        ("use crate::{error::Error, worker::{engine::{self}}};", "worker::engine"),
        ("use super::worker::claim as hold;", "worker::claim"),
        ("fn run() -> crate::worker::claim::Claim { todo() }", "worker::claim"),
        ("fn run() { let _ = super::worker::claim::Claim; }", "worker::claim"),
        // through what others bring into scope
        ("use crate::Engine;", "worker::engine"),
        ("use crate::worker::Engine;", "worker::engine"),
        ("fn run(_: crate::Engine) {}", "worker::engine"),
        // in a module in braces, in a function, in a macro, in an attribute
        ("mod inner { use super::super::worker::Worker; }", "worker"),
        ("fn run() { use crate::worker::Worker; }", "worker"),
        ("fn run() { vec![1, crate::worker::claim::N]; }", "worker::claim"),
        ("macro_rules! run { () => { $crate::worker::claim::N } }", "worker::claim"),
        ("list! { use crate::{worker::{claim::Claim}}; }", "worker::claim"),
        ("#[diesel(with = crate::worker::claim)] struct Row;", "worker::claim"),
    ] {
        assert_eq!(found("dialect.rs", addition), up(to), "{addition}");
    }
}

/// A circle of two files, of three, of a file and a folder, and none of a module and its child.
#[test]
fn a_circle_is_seen() {
    for (file, addition, circle) in [
        ("transaction/retry.rs", "use super::open::Open;", "transaction::{open, retry}"),
        ("error.rs", "use crate::dialect::TEXT;", "{dialect, error}"),
        ("dialect.rs", "use crate::transaction;", "{dialect, transaction}"),
        ("error.rs", "use crate::transaction::open;", "{dialect, error, transaction}"),
        ("transaction/mod.rs", "use open::Open;", ""),
        ("transaction/open.rs", "use super::Retry;", ""),
    ] {
        let expected = if circle.is_empty() { vec![] } else { vec![circle.to_owned()] };
        assert_eq!(found(file, addition).0, expected, "{file}: {addition}");
    }
}

#[test]
fn what_hides_its_names_is_seen() {
    assert_eq!(found("error.rs", "use crate::text::*;"), (vec![], vec![]));
    found("dialect.rs", "pub use crate::error::*;");
}
