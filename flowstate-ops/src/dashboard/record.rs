//! The page of one record.

use flowstate_diesel::Store;
use maud::{Markup, html};

use super::form::query;
use super::graph::{Counts, picture};
use super::page::{long, time};
use super::{Refused, Visit};
use crate::operator::{Error, Shown, show};

pub(super) fn record<C: Store>(
    visit: &Visit<'_>,
    conn: &mut C,
) -> Result<(String, Markup), Refused> {
    let id = visit.form.number("id").unwrap_or(-1);
    let shown = show(id, conn)?;
    let at = &shown.standing;
    let body = html! {
        @if let Some(stuck) = at.stuck {
            p.note.bad { strong { (stuck.as_str()) } ": " (stuck.remedy()) "." }
        }
        (facts(&shown))
        @if visit.operator.is_some() { (wishes(visit, &shown)) }
        @if let Some(graph) = &shown.graph {
            h2 { "Where it stands" }
            div.scroll { (picture(graph, &Counts::new(), Some(&at.state))) }
        }
        h2 { "History" }
        (history(&shown))
        @if !shown.artefacts.is_empty() {
            h2 { "Artefacts" }
            @for artefact in &shown.artefacts {
                details { summary { (artefact.name) " " span.soft { "of " (artefact.seq) } }
                    pre { (artefact.payload) }
                }
            }
        }
    };
    Ok((format!("{} #{}", at.flow, at.id), body))
}

fn facts(shown: &Shown) -> Markup {
    let at = &shown.standing;
    html! {
        dl {
            dt { "State" } dd { strong id="state" { (at.state) } }
            dt { "Since" } dd { (time(at.updated_at)) }
            dt { "Created" } dd { (time(at.created_at)) }
            @if let Some(key) = &at.key { dt { "Key" } dd { code { (key) } } }
            dt { "Failed tries" } dd { (at.attempts) }
            @if let Some(due) = at.due_at { dt { "Due" } dd { (time(due)) } }
            @if let Some(deadline) = at.deadline_at { dt { "Timed" } dd { (time(deadline)) } }
            @if let (Some(holder), Some(until)) = (&at.leased_by, at.leased_until) {
                dt { "Claimed by" } dd { code { (holder) } " until " (time(until)) }
            }
            @if let Some(error) = &at.error { dt { "Error" } dd.bad { pre id="error" { (error) } } }
            @for (name, value) in &shown.labels { dt { "Label " (name) } dd { code { (value) } } }
            dt { "Props" } dd { pre { (shown.props) } }
        }
    }
}

/// What may be done with it: each leads to a page that says what will happen.
fn wishes(visit: &Visit<'_>, shown: &Shown) -> Markup {
    let (root, at) = (visit.page.root, &shown.standing);
    let (id, seq) = (at.id.to_string(), at.seq.to_string());
    let plan = |action: &str, what: &str| {
        let of = [("id", &*id), ("seq", &*seq), ("action", action), ("what", what)];
        format!("{root}/plan{}", query(&of))
    };
    let leaving = shown.graph.iter().flat_map(|graph| graph.leaving(&at.state));
    let states = shown.graph.iter().flat_map(|graph| &graph.states);
    html! {
        h2 { "Move it" }
        p {
            @if at.last_errored_at.is_some() && at.completed_at.is_none() {
                a id="retry" href=(plan("retry", "")) { "Retry…" } " "
            }
            @if at.leased_by.is_some() { a href=(plan("release", "")) { "Release…" } " " }
            @for edge in leaving.filter(|edge| edge.operator) {
                a href=(plan("take", &edge.name)) { "Take " (edge.name) "…" } " "
            }
        }
        details { summary { "Force it into another state" }
            ul { @for state in states.filter(|state| state.name != at.state) {
                li { a href=(plan("force", &state.name)) { (state.name) "…" } }
            } }
        }
    }
}

fn history(shown: &Shown) -> Markup {
    let mut before = None;
    let rows: Vec<_> = shown
        .history
        .iter()
        .map(|row| {
            let after = before.map(|before| row.created_at - before);
            before = Some(row.created_at);
            (row, after)
        })
        .collect();
    html! {
        div.scroll { table id="history" {
            thead { tr {
                th.n { "Seq" } th { "When" } th { "After" } th { "Transition" } th { "To" } th.n { "Try" }
                th { "Actor" } th { "Error or reason" }
            } }
            tbody { @for (row, after) in &rows { tr {
                td.n { (row.seq) }
                td { (time(row.created_at)) }
                td { @if let Some(after) = after { (long(*after)) } }
                td { (row.transition) }
                td { (row.to) }
                td.n { (row.attempt) }
                td { (row.actor.as_deref().unwrap_or_default()) }
                td {
                    @if let Some(error) = &row.error { pre.bad { (error) } }
                    @if let Some(metadata) = &row.metadata {
                        @match metadata.get("reason").and_then(serde_json::Value::as_str) {
                            Some(reason) => { (reason) }
                            None => { pre { (metadata) } }
                        }
                    }
                }
            } } }
        } }
    }
}

/// For links to records that are no number.
pub(super) fn id_of(visit: &Visit<'_>) -> Result<i64, Error> {
    let problem = "the id of a record is a number".to_owned();
    visit.form.number("id").ok_or(Error::Input { problem })
}
