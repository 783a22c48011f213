//! Moving records: a page that says what will happen to how many, and the POST that does it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use flowstate_diesel::Store;
use maud::{Markup, html};

use super::form::{Form, query};
use super::page::{records, table};
use super::pages::filter;
use super::record::id_of;
use super::{Refused, Visit};
use crate::operator::{Action, Cursor, Error, Filter, Plan, Target, Wish, act, plan_after};
use http::StatusCode;

/// What is kept of a form from page to page.
const KEPT: [&str; 11] =
    ["action", "what", "id", "flow", "state", "key", "label", "error", "kind", "stuck", "because"];

/// How many moves are shown.
const SHOWN: usize = 20;

fn action(form: &Form) -> Result<Action, Error> {
    let what = form.get("what").to_owned();
    match form.get("action") {
        "retry" => Ok(Action::Retry),
        "take" => Ok(Action::Take { transition: what }),
        "force" => Ok(Action::Force { state: what }),
        "release" => Ok(Action::Release { gone: form.given("what") }),
        _ => Err(Error::Input { problem: "say what is to be done".to_owned() }),
    }
}

/// Plans what the form says: one record, or all that a filter finds.
fn plan_of<C: Store>(visit: &Visit<'_>, conn: &mut C) -> Result<Plan, Refused> {
    let filter = filter(&visit.form);
    if filter == Filter::default() {
        let problem = "say which records: by id, flow, state or error".to_owned();
        return Err(Error::Input { problem }.into());
    }
    let after = Cursor::parse(visit.form.get("after"));
    let planned = plan_after(&filter, action(&visit.form)?, after.as_ref(), conn)?;
    if planned.moves.is_empty() && planned.refused == 0 && visit.form.given("id").is_some() {
        return Err(Error::NotFound { id: id_of(visit)? }.into());
    }
    Ok(planned)
}

pub(super) fn planned<C: Store>(
    visit: &Visit<'_>,
    conn: &mut C,
) -> Result<(String, Markup), Refused> {
    if visit.operator.is_none() {
        return Err(Refused::Status(StatusCode::FORBIDDEN, "you may look and not touch"));
    }
    let planned = plan_of(visit, conn)?;
    let (root, verb, count) = (visit.page.root, planned.action.verb(), planned.moves.len());
    // of one record: where the page before has shown it, and else where this one does
    let seq = visit.form.number("seq").or_else(|| planned.moves.first()?.target.seq);
    let seq = seq.map(|seq| seq.to_string()).unwrap_or_default();
    let body = html! {
        p.note {
            strong id="planned" { (count) } " " (records(count)) " will be moved, by " strong { (verb) }
            @if let Some(what) = visit.form.given("what") { " " code { (what) } }
            @if planned.refused > 0 { "; " (planned.refused) " will not" } "."
            @if planned.next.is_some() { " These are not all: what follows leads on to the rest." }
        }
        @if let Some(first) = &planned.first_refusal { p.note { "Refused, for example: " (first) } }
        @if count > 0 {
            (table("moves", "What will happen", &["#Id", "Flow", "From", "To"], &html! {
                @for one in planned.moves.iter().take(SHOWN) { tr {
                    td.n { (one.target.id) } td { (one.flow) } td { (one.from) }
                    td { (one.to) @if one.destroys { " " strong.bad { "and deleted" } } }
                } }
            }))
            form method="post" action={ (root) "/act" } {
                input type="hidden" name="token" value=(visit.token);
                input type="hidden" name="seen" value=(seen(&planned));
                input type="hidden" name="seq" value=(seq);
                @for name in KEPT.iter().chain([&"after"]) {
                    input type="hidden" name=(name) value=(visit.form.get(name));
                }
                p { label { "Why? It is kept in the history." br;
                    input type="text" name="reason" required maxlength="1000" size="60" autocomplete="off";
                } }
                button.danger[verb == "force"] { (verb) " " (count) " " (records(count)) }
            }
        }
    };
    Ok((format!("What will happen: {verb}"), body))
}

/// Tells plans apart: by their records, where these were seen, and where they would go.
fn seen(planned: &Plan) -> String {
    let mut moves: Vec<_> = planned.moves.iter().collect();
    // the order may be another one, since leases are extended
    moves.sort_unstable_by_key(|one| one.target.id);
    let mut hasher = DefaultHasher::new();
    for one in moves {
        (one.target.id, one.target.seq, &one.to, one.destroys).hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
}

/// Where the same is planned for the records that one plan could not hold.
fn rest(visit: &Visit<'_>, next: &Cursor) -> String {
    let kept = KEPT.map(|name| (name, visit.form.get(name)));
    let after = next.to_text();
    format!("{}/plan{}", visit.page.root, query(&[&kept[..], &[("after", &after)]].concat()))
}

/// Does it, if it is still what the page has said.
pub(super) fn done<C: Store>(
    visit: &Visit<'_>,
    actor: &str,
    conn: &mut C,
) -> Result<(String, Markup), Refused> {
    let wish = Wish::new(actor, visit.form.get("reason"))?;
    let root = visit.page.root;
    if visit.form.given("id").is_some() {
        let target = Target { id: id_of(visit)?, seq: visit.form.number("seq") };
        let moved = act(&action(&visit.form)?, target, &wish, conn)?;
        let body = html! {
            p.note id="done" { "Record " (moved.id) " went from " (moved.from) " to " (moved.to) "." }
            @if !moved.destroyed { p { a href={ (root) "/record?id=" (moved.id) } { "See it" } } }
        };
        return Ok(("Done".to_owned(), body));
    }
    let planned = plan_of(visit, conn)?;
    if visit.form.get("seen") != seen(&planned) {
        let why = "by now other records would be moved than the page has said, or they stand elsewhere: \
                   look again";
        return Err(Refused::Status(StatusCode::CONFLICT, why));
    }
    let report = planned.run(&wish, conn, |_| {})?;
    let body = html! {
        p.note id="done" { (report.moved.len()) " " (records(report.moved.len())) " moved, " (report.refused.len()) " refused." }
        @for error in report.refused.iter().take(SHOWN) { p { (error) } }
        @if let Some(next) = &planned.next { p { a href=(rest(visit, next)) { "Go on with the rest…" } } }
        p { a href={ (root) "/" } { "Overview" } }
    };
    Ok(("Done".to_owned(), body))
}
