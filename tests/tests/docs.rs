//! The documentation shows what the compiler prints.
//!
//! `BLESS=1 cargo test -p flowstate-tests --test docs` writes the messages into the page.
#![allow(missing_docs, reason = "a test has no readers of its documentation")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{env, fs};

use proc_macro2::{TokenStream, TokenTree};

const MARK: &str = "<!-- tests/ui/";

fn path(of: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(of)
}

/// The page with the present messages, and the present code where it is shown.
fn refreshed(page: &str) -> String {
    let mut out = String::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        out.push_str(line);
        out.push('\n');
        if let Some(case) = line.strip_prefix(MARK).and_then(|rest| rest.strip_suffix(" -->")) {
            out.push_str(&match case.strip_suffix(".rs") {
                Some(_) => code(case),
                None => message(case),
            });
            let _ = lines.find(|line| line.starts_with("```"));
            let _ = lines.find(|line| *line == "```");
        }
    }
    out
}

/// The code of a case from its derive on, with the numbers of the lines.
fn code(case: &str) -> String {
    let text = fs::read_to_string(path("ui").join(case)).expect(case);
    let lines = text.lines().enumerate().map(|(index, line)| format!("{:2} | {line}", index + 1));
    let lines = lines.skip_while(|line| !line.contains("#[derive("));
    let lines: Vec<_> = lines.take_while(|line| !line.contains("fn main() {}")).collect();
    let lines: Vec<_> = lines.iter().map(|line| line.trim_end()).collect();
    let end = lines.iter().rposition(|line| !line.ends_with('|')).map_or(0, |last| last + 1);
    format!("```text\n{}\n```\n", lines[..end].join("\n"))
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

/// What a message says whatever the names in it are: up to its first comma or colon.
fn shape(headline: &str) -> String {
    let said = headline.split_once(": ").map_or(headline, |(_, said)| said);
    let said = said.split(": ").next().and_then(|said| said.split(", ").next()).unwrap_or(said);
    let mut quoted = false;
    said.chars().fold(String::new(), |mut shape, c| {
        if !quoted || c == '`' {
            shape.push(c);
        }
        quoted ^= c == '`';
        shape
    })
}

fn headlines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| line.starts_with("error"))
}

/// The cases that are proofs, and not only a word in the wrong place.
fn proofs() -> Vec<PathBuf> {
    let files = |folder: &str| fs::read_dir(path("ui").join(folder)).expect(folder);
    let files =
        files("graph").chain(files("types")).chain(files("transition")).chain(files("step"));
    let files = files.map(|file| file.expect("a file").path());
    let is_proof = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_in = |kind: &str| path.parent().is_some_and(|folder| folder.ends_with(kind));
        let is_word = (is_in("transition") && !name.starts_with("after_"))
            || (is_in("step") && !name.starts_with("rule_"));
        name.ends_with(".stderr") && !is_word
    };
    files.filter(is_proof).collect()
}

#[test]
fn every_proof_is_on_the_page() {
    let page = fs::read_to_string(path("../docs/compile-time.md")).unwrap();
    let shown: Vec<String> = headlines(&page).map(shape).collect();
    for proof in proofs() {
        let text = fs::read_to_string(&proof).unwrap();
        // other codes are the compiler's own: a wrong type is shown once, a wrong name never
        let ours = |line: &&str| line.starts_with("error: ") || line.contains("[E0277]");
        for headline in headlines(&text).filter(ours) {
            assert!(shown.contains(&shape(headline)), "{}: {headline}", proof.display());
        }
    }
}

/// Every span and event that the sources tell is named in `docs/observing.md`.
#[test]
fn every_span_and_event_is_listed() {
    let page = fs::read_to_string(path("../docs/observing.md")).unwrap();
    let mut told = Vec::new();
    gather(&path("../flowstate-diesel/src"), &mut told);
    assert!(told.len() > 30, "few were found: {told:?}");
    let missing: Vec<_> = told.iter().filter(|told| !page.contains(&format!("`{told}`"))).collect();
    assert!(missing.is_empty(), "not in docs/observing.md: {missing:#?}");
}

/// Collects the names of spans and the messages of events below a folder.
fn gather(folder: &Path, told: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path();
        if file.is_dir() {
            gather(&file, told);
        } else if file.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&file).unwrap();
            calls(text.parse().expect("a source file"), told);
        }
    }
}

/// Collects what the calls `tracing::…!(…)` among these tokens tell: the text that stands by itself,
/// which no `=` precedes. One that a variable holds is the text of another call.
fn calls(tokens: TokenStream, told: &mut Vec<String>) {
    let tokens: Vec<_> = tokens.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        let TokenTree::Group(group) = token else { continue };
        let before: String =
            tokens[at.saturating_sub(5)..at].iter().map(ToString::to_string).collect();
        if before.starts_with("tracing::") && before.ends_with('!') {
            let args: Vec<_> = group.stream().into_iter().collect();
            let texts = args.iter().enumerate().filter_map(|(at, arg)| {
                let named = at > 0 && args[at - 1].to_string() == "=";
                let text = syn::parse_str::<syn::LitStr>(&arg.to_string()).ok()?.value();
                (!named && !text.starts_with('{')).then_some(text)
            });
            told.extend(texts);
        }
        calls(group.stream(), told);
    }
}

/// The metrics that the sources tell, each with its labels as `docs/observing.md` has them: the
/// requirement `what_is_counted_is_documented` holds the page against what is told.
fn metrics() -> BTreeMap<String, Vec<String>> {
    let page = fs::read_to_string(path("../docs/observing.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| `flowstate_"));
    let rows = rows.map(|row| {
        let cells: Vec<_> = row.trim_start_matches("| ").split(" | ").collect();
        let labels = cells[2].split(", ").map(|label| label.trim_matches('`').to_owned());
        (cells[0].trim_matches('`').to_owned(), labels.collect())
    });
    rows.collect()
}

/// The board and the rules ask for metrics that there are, by labels that they have.
#[test]
fn the_board_and_the_alerts_ask_for_what_is_told() {
    let metrics = metrics();
    let board = fs::read_to_string(path("../docs/grafana.json")).unwrap();
    let board: serde_json::Value = serde_json::from_str(&board).expect("the board is JSON");
    let panels = board["panels"].as_array().expect("panels").iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().expect("targets"));
    let asked = targets.map(|target| target["expr"].as_str().expect("a question").to_owned());
    let mut asked: Vec<_> = asked.collect();
    let rules = fs::read_to_string(path("../docs/alerts.yaml")).unwrap();
    let rules: Vec<_> =
        rules.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).collect();
    assert_eq!(rules.len(), 4, "four rules: {rules:?}");
    asked.extend(rules.into_iter().map(str::to_owned));
    let mut used = BTreeSet::new();
    for question in &asked {
        let words = question.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        let mut names = words.filter(|word| word.starts_with("flowstate_"));
        let name = names.next().unwrap_or_else(|| panic!("no metric: {question}"));
        let of_histogram = ["_bucket", "_count", "_sum"];
        let name = of_histogram.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        let labels = metrics.get(name).unwrap_or_else(|| panic!("`{name}` is not told"));
        let (_, by) = question.split_once("by (").expect("grouped");
        let by = by.split_once(')').expect("closed").0.split(", ");
        for label in by.filter(|label| *label != "le") {
            assert!(labels.iter().any(|known| known == label), "no `{label}`: {question}");
        }
        used.insert(name.to_owned());
    }
    assert_eq!(used, metrics.into_keys().collect(), "the board shows each");
}
