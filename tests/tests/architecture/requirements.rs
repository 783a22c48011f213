//! Every requirement is in the list, and every test that the failure matrix names is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{
    Arm, Expr, ExprClosure, ExprIf, ExprMatch, ExprReturn, File, Item, ItemFn, ReturnType,
    Visibility,
};

use crate::root;

/// The list: `keys::a30_same_key_makes_one_record`, `worker::claims::concurrency_is_kept`.
fn listed() -> BTreeSet<String> {
    lists("requirements", "conformance")
}

/// The tests in all `$name! { $database, flowstate_tests::require::worker; module: a b; }` of a
/// folder, with their modules.
fn lists(name: &str, folder: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(root().join("tests/tests").join(folder)).expect("a folder") {
        let text = fs::read_to_string(entry.expect("an entry").path()).expect("a source file");
        gather(name, text.parse().expect("Rust"), &mut found);
    }
    found
}

fn gather(name: &str, tokens: TokenStream, found: &mut BTreeSet<String>) {
    let mut before: Vec<String> = Vec::new();
    for token in tokens {
        let TokenTree::Group(group) = token else {
            before.push(token.to_string());
            continue;
        };
        let is_list = before.ends_with(&[name.to_owned(), "!".to_owned()]);
        let text = group.stream().to_string().replace(' ', "\n");
        if let (true, Some((room, rest))) = (is_list, text.split_once(';')) {
            let room: String = room.split_whitespace().collect();
            // the tests of one server have no room
            let room = room.split_once("require").map_or("", |(_, room)| room);
            let room = room.trim_start_matches("::");
            let room = if room.is_empty() { String::new() } else { format!("{room}::") };
            for module in rest.split(';').filter(|module| module.contains(':')) {
                let (module, tests) = module.split_once(':').expect("a module");
                let tests = tests.split_whitespace();
                found.extend(tests.map(|test| format!("{room}{}::{test}", module.trim())));
            }
        }
        gather(name, group.stream(), found);
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

/// The requirements, by their modules: each takes a database as a type and nothing else.
fn requirements() -> BTreeMap<String, ItemFn> {
    let is_one = |item: &ItemFn| {
        matches!(item.vis, Visibility::Public(_)) && item.sig.ident != "child_process"
    };
    tests_in("tests/src/require").filter(|(_, item)| is_one(item)).collect()
}

/// What may be a test under a folder: it takes nothing and returns nothing.
fn tests_in(folder: &'static str) -> impl Iterator<Item = (String, ItemFn)> {
    let functions = files(&root().join(folder), "").into_iter().flat_map(|(module, file)| {
        file.items.into_iter().filter_map(move |item| match item {
            Item::Fn(item) => Some((format!("{module}{}", item.sig.ident), item)),
            _ => None,
        })
    });
    functions.filter(|(_, item)| {
        item.sig.inputs.is_empty() && matches!(item.sig.output, ReturnType::Default)
    })
}

#[test]
fn every_requirement_is_in_the_list() {
    let (required, listed) = (requirements().into_keys().collect::<BTreeSet<_>>(), listed());
    assert!(required.len() > 100, "{required:?}");
    let left_out: Vec<_> = required.difference(&listed).collect();
    assert_eq!(left_out, [] as [&String; 0], "no `exercise!` runs them");
}

/// What lets a requirement be green where it tests nothing.
#[derive(Default)]
struct WaysOut {
    found: Vec<String>,
    in_closure: bool,
}

impl Visit<'_> for WaysOut {
    fn visit_expr_return(&mut self, _: &ExprReturn) {
        if !self.in_closure {
            self.found.push("it returns".to_owned());
        }
    }

    fn visit_expr_if(&mut self, branch: &ExprIf) {
        let condition = &branch.cond;
        let condition = quote::quote!(#condition).to_string();
        if branch.else_branch.is_none() && condition.contains("D ::") {
            self.found.push(format!("all or nothing if {condition}"));
        }
        visit::visit_expr_if(self, branch);
    }

    fn visit_expr_match(&mut self, choice: &ExprMatch) {
        let subject = &choice.expr;
        let is_empty = |arm: &Arm| match &*arm.body {
            Expr::Block(block) => block.block.stmts.is_empty(),
            Expr::Tuple(tuple) => tuple.elems.is_empty(),
            _ => false,
        };
        let subject = quote::quote!(#subject).to_string();
        if subject.contains("D ::") && choice.arms.iter().any(is_empty) {
            self.found.push(format!("nothing for some {subject}"));
        }
        visit::visit_expr_match(self, choice);
    }

    fn visit_expr_closure(&mut self, closure: &ExprClosure) {
        let outside = std::mem::replace(&mut self.in_closure, true);
        visit::visit_expr_closure(self, closure);
        self.in_closure = outside;
    }

    fn visit_item(&mut self, _: &Item) {}
}

/// A requirement that leaves early, or does nothing on one database, is green where it tests nothing:
/// it belongs into a section of the list.
#[test]
fn no_requirement_returns_before_it_begins() {
    let mut found = Vec::new();
    // those of one database are tests themselves, or are listed for its levels
    let of_one = ["tests/tests/sqlite", "tests/tests/postgres", "tests/tests/mysql"].map(tests_in);
    for (name, item) in requirements().into_iter().chain(of_one.into_iter().flatten()) {
        let mut ways = WaysOut::default();
        ways.visit_block(&item.block);
        found.extend(ways.found.into_iter().map(|way| format!("{name}: {way}")));
    }
    assert_eq!(found, [] as [String; 0]);
}

#[test]
fn every_way_out_is_seen() {
    for (text, ways) in [
        ("{ if D::IS_ISOLATED { return; } check(); }", 2),
        ("{ let conn = connect(); if conn.is_none() { return; } check(); }", 1),
        ("{ let Some(conn) = connect::<D>() else { return }; check(); }", 1),
        ("{ if D::FOLDER != \"sqlite\" { check(); } }", 1),
        ("{ for _ in 0..2 { if !D::IS_ISOLATED { check(); } } }", 1),
        ("{ match D::FOLDER { \"mysql\" => {} _ => check() } }", 1),
        ("{ match D::FOLDER { \"mysql\" | \"sqlite\" => (), _ => check() } }", 1),
        ("{ let all = if D::IS_ISOLATED { 2 } else { 6 }; check(all); }", 0),
        ("{ scope(|scope| { if D::IS_ISOLATED { check(); } }); }", 1),
        ("{ run(|seen| { if seen { return; } note(); }); check(); }", 0),
        ("{ match moved() { Err(Conflict) if D::FOLDER != \"sqlite\" => {} it => check(it) } }", 0),
    ] {
        let mut found = WaysOut::default();
        found.visit_block(&syn::parse_str(text).expect("a block"));
        assert_eq!(found.found.len(), ways, "{text}: {:?}", found.found);
    }
}

/// The tests of a file, also in modules in braces.
fn tests(items: &[Item], found: &mut BTreeSet<String>) {
    for item in items {
        match item {
            Item::Fn(item) if item.attrs.iter().any(|it| it.path().is_ident("test")) => {
                found.insert(item.sig.ident.to_string());
            }
            Item::Mod(item) => {
                tests(item.content.as_ref().map_or(&[], |(_, items)| items), found);
            }
            _ => {}
        }
    }
}

/// Each promise of the README names requirements: one, or those that begin so (`stale::a01_…`), or all of
/// a module (`hooks::…`).
#[test]
fn the_readme_promises_what_requirements_show() {
    let text = fs::read_to_string(root().join("README.md")).expect("the README");
    let (_, text) = text.split_once("\n## What it guarantees\n").expect("the promises");
    let (table, _) = text.split_once("\n## ").expect("an end");
    let listed = listed();
    let cells = table.lines().filter_map(|row| row.trim_end_matches(" |").rsplit_once(" | "));
    let names = cells.flat_map(|(_, cell)| cell.split('`').skip(1).step_by(2));
    let names: Vec<_> = names.filter(|name| name.contains("::")).collect();
    assert!(names.len() > 15, "{names:?}");
    let is_there = |name: &str| match name.strip_suffix('…') {
        Some(start) => listed.iter().any(|one| one.starts_with(start)),
        None => listed.contains(name) || name == "flowstate_diesel::audit",
    };
    let wrong: Vec<_> = names.into_iter().filter(|name| !is_there(name)).collect();
    assert_eq!(wrong, [] as [&str; 0], "no requirement is called so");
}

/// The failure matrix says of each row which tests show it, or why none does. A name of a test has
/// an underscore, and may begin with its module.
#[test]
fn the_failure_matrix_names_tests_that_are_there() {
    let last = |name: &str| name.rsplit("::").next().unwrap_or_default().to_owned();
    let servers = ["postgres", "mysql"].map(|server| lists("rows", server));
    let listed = servers.into_iter().flatten().chain(listed());
    let mut there: BTreeSet<_> = listed.map(|name| last(&name)).collect();
    for folder in ["tests/src", "tests/tests", "flowstate-diesel/src"] {
        for (_, file) in files(&root().join(folder), "") {
            tests(&file.items, &mut there);
        }
    }
    let text = fs::read_to_string(root().join("tests/failure-matrix.md")).expect("the matrix");
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.ends_with("| tests |"));
    let mut wrong = Vec::new();
    for row in rows {
        let cell = row.trim_end_matches(" |").rsplit(" | ").next().unwrap_or_default();
        let quoted: Vec<_> = cell.split('`').skip(1).step_by(2).collect();
        let is_told = cell.contains("none: ") || cell.contains("none yet: ");
        let missing = |name: &String| name.matches('_').count() > 1 && !there.contains(name);
        let missing: Vec<_> = quoted.iter().map(|name| last(name)).filter(missing).collect();
        if !missing.is_empty() || quoted.is_empty() && !is_told {
            wrong.push(format!("{missing:?} in {row}"));
        }
    }
    assert_eq!(wrong, [] as [String; 0]);
}
