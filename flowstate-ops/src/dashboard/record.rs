//! The page of one record.

use flowstate_diesel::{ArtefactEntry, Store};
use http::StatusCode;
use maud::{Markup, html};

use super::form::query;
use super::graph::{Counts, picture};
use super::page::{long, table, time};
use super::{Refused, Visit};
use crate::operator::{Error, Shown, show_artefact, show_without_payloads};

pub(super) fn record<C: Store>(
    visit: &Visit<'_>,
    conn: &mut C,
) -> Result<(String, Markup), Refused> {
    let id = visit.form.number("id").unwrap_or(-1);
    let shown = show_without_payloads(id, conn)?;
    let asked = asked(visit, id, conn)?;
    let at = &shown.standing;
    let body = html! {
        @if let Some(stuck) = at.stuck {
            p.note.bad { strong { (stuck.as_str()) } ": " (stuck.remedy()) "." }
        }
        (facts(&shown))
        @if visit.operator.is_some() { (wishes(visit, &shown)) }
        @if let Some(graph) = &shown.graph {
            h2 { "Where it stands" }
            (picture(graph, &Counts::new(), Some(&at.state)))
            p { a href={ (visit.page.root) "/flow" (query(&[("name", &at.flow)])) } {
                "All states and transitions of " (at.flow)
            } }
        }
        h2 { "History" }
        (history(&shown))
        @if !shown.artefacts.is_empty() {
            h2 { "Artefacts" }
            (artefacts(visit, &shown, asked.as_ref()))
        }
    };
    Ok((format!("{} #{}", at.flow, at.id), body))
}

/// The artefact that the address asks for: no other is read.
fn asked<C: Store>(
    visit: &Visit<'_>,
    id: i64,
    conn: &mut C,
) -> Result<Option<ArtefactEntry>, Refused> {
    let Some(name) = visit.form.given("artefact") else { return Ok(None) };
    let found = visit.form.number("of").map(|seq| show_artefact(id, &name, seq, conn));
    let nowhere = Refused::Status(StatusCode::NOT_FOUND, "the record has no such artefact");
    found.transpose()?.flatten().ok_or(nowhere).map(Some)
}

/// The names of the artefacts, each a link to the page with its payload.
fn artefacts(visit: &Visit<'_>, shown: &Shown, asked: Option<&ArtefactEntry>) -> Markup {
    let (root, id) = (visit.page.root, shown.standing.id.to_string());
    let is_asked =
        |name: &str, seq: i64| asked.filter(|asked| (&*asked.name, asked.seq) == (name, seq));
    html! {
        ul id="artefacts" { @for one in &shown.artefacts { li {
            @let (seq, of) = (one.seq.to_string(), html! {
                " " span.soft { "of " (one.seq) (version(one.version)) }
            });
            @if let Some(asked) = is_asked(&one.name, one.seq) {
                a href={ (root) "/record" (query(&[("id", &id)])) } aria-expanded="true" { (one.name) }
                (of)
                pre id="payload" { (asked.payload) }
            } @else {
                a href={ (root) "/record" (query(&[("id", &id), ("artefact", &one.name), ("of", &seq)])) "#payload" }
                    aria-expanded="false" { (one.name) }
                (of)
            }
        } } }
    }
}

/// Of what is stored, unless it is the first.
fn version(number: i64) -> String {
    if number == 1 { String::new() } else { format!(" version {number}") }
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
            dt { "Props" } dd { pre { (shown.props) } span.soft { (version(shown.props_version)) } }
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
    let columns = ["#Seq", "When", "After", "Transition", "To", "#Try", "Actor", "Error or reason"];
    table(
        "history",
        "History",
        &columns,
        &html! {
            @for (row, after) in &rows { tr {
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
            } }
        },
    )
}

/// For links to records that are no number.
pub(super) fn id_of(visit: &Visit<'_>) -> Result<i64, Error> {
    let problem = "the id of a record is a number".to_owned();
    visit.form.number("id").ok_or(Error::Input { problem })
}
