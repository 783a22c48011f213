//! No circle between files, and rooms only downwards.

use std::collections::{BTreeMap, BTreeSet};

use crate::imports::{Crate, Path};
use crate::{PACKAGES, none, root};

/// The rooms of each crate: each uses only those below it.
pub(crate) const TOWERS: [(&str, &[&str]); 4] = [
    (
        "flowstate",
        &[
            "serve",
            "claim",
            "step",
            "__private",
            "lock",
            "label",
            "transition",
            "flow",
            "diagram",
            "definition",
            "derived",
            "policy",
            "backoff",
            "step_error",
        ],
    ),
    ("flowstate-derive", &["expand", "lock", "graph", "model", "attr", "name", "errors"]),
    (
        "flowstate-diesel",
        &[
            "worker",
            "operator",
            "store",
            "transition",
            "transaction",
            "dialect",
            "text",
            "metrics",
            "unwind",
            "error",
        ],
    ),
    ("flowstate-ops", &["main", "database", "dashboard", "command", "diagram"]),
];

/// What lies under one folder and uses each other.
pub(crate) struct Circle {
    /// Such as `a::{b, c}`. A file with all that is below it counts as one.
    pub(crate) name: String,
    /// The arrows between the files in it.
    arrows: Vec<String>,
}

/// All circles. A module and its own children make none.
pub(crate) fn circles(found: &Crate) -> Vec<Circle> {
    let mut levels: BTreeMap<Path, BTreeMap<(String, String), Vec<String>>> = BTreeMap::new();
    for (from, to) in found.arrows() {
        let common = from.iter().zip(&to).take_while(|(from, to)| from == to).count();
        let arrows = levels.entry(from[..common].to_vec()).or_default();
        let between = arrows.entry((from[common].clone(), to[common].clone())).or_default();
        between.push(arrow(&from, &to));
    }
    levels.iter().flat_map(|(level, arrows)| circles_of(level, arrows)).collect()
}

fn circles_of(level: &Path, arrows: &BTreeMap<(String, String), Vec<String>>) -> Vec<Circle> {
    let within = if level.is_empty() { String::new() } else { level.join("::") + "::" };
    let arrow_ends: BTreeSet<_> = arrows.keys().cloned().collect();
    let mut left: BTreeSet<_> = arrows.keys().map(|(from, _)| from).collect();
    let mut circles = Vec::new();
    while let Some(one) = left.pop_first() {
        let mut members = reached(one, &arrow_ends);
        members.retain(|other| reached(other, &arrow_ends).contains(one));
        left.retain(|other| !members.contains(*other));
        if members.is_empty() {
            continue;
        }
        let inside =
            arrows.iter().filter(|((from, to), _)| members.contains(from) && members.contains(to));
        circles.push(Circle {
            arrows: inside.flat_map(|(_, arrows)| arrows.clone()).collect(),
            name: format!("{within}{{{}}}", members.into_iter().collect::<Vec<_>>().join(", ")),
        });
    }
    circles
}

/// All that one gets to from here.
fn reached(from: &str, arrows: &BTreeSet<(String, String)>) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut next = vec![from.to_owned()];
    while let Some(one) = next.pop() {
        let to = arrows.iter().filter(|(from, _)| *from == one).map(|(_, to)| to);
        next.extend(to.filter(|to| reached.insert((*to).clone())).cloned());
    }
    reached
}

/// Arrows from a room to one above it.
pub(crate) fn upward(found: &Crate, tower: &[&str]) -> Vec<String> {
    let floor = |path: &Path| tower.iter().position(|room| path.first().is_some_and(|p| p == room));
    let arrows = found.arrows().into_iter().filter(|(from, to)| floor(to) < floor(from));
    arrows.map(|(from, to)| arrow(&from, &to)).collect()
}

fn arrow(from: &Path, to: &Path) -> String {
    format!("{} -> {}", from.join("::"), to.join("::"))
}

fn of(package: &str) -> Crate {
    Crate::read(&root().join(package).join("src"))
}

#[test]
fn no_circle_is_ever_closed() {
    let found = PACKAGES.into_iter().flat_map(|package| {
        let circles = circles(&of(package)).into_iter();
        circles.map(move |Circle { name, arrows }| format!("{package}: {name}: {arrows:#?}"))
    });
    none(found, "data down, behaviour above");
}

#[test]
fn lower_rooms_never_use_upper_ones() {
    for (package, tower) in TOWERS {
        let found = of(package);
        for room in found.files().into_iter().filter_map(|path| path.first()) {
            assert!(tower.contains(&&**room), "`{room}` has no place in the tower of {package}");
        }
        none(upward(&found, tower).into_iter(), &tower.join(" → "));
    }
}

#[test]
fn all_that_a_file_uses_is_named() {
    none(PACKAGES.into_iter().flat_map(|package| of(package).globs()), "no `*` of one's own");
}
