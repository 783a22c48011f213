//! Moving records: a page that says what will happen to how many, and the POST that does it.

use flowstate_diesel::Store;
use maud::{Markup, html};

use super::form::Form;
use super::page::records;
use super::pages::filter;
use super::record::id_of;
use super::{Refused, Visit};
use crate::operator::{Action, Error, Filter, Plan, Target, Wish, act, plan};
use http::StatusCode;

/// What is kept of a form from page to page.
const KEPT: [&str; 11] =
    ["action", "what", "id", "seq", "flow", "state", "key", "label", "error", "stuck", "because"];

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
    let planned = plan(&filter, action(&visit.form)?, conn)?;
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
    let body = html! {
        p.note {
            strong id="planned" { (count) } " " (records(count)) " will be moved, by " strong { (verb) }
            @if let Some(what) = visit.form.given("what") { " " code { (what) } }
            @if planned.refused > 0 { "; " (planned.refused) " will not" } "."
            @if !planned.is_complete { " These are not all: do it again afterwards." }
        }
        @if let Some(first) = &planned.first_refusal { p.note { "Refused, for example: " (first) } }
        @if count > 0 {
            div.scroll { table {
                thead { tr { th.n { "Id" } th { "Flow" } th { "From" } th { "To" } } }
                tbody { @for one in planned.moves.iter().take(SHOWN) { tr {
                    td.n { (one.target.id) } td { (one.flow) } td { (one.from) }
                    td { (one.to) @if one.destroys { " " strong.bad { "and deleted" } } }
                } } }
            } }
            form method="post" action={ (root) "/act" } {
                input type="hidden" name="token" value=(visit.token);
                input type="hidden" name="count" value=(count);
                @for name in KEPT {
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
    if visit.form.get("count") != planned.moves.len().to_string() {
        let why = "other records than the page has said would be moved by now: look again";
        return Err(Refused::Status(StatusCode::CONFLICT, why));
    }
    let report = planned.run(&wish, conn, |_| {})?;
    let body = html! {
        p.note id="done" { (report.moved.len()) " " (records(report.moved.len())) " moved, " (report.refused.len()) " refused." }
        @for error in report.refused.iter().take(SHOWN) { p { (error) } }
        p { a href={ (root) "/" } { "Overview" } }
    };
    Ok(("Done".to_owned(), body))
}
