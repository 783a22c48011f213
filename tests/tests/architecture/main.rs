//! What ARCHITECTURE.md says is never so. Each test is a line of its NEVER list.

mod arrows;
mod fixture;
mod imports;
mod requirements;

use std::fs;
use std::path::{Path, PathBuf};

const PACKAGES: [&str; 4] = ["flowstate", "flowstate-derive", "flowstate-diesel", "flowstate-ops"];

/// A source file of a published crate.
struct Source {
    /// Such as `flowstate-diesel/src/dialect/sql/shared.rs`.
    path: String,
    lines: usize,
    /// Without comments and without its unit tests, each line with its number.
    code: Vec<(usize, String)>,
}

impl Source {
    fn is_under(&self, places: &[&str]) -> bool {
        places.iter().any(|place| self.path.starts_with(place))
    }

    fn says(&self, texts: &[&str]) -> impl Iterator<Item = String> {
        let says = |line: &str| texts.iter().any(|text| line.contains(text));
        self.code
            .iter()
            .filter(move |(_, line)| says(line))
            .map(|(number, line)| format!("{}:{number}: {}", self.path, line.trim()))
    }
}

#[test]
fn flowstate_never_depends_on_diesel() {
    assert_eq!(dependencies("flowstate"), ["chrono", "flowstate-derive", "serde", "serde_json"]);
    assert_eq!(dependencies("flowstate-derive"), ["proc-macro2", "quote", "syn"]);
}

#[test]
fn flowstate_never_does_io_or_starts_threads() {
    let found = sources("flowstate");
    // the test that keeps a lock file current
    let files = ["flowstate/src/lock/check.rs", "flowstate/src/lock/samples.rs"];
    let found = found.iter().filter(|source| !files.contains(&&*source.path));
    let found = found.flat_map(|source| {
        source.says(&["std::fs", "std::io", "std::net", "std::thread", "std::env", "println!"])
    });
    none(found, "the core crate is types and pure checks");
}

#[test]
fn an_error_is_never_told_without_its_causes() {
    let found = sources("flowstate-diesel");
    let found = found.iter().flat_map(|source| source.says(&["%error", "?error,", "error = %"]));
    none(found, "what the database said stands in the causes: tell `chain(&error)`");
}

#[test]
fn a_lock_file_is_never_read_in_two_ways() {
    let read = |krate: &str| {
        fs::read_to_string(root().join(krate).join("src/lock/format.rs")).expect("a file")
    };
    assert_eq!(read("flowstate"), read("flowstate-derive"));
}

/// Where SQL stands.
const SQL_PLACES: &[&str] = &[
    "flowstate-diesel/src/dialect/",
    "flowstate-diesel/src/store/audit.rs",
    "flowstate-diesel/src/store/migrate.rs",
    "flowstate-diesel/src/store/flow_store.rs",
    "flowstate-diesel/src/store/sqlite.rs", // the pragmas of a connection
    "flowstate-ops/src/database.rs",        // how the command opens a file
];

#[test]
fn sql_never_stands_outside_its_places() {
    let words = [
        "SELECT ",
        "INSERT ",
        "UPDATE ",
        "DELETE FROM",
        " WHERE ",
        "CREATE TABLE",
        "PRAGMA ",
        "\"BEGIN",
        "\"COMMIT",
        "\"ROLLBACK",
        "\"SET ",
    ];
    let found = all_sources();
    let found = found.iter().filter(|source| !source.is_under(SQL_PLACES));
    none(found.flat_map(|source| source.says(&words)), "SQL belongs into the dialects");
}

/// A database in LATIN1 refuses what it cannot hold, in a comment too.
#[test]
fn sql_never_has_a_sign_that_is_not_ascii() {
    let mut found = Vec::new();
    for folder in ["sqlite", "postgresql", "mysql"] {
        let versions = fs::read_dir(root().join("migrations").join(folder)).expect("migrations");
        for version in versions {
            for file in ["up.sql", "down.sql"] {
                let path = version.as_ref().expect("a folder").path().join(file);
                let text = fs::read_to_string(&path).expect("a migration");
                let wrong = text.lines().filter(|line| !line.is_ascii());
                found.extend(wrong.map(|line| format!("{}: {line}", path.display())));
            }
        }
    }
    assert_eq!(found, [] as [String; 0]);
    let sources = all_sources();
    let found = sources.iter().filter(|source| source.is_under(SQL_PLACES)).flat_map(|source| {
        let wrong = source.code.iter().filter(|(_, line)| !line.is_ascii());
        wrong.map(|(number, line)| format!("{}:{number}: {line}", source.path))
    });
    none(found, "not every database can hold it");
}

#[test]
fn databases_are_never_told_apart_outside_the_dialects() {
    let places = [
        "flowstate-diesel/src/dialect/",
        "flowstate-diesel/src/lib.rs",                    // the prelude
        "flowstate-diesel/src/store/mod.rs",              // modules
        "flowstate-diesel/src/transaction/instrument.rs", // reads a private type of Diesel off any connection
    ];
    let words =
        ["feature = \"sqlite\"", "feature = \"postgres\"", "feature = \"mysql\"", "DATABASE =="];
    let found = sources("flowstate-diesel");
    let found = found.iter().filter(|source| !source.is_under(&places));
    none(found.flat_map(|source| source.says(&words)), "what differs is a method of `Dialect`");
}

#[test]
fn nothing_is_ever_unwrapped() {
    let words = [".unwrap()", ".expect(", "panic!(", "todo!(", "unimplemented!("];
    let found = all_sources();
    none(
        found.iter().flat_map(|source| source.says(&words)),
        "stored data and callers may be wrong",
    );
}

#[test]
fn generated_code_never_names_other_crates() {
    let found = sources("flowstate-derive");
    let found = found.iter().filter(|source| source.path.contains("/expand/"));
    let found = found.flat_map(|source| {
        let foreign = |line: &&(usize, String)| roots(&line.1).any(|root| root != "core");
        source
            .code
            .iter()
            .filter(foreign)
            .map(|(number, line)| format!("{}:{number}: {line}", source.path))
    });
    none(found, "`::core` and the path of flowstate, which may be renamed");
}

#[test]
fn no_file_ever_has_two_purposes() {
    let found = all_sources();
    let found = found.iter().filter(|source| source.lines > 400);
    none(found.map(|source| format!("{}: {} lines", source.path, source.lines)), "at most 400");
}

/// A comment is understood by somebody who reads nothing but it.
#[test]
fn a_comment_never_leans_on_the_one_before() {
    let opening = ["/// The same", "//! The same", "/// As above", "/// See above"];
    let mut found = Vec::new();
    for folder in PACKAGES.into_iter().chain(["tests", "bench", "examples"]) {
        let mut files = Vec::new();
        rust_files(&root().join(folder), &mut files);
        assert!(!files.is_empty(), "{folder}");
        for path in files {
            let text = fs::read_to_string(&path).expect("a source file");
            let leans = |line: &&str| opening.iter().any(|it| line.trim_start().starts_with(it));
            found.extend(
                text.lines().filter(leans).map(|line| format!("{}: {line}", path.display())),
            );
        }
    }
    none(found.into_iter(), "say what it is");
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.ends_with("target") {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// A newcomer finds a file by the tree in ARCHITECTURE.md.
#[test]
fn no_file_is_ever_left_out_of_the_map() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("the map");
    let (_, tree) = text.split_once("```text\nsrc/\n").expect("the tree");
    let (tree, _) = tree.split_once("```").expect("an end");
    let words: Vec<_> = tree.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
    let found = sources("flowstate-diesel");
    let names = found.iter().filter_map(|source| {
        let name = Path::new(&source.path).file_stem()?.to_str()?;
        (!words.contains(&name)).then(|| source.path.clone())
    });
    none(names, "its tree has the others");
}

/// The first names of absolute paths: `core` in `::core::option::Option`.
fn roots(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("::").filter_map(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + 2..]);
        let continues = before.ends_with(|c: char| c.is_alphanumeric() || "_>:})".contains(c));
        let end = after.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(after.len());
        (!continues && end > 0).then_some(&after[..end])
    })
}

/// The names under `[dependencies]` in a manifest.
fn dependencies(package: &str) -> Vec<String> {
    let manifest = fs::read_to_string(root().join(package).join("Cargo.toml")).expect("a manifest");
    let (_, rest) = manifest.split_once("[dependencies]\n").expect("dependencies");
    let names = rest.lines().take_while(|line| !line.starts_with('['));
    let names =
        names.filter_map(|line| line.split_once(['.', ' ']).map(|(name, _)| name.to_owned()));
    names.collect()
}

fn all_sources() -> Vec<Source> {
    PACKAGES.into_iter().flat_map(sources).collect()
}

fn sources(package: &str) -> Vec<Source> {
    let mut found = Vec::new();
    gather(&root().join(package).join("src"), &mut found);
    assert!(!found.is_empty(), "no sources in {package}");
    found
}

fn gather(folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let is_test = path.file_stem().is_some_and(|stem| stem == "tests");
        if path.is_dir() && !is_test {
            gather(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test {
            found.push(read(&path));
        }
    }
}

fn read(path: &Path) -> Source {
    let text = fs::read_to_string(path).expect("a source file");
    let code = text.lines().enumerate().map(|(index, line)| (index + 1, line.to_owned()));
    let code = code.take_while(|(_, line)| line.trim() != "mod tests {");
    let code = code.filter(|(_, line)| !line.trim_start().starts_with("//"));
    let short = path.strip_prefix(root()).expect("in the workspace");
    let short = short.display().to_string().replace('\\', "/");
    Source { path: short, lines: text.lines().count(), code: code.collect() }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace").to_owned()
}

fn none(found: impl Iterator<Item = String>, rule: &str) {
    let found: Vec<_> = found.collect();
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}
