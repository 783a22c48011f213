//! Pages that show many records: overview, flow, list, failures, workers.

use flowstate_diesel::Store;
use maud::{Markup, html};

use super::form::{Form, query};
use super::graph::{Counts, picture};
use super::page::{self, long, table, time};
use super::{Refused, Visit};
use crate::operator::{
    COUNTED_AT_MOST, Cursor, Filter, Graph, Listing, StateNumbers, Stuck, failures as grouped,
    lately, list, numbers, registry, throughput,
};

/// Counts of the overview stop here: it is read often, and shows every state of every flow.
const COUNTED_IN_OVERVIEW: i64 = 1_000;

const PAGE: usize = 50;

type Shown = Result<(String, Markup), Refused>;

pub(super) fn overview<C: Store>(visit: &Visit<'_>, conn: &mut C) -> Shown {
    let known = registry(conn)?;
    let counted = numbers(None, COUNTED_IN_OVERVIEW, conn)?;
    let stuck: i64 = counted.iter().map(|state| state.stuck).sum();
    let alive = known.workers.iter().filter(|worker| worker.is_alive).count();
    let mut flows: Vec<_> = counted.iter().map(|state| &*state.flow).collect();
    flows.dedup();
    let moved = throughput(&flows, conn)?;
    let root = visit.page.root;
    let body = html! {
        @if stuck > 0 {
            p.note.bad {
                a href={ (root) "/records?stuck=1" } { strong id="stuck" { (stuck) } " " (page::records(stuck)) " stuck" }
                ": nothing will move them by itself."
            }
        }
        p.soft { (alive) " workers live, " (known.workers.len() - alive) " gone." }
        @if counted.is_empty() { p.note { "There are no records." } }
        @else { (states(root, &counted, &known)) }
        h2 { "Moved in the last hour" }
        @if moved.is_empty() { p.soft { "Nothing." } }
        @else {
            (table("throughput", "Moved in the last hour", &["Flow", "#Completed", "#Transitions"], &html! {
                @for one in &moved { tr {
                    td { (one.flow) }
                    td.n { (one.completed) @if one.is_capped { "+" } }
                    td.n { (one.moved) }
                } }
            }))
            p.soft {
                "Completed: all records that are still there. Transitions: of the 200 records of all \
                 flows that were created last, the last 50 of each; where more or older ones move, \
                 there are more."
            }
        }
    };
    Ok(("Overview".to_owned(), body))
}

/// The states of flows with their numbers.
fn states(root: &str, counted: &[StateNumbers], known: &crate::operator::Registry) -> Markup {
    let columns = ["Flow", "State", "#Records", "#Stuck", "Oldest due"];
    table(
        "states",
        "States",
        &columns,
        &html! {
            @for one in counted {
                tr {
                    td { a href={ (root) "/flow" (query(&[("name", &one.flow)])) } { (one.flow) } }
                    td {
                        a href={ (root) "/records" (query(&[("flow", &one.flow), ("state", &one.state)])) } {
                            (one.state)
                        }
                        @if one.is_error { " " span.tag.bad { "error" } }
                        @if one.is_unknown { " " span.tag.bad { "unknown" } }
                        @if one.is_completed { " " span.tag.soft { "completed" } }
                    }
                    td.n { (count(one)) }
                    td.n { @if one.stuck > 0 { strong.bad { (one.stuck) } } @else { "0" } }
                    td { @if let Some(due) = one.oldest_due_at.filter(|due| *due < known.now) {
                        (long(known.now - due)) " ago"
                    } }
                }
            }
        },
    )
}

fn count(one: &StateNumbers) -> String {
    format!("{}{}", one.records, if one.is_capped { "+" } else { "" })
}

pub(super) fn flow<C: Store>(visit: &Visit<'_>, conn: &mut C) -> Shown {
    let name = visit.form.get("name");
    let known = registry(conn)?;
    let counted = numbers(Some(name), COUNTED_AT_MOST, conn)?;
    let versions: Vec<_> = known.graphs(name).collect();
    if counted.is_empty() && versions.is_empty() {
        return Err(Refused::NoSuchPage);
    }
    let declared = versions.iter().flat_map(|one| &one.graph.states);
    let mut counts: Counts = declared.map(|state| (state.name.clone(), "0".to_owned())).collect();
    counts.extend(counted.iter().map(|one| (one.state.clone(), count(one))));
    let taken = lately(name, conn)?;
    let body = html! {
        @if let Some(graph) = known.graph(name) {
            @if !graph.doc.is_empty() { p { (graph.doc) } }
            (picture(graph, &counts, None))
        } @else {
            p.note { "No program has registered this flow: its graph is not known." }
        }
        h2 { "States" }
        (states(visit.page.root, &counted, &known))
        @if let Some(graph) = known.graph(name) {
            h2 { "Transitions" }
            (transitions(graph))
        }
        h2 { "Taken in the last hour" }
        @if taken.is_empty() { p.soft { "Nothing." } }
        @else { (table("taken", "Taken in the last hour", &["Transition", "#Times"], &html! {
            @for (transition, times) in &taken { tr { td { (transition) } td.n { (times) } } }
        })) p.soft { "Among the 200 newest records of each state." } }
        h2 { "Versions" }
        (table("versions", "Versions", &["Graph", "Program", "First seen", "Last seen"], &html! {
            @for one in &versions { tr {
                td { code { (one.hash.chars().take(8).collect::<String>()) } }
                td { (one.program) }
                td { (time(one.first_seen_at)) }
                td { (time(one.last_seen_at)) }
            } }
        }))
        h2 { "Who serves it" }
        (table("serving", "Who serves it", &["Worker", "Program", "Takes from", "Seen"], &html! {
            @for worker in &known.workers { @if let Some(states) = worker.serves.get(name) { tr {
                td { code { (worker.id) } }
                td { (worker.program) " " (worker.version) }
                td { (states.join(", ")) }
                td { (seen(worker, &known)) }
            } } }
        }))
    };
    Ok((name.to_owned(), body))
}

/// What the arrows of the picture show.
fn transitions(graph: &Graph) -> Markup {
    table(
        "transitions",
        "Transitions",
        &["Transition", "From", "To"],
        &html! {
            @for edge in &graph.transitions { tr {
                td { (edge.name) } td { (edge.from.join(", ")) } td { (edge.to) }
            } }
        },
    )
}

fn seen(worker: &crate::operator::WorkerEntry, known: &crate::operator::Registry) -> Markup {
    let ago = long(known.now - worker.seen_at);
    html! {
        @if worker.is_alive { (ago) " ago" } @else { span.tag.bad { "gone" } " " (ago) " ago" }
    }
}

/// The filter that a form says.
pub(super) fn filter(form: &Form) -> Filter {
    let ids = form.number("id").into_iter().collect();
    let because = match form.get("because") {
        "gave up" => Some(Stuck::GaveUp),
        "lease over" => Some(Stuck::LeaseOver),
        "unserved" => Some(Stuck::Unserved),
        "unknown state" => Some(Stuck::UnknownState),
        "unreadable" => Some(Stuck::Unreadable),
        _ => None,
    };
    Filter {
        ids,
        flow: form.given("flow"),
        states: form.given("state").into_iter().collect(),
        key: form.given("key"),
        label: form.given("label").map(|label| match label.split_once('=') {
            Some((name, value)) => (name.to_owned(), value.to_owned()),
            None => (label, String::new()),
        }),
        error: form.given("error"),
        error_kind: form.given("kind"),
        stuck: form.given("stuck").is_some(),
        stuck_because: because,
        ..Filter::default()
    }
}

pub(super) fn records<C: Store>(visit: &Visit<'_>, conn: &mut C) -> Shown {
    let (root, form) = (visit.page.root, &visit.form);
    let after = Cursor::parse(form.get("after"));
    let found = list(&filter(form), after.as_ref(), PAGE, conn)?;
    let now = registry(conn)?.now;
    let same = ["flow", "state", "key", "label", "error", "kind", "stuck", "because"]
        .map(|name| (name, form.get(name)));
    let next = found.next.as_ref().map(Cursor::to_text);
    let body = html! {
        form.filter method="get" action={ (root) "/records" } {
            @for (name, label) in [("flow", "Flow"), ("state", "State"), ("key", "Key"), ("label", "Label (name=value)"), ("error", "Error contains"), ("kind", "Error, # for numbers")] {
                label { (label) br; input type="text" name=(name) value=(form.get(name)); }
            }
            label {
                input type="checkbox" name="stuck" value="1" checked[form.given("stuck").is_some()];
                " only what is stuck"
            }
            button { "Find" }
        }
        (rows(root, &found, now))
        @if let Some(next) = next {
            p { a href={ (root) "/records" (query(&[&same[..], &[("after", &next)]].concat())) } { "More" } }
        }
        @if visit.operator.is_some() && !found.records.is_empty() {
            p { a href={ (root) "/plan" (query(&[&same[..], &[("action", "retry")]].concat())) } {
                "Retry all of these…"
            } }
        }
    };
    Ok(("Records".to_owned(), body))
}

fn rows(root: &str, found: &Listing, now: chrono::DateTime<chrono::Utc>) -> Markup {
    if found.records.is_empty() {
        let text =
            if found.next.is_some() { "None so far: go on with “More”." } else { "None." };
        return html! { p.note { (text) } };
    }
    let columns = ["#Id", "Flow", "State", "For", "#Tries", "Stuck", "Error"];
    table(
        "records",
        "Records",
        &columns,
        &html! {
            @for one in &found.records { tr {
                td.n { a href={ (root) "/record?id=" (one.id) } { (one.id) } }
                td { (one.flow) }
                td { (one.state) }
                td { (long(now - one.updated_at)) }
                td.n { (one.attempts) }
                td { @if let Some(stuck) = one.stuck { span.tag.bad { (stuck.as_str()) } } }
                td { code { (one.error.as_deref().unwrap_or_default().chars().take(200).collect::<String>()) } }
            } }
        },
    )
}

pub(super) fn failures<C: Store>(visit: &Visit<'_>, conn: &mut C) -> Shown {
    let groups = grouped(None, conn)?;
    let root = visit.page.root;
    let body = html! {
        @if groups.is_empty() { p.note { "Nothing has failed." } }
        @else { (table("failures", "Failures", &["#Records", "Flow", "State", "Error", "(To do)"], &html! {
            @for group in &groups { @let of = [
                ("flow", &*group.flow), ("state", &*group.state),
                ("kind", &*group.error),
            ]; tr {
                td.n { (group.records) }
                td { (group.flow) }
                td { (group.state) }
                td { code { (group.example) } }
                td {
                    a href={ (root) "/records" (query(&of)) } { "Show" }
                    @if visit.operator.is_some() {
                        " " a href={ (root) "/plan" (query(&[&of[..], &[("action", "retry")]].concat())) } {
                            "Retry all…"
                        }
                    }
                }
            } }
        })) p.soft { "Among the 4,000 newest failed records, divided among the states." } }
    };
    Ok(("Failures".to_owned(), body))
}

pub(super) fn workers<C: Store>(conn: &mut C) -> Shown {
    let known = registry(conn)?;
    let columns =
        ["Worker", "Program", "Host", "#Process", "Seen", "#Threads", "#Claims", "Serves"];
    let body = html! {
        @if known.workers.is_empty() { p.note { "No worker has ever run here, or all have ended as they should." } }
        @else { (table("workers", "Workers", &columns, &html! {
            @for worker in &known.workers { tr {
                td { code { (worker.id) } }
                td { (worker.program) " " (worker.version) }
                td { (worker.host) }
                td.n { (worker.pid) }
                td { (seen(worker, &known)) }
                td.n { (worker.threads) }
                td.n { (worker.running) }
                td { (worker.serves.keys().cloned().collect::<Vec<_>>().join(", ")) }
            } }
        })) }
    };
    Ok(("Workers".to_owned(), body))
}
