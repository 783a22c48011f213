//! No circle between files, and rooms only downwards.

use std::collections::{BTreeMap, BTreeSet};

use crate::imports::{Crate, Path};
use crate::{PACKAGES, none, root};

/// The rooms of `flowstate-diesel`: each uses only those below it.
pub(crate) const TOWER: [&str; 9] = [
    "worker",
    "operator",
    "store",
    "transition",
    "transaction",
    "dialect",
    "text",
    "unwind",
    "error",
];

/// The circles that there are.
const KNOWN: [&str; 1] = ["flowstate: {__private, artefact, flow, record}"];

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
pub(crate) fn upward(found: &Crate) -> Vec<String> {
    let floor = |path: &Path| TOWER.iter().position(|room| path.first().is_some_and(|p| p == room));
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
    let found = PACKAGES.iter().flat_map(|package| {
        let circles = circles(&of(package)).into_iter();
        circles.map(move |circle| (format!("{package}: {}", circle.name), circle.arrows))
    });
    let (names, arrows): (Vec<_>, Vec<_>) = found.unzip();
    assert_eq!(names, KNOWN, "data down, behaviour above: {arrows:#?}");
}

#[test]
fn lower_rooms_never_use_upper_ones() {
    let found = of("flowstate-diesel");
    for path in found.files() {
        let room = path.first().map_or("worker", String::as_str);
        assert!(TOWER.contains(&room), "`{room}` has no place in the tower");
    }
    none(upward(&found).into_iter(), &TOWER.join(" → "));
}

#[test]
fn all_that_a_file_uses_is_named() {
    none(PACKAGES.into_iter().flat_map(|package| of(package).globs()), "no `*` of one's own");
}
