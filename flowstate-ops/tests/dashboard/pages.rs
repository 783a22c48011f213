//! What pages show, and what their forms do.

use flowstate::Flow;
use flowstate_diesel::diesel::connection::SimpleConnection as _;
use flowstate_diesel::operator::{Filter, list, register};
use flowstate_diesel::prelude::*;
use flowstate_ops::dashboard::{Access, Dashboard};
use http::Request;
use serde::{Deserialize, Serialize};

use crate::many::copies;
use crate::office::{Bill, Card, EVIL, Note, Odd, Office, post, text};

/// Many are moved as the page has said, or not at all.
#[test]
fn all_of_a_kind_are_retried() {
    let mut office = Office::new();
    let ids: Vec<_> =
        (1..=3).map(|order| office.refused(&format!("order {order} is odd"))).collect();
    let failures = office.page("/failures");
    assert!(failures.contains("Retry all"), "{failures}");
    let path = "/plan?action=retry&flow=bill&state=refused";
    let page = office.page(path);
    assert!(page.contains("<strong id=\"planned\">3</strong>"), "{page}");
    let form = office.form(path);
    let late = office.refused("order 4 is odd");
    let send = |office: &mut Office, form: &str| {
        let request = post(form).header("x-operator", "anna").body(form.as_bytes().to_vec());
        office.ask(&request.expect("a request"))
    };
    assert_eq!(send(&mut office, &form).status(), 409, "one more than the page has said");
    assert_eq!(office.seq(ids[0]), 2);
    let form = office.form(path);
    let answer = send(&mut office, &form);
    assert!(text(&answer).contains("4 records moved, 0 refused"), "{}", text(&answer));
    assert_eq!(office.seq(late), 3);
}

/// The page after 10,000 leads on to the rest, and not to the same ones again.
#[test]
fn very_many_are_moved_one_plan_after_the_other() {
    let mut office = Office::new();
    let id = office.refused("no");
    office.conn.batch_execute(&copies(id, 10_004)).expect("copied");
    let mut path = "/plan?action=retry&flow=bill&state=refused".to_owned();
    for (count, is_last) in [("10000", false), ("5", true)] {
        let page = office.page(&path);
        assert!(page.contains(&format!("<strong id=\"planned\">{count}</strong>")), "{page}");
        assert_eq!(page.contains("These are not all"), !is_last);
        let form = office.form(&path);
        let request = post(&form).header("x-operator", "anna").body(form.into_bytes());
        let page = text(&office.ask(&request.expect("a request")));
        assert!(page.contains(&format!("{count} records moved, 0 refused")), "{page}");
        let next = page.split("href=\"").find(|link| link.starts_with("/plan?"));
        assert_eq!(next.is_none(), is_last, "{page}");
        let next = next.and_then(|link| link.split('"').next()).unwrap_or_default();
        path = next.replace("&amp;", "&");
    }
    let (mut after, mut retried) = (None, 0);
    loop {
        let found = list(&Filter::default(), after.as_ref(), 1_000, &mut office.conn);
        let found = found.expect("listed");
        retried += found.records.iter().filter(|record| record.seq == 3).count();
        after = found.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(retried, 10_005, "each was moved, and once");
}

/// What the page has not shown is not moved, though it is as many.
#[test]
fn only_what_was_shown_is_moved() {
    let mut office = Office::new();
    let bill = || Bill { customer: String::new(), iban: String::new() };
    let mut shown = bill().create(&mut office.conn).expect("created");
    let form = office.form("/plan?action=take&what=cancel&flow=bill&state=open");
    let request = shown.transition(Bill::START, &mut office.conn);
    request.persist((Card(String::new()), Note(String::new()))).run().expect("started");
    let late = bill().create(&mut office.conn).expect("created").id();
    let send = |office: &mut Office, form: &str| {
        let request = post(form).header("x-operator", "anna").body(form.as_bytes().to_vec());
        office.ask(&request.expect("a request")).status()
    };
    assert_eq!(send(&mut office, &form), 409);
    assert_eq!(office.seq(late), 0);

    // of one record, too, whichever link has led to the page
    let id = shown.id();
    let form = office.form(&format!("/plan?action=take&what=cancel&id={id}"));
    shown.transition(Bill::REFUSE, &mut office.conn).error("no").run().expect("refused");
    assert_eq!(send(&mut office, &form), 409);
    assert_eq!(office.seq(id), 2);
    let form = office.form(&format!("/plan?action=take&what=cancel&id={id}"));
    assert_eq!(send(&mut office, &form), 200);
    assert_eq!(office.seq(id), 3);
}

/// "Retry all…" of a group of failures means that group: no other whose error has the same words.
#[test]
fn a_group_of_failures_is_retried_by_itself() {
    let mut office = Office::new();
    for error in
        ["404", "order 4 is odd", "order 17 is odd", "item 5 is odd", "is odd", "100 % of #1"]
    {
        office.refused(error);
    }
    let failures = office.page("/failures");
    let mut planned = 0;
    for row in failures.split("<tr>").skip(2) {
        let part = |before: &str, after: &str| {
            let rest = row.split(before).nth(1).expect(before);
            rest.split(after).next().expect(after).to_owned()
        };
        let records = part("<td class=\"n\">", "<");
        let [show, retry] = ["/records?", "/plan?"]
            .map(|path| path.to_owned() + &part(path, "\"").replace("&amp;", "&"));
        let plan = office.page(&retry);
        assert!(
            plan.contains(&format!("<strong id=\"planned\">{records}</strong>")),
            "{row}: {plan}"
        );
        let shown = office.page(&show).matches("<td class=\"n\"><a").count();
        assert_eq!(shown.to_string(), records, "{row}");
        planned += shown;
    }
    assert_eq!(planned, 6);
}

/// Whatever is stored is shown as text, in every place where it is shown; what is secret is not.
#[test]
fn everything_is_escaped_and_secrets_stay() {
    let mut office = Office::new();
    let id = office.refused(EVIL);
    Odd {}.create(&mut office.conn).expect("created");
    let odd = "name=%3Cb%3Eflow%3C%2Fb%3E";
    let evil = "%22%3E%3Cscript%3Ealert%28%27x%27%29%3C%2Fscript%3E";
    for path in [
        "/".to_owned(),
        format!("/flow?{odd}"),
        "/flow?name=bill".to_owned(),
        "/records".to_owned(),
        format!("/records?flow={evil}&state={evil}&key={evil}&error={evil}"),
        format!("/record?id={id}"),
        format!("/record?id={id}&artefact=card&of=1"),
        format!("/record?id={id}&artefact=note&of=1"),
        "/failures".to_owned(),
        "/workers".to_owned(),
        format!("/plan?action=force&what={evil}&id={id}"),
    ] {
        let page = office.page(&path);
        assert!(
            !page.contains("<script>") && !page.contains("<b>") && !page.contains("<i>"),
            "{path}"
        );
        assert!(!page.contains("DE02") && !page.contains("card 4711"), "{path}: {page}");
    }
    let page = office.page(&format!("/record?id={id}"));
    assert!(page.contains("(secret)") && page.contains("&lt;script&gt;"), "{page}");
}

/// What an artefact holds is not in the page until somebody asks for it, which a link does.
#[test]
fn payloads_are_hidden_until_asked_for() {
    let mut office = Office::new();
    let bill = Bill { customer: "Ada".to_owned(), iban: "DE02".to_owned() };
    let mut bill = bill.create(&mut office.conn).expect("created");
    let request = bill.transition(Bill::START, &mut office.conn);
    request.persist((Card("4711".to_owned()), Note("for Ada only".to_owned()))).run().expect("run");
    let path = format!("/record?id={}", bill.id());

    let page = office.page(&path);
    assert!(!page.contains("for Ada only") && !page.contains("id=\"payload\""), "{page}");
    let link = page.split("href=\"").find(|part| part.contains(">note</a>")).expect("a link");
    let link = link.split('"').next().expect("an address").replace("&amp;", "&");
    let (address, place) = link.split_once('#').expect("a place in the page");
    let asked = office.page(address);
    assert!(asked.contains(&format!("<pre id=\"{place}\">")), "{asked}");
    assert!(asked.contains("for Ada only"), "{asked}");
    // and hidden again
    assert!(asked.contains(&format!("href=\"{path}\"")), "{asked}");
    let secret = office.page(&format!("{path}&artefact=card&of=1"));
    assert!(secret.contains("<pre id=\"payload\">&quot;(secret)&quot;</pre>"), "{secret}");
    for nowhere in ["&artefact=note&of=7", "&artefact=note", "&artefact=letter&of=1"] {
        let request = Request::get(format!("{path}{nowhere}")).header("x-reader", "rita");
        let answer = office.ask(&request.body(Vec::new()).expect("a request"));
        assert_eq!(answer.status(), 404, "{nowhere}");
    }
}

/// The main numbers stand where one looks, under whatever path it is mounted.
#[test]
fn pages_have_their_numbers() {
    let mut office = Office::new();
    let id = office.refused("the bank says no");
    assert!(office.page("/flow?name=bill").contains("<svg"));
    let record = office.page(&format!("/record?id={id}"));
    for part in ["<strong id=\"state\">refused</strong>", "the bank says no", "<svg", "Take cancel"]
    {
        assert!(record.contains(part), "{part}: {record}");
    }
    let none = Dashboard::new(|_| Access::Read("rita".to_owned())).mounted_at("/ops/");
    let ask = |path: &str, conn: &mut SqliteConnection| {
        none.respond(&Request::get(path).body(Vec::new()).expect("a request"), conn)
    };
    let page = text(&ask("/ops/", &mut office.conn));
    assert!(page.contains("href=\"/ops/style.css\"") && page.contains("refused"), "{page}");
    assert_eq!(ask("/", &mut office.conn).status(), 404);
    assert_eq!(ask("/ops/record?id=999", &mut office.conn).status(), 404);
}

/// What [`Bill`] will be in the next version of the program.
#[derive(Flow, Serialize, Deserialize)]
#[flow(name = "bill", record = NextBillRecord, state = NextBillState)]
#[state(Open, Charging, Refused(error), Paid, Cancelled, Disputed)]
#[initial(Open)]
#[completed(Paid, Cancelled)]
#[transition(start: Open | Refused => Charging)]
#[transition(pay: Charging | Disputed => Paid)]
#[transition(refuse: Charging => Refused)]
#[transition(dispute: Charging => Disputed)]
#[transition(cancel: * => Cancelled, operator)]
struct NextBill {}

/// Two versions of a program stand side by side; a worker that died is said to be gone, and what only
/// it served is stuck.
#[test]
fn versions_and_dead_workers_are_told() {
    let mut office = Office::new();
    Bill { customer: String::new(), iban: String::new() }
        .create(&mut office.conn)
        .expect("created");
    assert!(register::<(NextBill,)>("shop 2", &mut office.conn).expect("registered").is_empty());
    let flow = office.page("/flow?name=bill");
    assert!(flow.contains("shop 1") && flow.contains("shop 2"), "{flow}");

    let worker = |id: &str, seen: &str| {
        format!(
            r#"INSERT INTO flowstate_workers VALUES ('{id}', 'shop', '1', 'host', 7,
               strftime('%Y-%m-%d %H:%M:%f000', 'now', '-1 hour'),
               strftime('%Y-%m-%d %H:%M:%f000', 'now', '{seen}'), '{{"bill":["open"]}}', 4, 1)"#
        )
    };
    let due_long_ago = "UPDATE flowstate_flows SET due_at = '2020-01-01 00:00:00.000000'";
    office.conn.batch_execute(due_long_ago).expect("due");
    office.conn.batch_execute(&worker("alive", "0 seconds")).expect("a worker");
    assert!(!office.page("/").contains("id=\"stuck\""));
    office.conn.batch_execute("DELETE FROM flowstate_workers").expect("deleted");
    office.conn.batch_execute(&worker("dead", "-5 minutes")).expect("a worker");
    let overview = office.page("/");
    assert!(overview.contains("0 workers live, 1 gone"), "{overview}");
    assert!(overview.contains("<strong id=\"stuck\">1</strong>"), "{overview}");
    assert!(office.page("/records?stuck=1").contains("unserved"));
    assert!(office.page("/workers").contains("gone"));
}
