//! The graph of a flow as a picture, with the counts in its states.

use std::collections::{BTreeMap, VecDeque};

use maud::{Markup, html};

use crate::operator::{Graph, GraphState};

const WIDE: usize = 150;
const HIGH: usize = 46;
const GAP_X: usize = 60;
const GAP_Y: usize = 26;

/// How many records are in a state, as text.
pub(super) type Counts = BTreeMap<String, String>;

/// Draws it: a column for each step from the beginning. `here` is the state that is marked.
pub(super) fn picture(graph: &Graph, counts: &Counts, here: Option<&str>) -> Markup {
    let places = places(graph);
    let columns = places.iter().map(|(column, _)| column + 1).max().unwrap_or(1);
    let rows = places.iter().map(|(_, row)| row + 1).max().unwrap_or(1);
    let (width, height) = (columns * (WIDE + GAP_X), rows * (HIGH + GAP_Y) + GAP_Y);
    let said = match here {
        Some(here) => format!("The states of {}: the record is in {here}", graph.flow),
        None => {
            format!("The states of {}; the tables beside have them and their numbers", graph.flow)
        }
    };
    let at = |name: &str| {
        let found = graph.states.iter().position(|state| state.name == name);
        found.map(|found| places[found])
    };
    html! {
        div.scroll role="region" aria-label="Picture" tabindex="0" {
            svg viewBox={ "0 0 " (width) " " (height) } width=(width) height=(height) role="img"
                aria-label=(said) {
                defs {
                    marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"
                        orient="auto" { path d="M0 0L8 4L0 8z" {} }
                }
                @for edge in &graph.transitions {
                    @for from in &edge.from {
                        @if let (Some(from), Some(to)) = (at(from), at(&edge.to)) {
                            path d=(curve(from, to)) marker-end="url(#tip)" { title { (edge.name) } }
                        }
                    }
                }
                @for (state, place) in graph.states.iter().zip(&places) {
                    (self::state(state, *place, counts.get(&state.name), here == Some(&state.name)))
                }
            }
        }
    }
}

fn state(state: &GraphState, place: (usize, usize), count: Option<&String>, here: bool) -> Markup {
    let (x, y) = corner(place);
    // by more than a colour: an error has a broken line, an end is round
    let (kind, line, round) = match (state.error, state.completed) {
        (true, _) => ("error", Some("6 3"), "8"),
        (_, true) => ("done", None, "23"),
        _ => ("", None, "8"),
    };
    // a longer one is cut; its whole name is in the title
    let name: String = state.name.chars().take(19).collect();
    let middle = if count.is_some() { 19 } else { 28 };
    html! {
        g class={ (kind) @if here { " here" } } {
            title { (state.name) @if !state.doc.is_empty() { ": " (state.doc) } }
            rect x=(x) y=(y) width=(WIDE) height=(HIGH) rx=(round) stroke-dasharray=[line] {}
            text x=(x + 10) y=(y + middle) { (name) }
            @if let Some(count) = count { text.count x=(x + 10) y=(y + 37) { (count) } }
        }
    }
}

fn corner((column, row): (usize, usize)) -> (usize, usize) {
    (10 + column * (WIDE + GAP_X), GAP_Y + row * (HIGH + GAP_Y))
}

/// From the right of one state to the left of a later one; back below, or above, of it.
fn curve(from: (usize, usize), to: (usize, usize)) -> String {
    let ((x, y), (to_x, to_y)) = (corner(from), corner(to));
    if to.0 > from.0 {
        let (start, middle, end) = (x + WIDE, y + HIGH / 2, to_y + HIGH / 2);
        let bend = (to_x - start) / 2;
        return format!(
            "M{start} {middle}C{} {middle} {} {end} {to_x} {end}",
            start + bend,
            to_x - bend
        );
    }
    let (start, end) = (x + WIDE / 2 + 12, to_x + WIDE / 2 - 12);
    let (below, above) = (y + HIGH, to_y);
    if to.1 > from.1 {
        return format!(
            "M{start} {below}C{start} {} {end} {} {end} {above}",
            below + 14,
            above - 14
        );
    }
    let (top, bottom) = (y, to_y + HIGH);
    if to.1 < from.1 {
        return format!("M{start} {top}C{start} {} {end} {} {end} {bottom}", top - 14, bottom + 14);
    }
    let over = y.saturating_sub(20);
    format!("M{start} {y}C{start} {over} {end} {over} {end} {to_y}")
}

/// The column and the row of each state: how far it is from the beginning, and which of those it is.
fn places(graph: &Graph) -> Vec<(usize, usize)> {
    let position = |name: &str| graph.states.iter().position(|state| state.name == name);
    let mut columns: Vec<Option<usize>> = vec![None; graph.states.len()];
    let mut next = VecDeque::new();
    if let Some(initial) = position(&graph.initial) {
        columns[initial] = Some(0);
        next.push_back((initial, 0));
    }
    while let Some((state, column)) = next.pop_front() {
        for edge in graph.leaving(&graph.states[state].name) {
            if let Some(to) = position(&edge.to).filter(|to| columns[*to].is_none()) {
                columns[to] = Some(column + 1);
                next.push_back((to, column + 1));
            }
        }
    }
    let mut rows: BTreeMap<usize, usize> = BTreeMap::new();
    let places = columns.into_iter().map(|column| {
        let row = rows.entry(column.unwrap_or(0)).or_insert(0);
        *row += 1;
        (column.unwrap_or(0), *row - 1)
    });
    places.collect()
}
