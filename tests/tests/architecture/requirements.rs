//! Every requirement is in the list, and every test that the failure matrix names is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use syn::{File, Item, ReturnType, Visibility};

use crate::root;

/// The list: `keys::a30_same_key_makes_one_record`, `worker::claims::concurrency_is_kept`.
fn listed() -> BTreeSet<String> {
    let text = root().join("tests/tests/conformance/main.rs");
    let tokens = fs::read_to_string(text).expect("the list").parse().expect("Rust");
    let mut found = BTreeSet::new();
    lists(tokens, &mut found);
    found
}

/// Of each `requirements! { $database, flowstate_tests::require::worker; module: a b; }` its tests.
fn lists(tokens: TokenStream, found: &mut BTreeSet<String>) {
    let mut before: Vec<String> = Vec::new();
    for token in tokens {
        let TokenTree::Group(group) = token else {
            before.push(token.to_string());
            continue;
        };
        let is_list = before.ends_with(&["requirements".to_owned(), "!".to_owned()]);
        let text = group.stream().to_string().replace(' ', "\n");
        if let (true, Some((room, rest))) = (is_list, text.split_once(';')) {
            let is_worker = room.trim_end().ends_with("worker");
            let room = if is_worker { "worker::" } else { "" };
            for module in rest.split(';').filter(|module| module.contains(':')) {
                let (module, tests) = module.split_once(':').expect("a module");
                let tests = tests.split_whitespace();
                found.extend(tests.map(|test| format!("{room}{}::{test}", module.trim())));
            }
        }
        lists(group.stream(), found);
    }
}

/// Each source file under a folder, with its module: `worker::claims`.
fn files(folder: &Path, module: &str) -> Vec<(String, File)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let below = match &*name {
            "mod" | "lib" | "main" => module.to_owned(),
            _ => format!("{module}{name}::"),
        };
        if path.is_dir() {
            found.extend(files(&path, &below));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source file");
            found.push((below, syn::parse_file(&text).expect("Rust")));
        }
    }
    found
}

/// A requirement takes a database as a type and nothing else.
fn requirements() -> BTreeSet<String> {
    let files = files(&root().join("tests/src/require"), "");
    let functions = files.iter().flat_map(|(module, file)| {
        file.items.iter().filter_map(move |item| match item {
            Item::Fn(item) => Some((module, item)),
            _ => None,
        })
    });
    let public = functions.filter(|(_, item)| {
        matches!(item.vis, Visibility::Public(_))
            && item.sig.inputs.is_empty()
            && matches!(item.sig.output, ReturnType::Default)
            && item.sig.ident != "child_process"
    });
    public.map(|(module, item)| format!("{module}{}", item.sig.ident)).collect()
}

#[test]
fn every_requirement_is_in_the_list() {
    let (required, listed) = (requirements(), listed());
    assert!(required.len() > 100, "{required:?}");
    let left_out: Vec<_> = required.difference(&listed).collect();
    assert_eq!(left_out, [] as [&String; 0], "no `exercise!` runs them");
}

/// A requirement that begins with a way out is green where it tests nothing: it belongs into a
/// section of the list.
#[test]
fn no_requirement_returns_before_it_begins() {
    let mut found = Vec::new();
    for (module, file) in files(&root().join("tests/src/require"), "") {
        for item in file.items {
            let Item::Fn(item) = item else { continue };
            let is_way_out = |statement: &&syn::Stmt| match statement {
                syn::Stmt::Expr(syn::Expr::If(branch), _) => {
                    let first = branch.then_branch.stmts.first();
                    let ends = matches!(
                        first,
                        Some(syn::Stmt::Expr(syn::Expr::Return(way), _)) if way.expr.is_none()
                    );
                    let condition = &branch.cond;
                    ends && quote::quote!(#condition).to_string().contains("D ::")
                }
                _ => false,
            };
            if item.block.stmts.iter().any(|statement| is_way_out(&statement)) {
                found.push(format!("{module}{}", item.sig.ident));
            }
        }
    }
    assert_eq!(found, [] as [String; 0]);
}

/// All functions of a file, also in modules in braces.
fn functions(items: &[Item], found: &mut BTreeSet<String>) {
    for item in items {
        match item {
            Item::Fn(item) => _ = found.insert(item.sig.ident.to_string()),
            Item::Mod(item) => {
                functions(item.content.as_ref().map_or(&[], |(_, items)| items), found);
            }
            _ => {}
        }
    }
}

/// The failure matrix says of each row which tests show it, or why none does. A name of a test has
/// an underscore, and may begin with its module.
#[test]
fn the_failure_matrix_names_tests_that_are_there() {
    let mut there = BTreeSet::new();
    for folder in ["tests/src", "tests/tests", "flowstate-diesel/src"] {
        for (_, file) in files(&root().join(folder), "") {
            functions(&file.items, &mut there);
        }
    }
    let text = fs::read_to_string(root().join("tests/failure-matrix.md")).expect("the matrix");
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.ends_with("| tests |"));
    let mut wrong = Vec::new();
    for row in rows {
        let last = row.trim_end_matches(" |").rsplit(" | ").next().unwrap_or_default();
        let quoted: Vec<_> = last.split('`').skip(1).step_by(2).collect();
        let is_told = last.contains("none: ") || last.contains("none yet: ");
        let name = |quoted: &&str| quoted.rsplit("::").next().unwrap_or_default().to_owned();
        let missing = |name: &String| name.matches('_').count() > 1 && !there.contains(name);
        let missing: Vec<_> = quoted.iter().map(name).filter(missing).collect();
        if !missing.is_empty() || quoted.is_empty() && !is_told {
            wrong.push(format!("{missing:?} in {row}"));
        }
    }
    assert_eq!(wrong, [] as [String; 0]);
}
