//! The dashboard: what it shows, and that it is closed.
#![cfg(all(feature = "dashboard", feature = "sqlite"))]

use flowstate::Flow;
use flowstate_diesel::diesel::connection::SimpleConnection as _;
use flowstate_diesel::operator::{register, show};
use flowstate_diesel::prelude::*;
use flowstate_ops::dashboard::{Access, Dashboard, loopback};
use http::{Request, Response};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

const EVIL: &str = r#""><script>alert('x')</script>"#;

/// Sends a bill and waits for the money.
#[derive(Flow, Serialize, Deserialize)]
#[state(Open, Charging, Refused(error), Paid, Cancelled)]
#[initial(Open)]
#[completed(Paid, Cancelled)]
#[flow(secret(iban))]
#[persist(Card(String), secret)]
#[persist(Note(String))]
#[transition(start: Open | Refused => Charging, persist(Card, Note))]
#[transition(pay: Charging => Paid)]
#[transition(refuse: Charging => Refused)]
#[transition(cancel: * => Cancelled, operator)]
struct Bill {
    customer: String,
    iban: String,
}

/// A flow whose stored names are what a web page must not obey.
#[derive(Flow, Serialize, Deserialize)]
#[flow(name = "<b>flow</b>")]
#[state(Open(rename = "<i>open</i>"), Done)]
#[initial(Open)]
#[completed(Done)]
#[transition(end: Open => Done)]
struct Odd {}

/// A database, and a dashboard that takes the name and the rights from a header.
struct Office {
    conn: SqliteConnection,
    dashboard: Dashboard,
}

impl Office {
    fn new() -> Self {
        let mut conn = SqliteConnection::establish(":memory:").expect("memory");
        flowstate_diesel::migrate(&mut conn).expect("migrated");
        register::<(Bill, Odd)>("shop 1", &mut conn).expect("registered");
        let dashboard = Dashboard::new(|head| {
            let who = |name: &str| head.headers.get(name).and_then(|who| who.to_str().ok());
            match (who("x-reader"), who("x-operator")) {
                (Some(who), _) => Access::Read(who.to_owned()),
                (_, Some(who)) => Access::Operate(who.to_owned()),
                _ => Access::None,
            }
        });
        Self { conn, dashboard }
    }

    /// A bill that was refused.
    fn refused(&mut self, error: &str) -> i64 {
        let conn = &mut self.conn;
        let bill = Bill { customer: EVIL.to_owned(), iban: "DE02".to_owned() };
        let mut bill =
            bill.create_once(&format!("{EVIL}{error}"), conn).expect("created").into_record();
        let payload = (Card("card 4711".to_owned()), Note(EVIL.to_owned()));
        let request = bill.transition(Bill::START, conn).persist(payload);
        request.actor(EVIL).metadata(&serde_json::json!({ "x": EVIL })).run().expect("started");
        bill.transition(Bill::REFUSE, conn).error(error).run().expect("refused");
        bill.id()
    }

    fn ask(&mut self, request: &Request<Vec<u8>>) -> Response<Vec<u8>> {
        self.dashboard.respond(request, &mut self.conn)
    }

    /// A page, as an operator sees it.
    fn page(&mut self, path: &str) -> String {
        let request = Request::get(path).header("x-operator", "anna").body(Vec::new());
        let answer = self.ask(&request.expect("a request"));
        assert_eq!(answer.status(), 200, "{path}: {}", text(&answer));
        text(&answer)
    }

    /// The body of the form that the page of a plan has, with a reason.
    fn form(&mut self, path: &str) -> String {
        let page = self.page(path);
        let fields = page.split("<input type=\"hidden\" name=\"").skip(1).map(|field| {
            let (name, rest) = field.split_once("\" value=\"").expect("a value");
            format!("{name}={}", rest.split_once('"').expect("its end").0.replace(' ', "+"))
        });
        fields.collect::<Vec<_>>().join("&") + "&reason=the+bank+is+back"
    }

    fn seq(&mut self, id: i64) -> i64 {
        show(id, &mut self.conn).expect("shown").standing.seq
    }
}

fn post(form: &str) -> http::request::Builder {
    let request = Request::post("/act").header("content-length", form.len());
    request.header("host", "ops.example").header("origin", "https://ops.example")
}

fn text(answer: &Response<Vec<u8>>) -> String {
    String::from_utf8(answer.body().clone()).expect("UTF-8")
}

/// Nobody is let in before somebody says who is.
#[test]
fn it_is_closed_until_told_otherwise() {
    let mut office = Office::new();
    for path in ["/", "/records", "/record?id=1", "/style.css", "/act"] {
        for method in ["GET", "POST"] {
            let request = Request::builder().method(method).uri(path).body(Vec::new());
            let answer = office.ask(&request.expect("a request"));
            assert_eq!(answer.status(), 403, "{method} {path}");
            assert!(!text(&answer).contains("bill"));
        }
    }
}

/// A page whose name was made to point to this machine is not let in, and this machine only looks.
#[test]
fn loopback_checks_the_host_and_reads_only() {
    let access = |host: &str| {
        let request = Request::get("/").header("host", host).body(()).expect("a request");
        loopback(&request.into_parts().0)
    };
    let reader = Access::Read("loopback".to_owned());
    for host in ["localhost", "localhost:8311", "127.0.0.1:8311", "[::1]:8311", "[::1]"] {
        assert_eq!(access(host), reader, "{host}");
    }
    for host in
        ["evil.example", "evil.example:8311", "127.0.0.1.evil.example", "localhost.evil", ""]
    {
        assert_eq!(access(host), Access::None, "{host}");
    }
    assert_eq!(
        loopback(&Request::get("/").body(()).expect("a request").into_parts().0),
        Access::None
    );
}

/// What an operator posts is done, with name and reason in the history; the same from elsewhere, with
/// another token, or by a reader, is not.
#[test]
fn only_a_page_of_this_dashboard_moves_records() {
    let mut office = Office::new();
    let id = office.refused("no");
    let form = office.form(&format!("/plan?action=retry&id={id}&seq=2"));
    let anna = |builder: http::request::Builder| builder.header("x-operator", "anna");
    let plain = || Request::post("/act").header("host", "ops.example");
    let refused = [
        ("a foreign origin", anna(plain().header("origin", "https://evil.example")), form.clone()),
        ("a hidden origin", anna(plain().header("origin", "null")), form.clone()),
        ("no origin", anna(plain()), form.clone()),
        ("another site", anna(post(&form).header("sec-fetch-site", "cross-site")), form.clone()),
        ("the same site", anna(post(&form).header("sec-fetch-site", "same-site")), form.clone()),
        ("no token", anna(post(&form)), form.replace("token=", "token=0")),
        ("a missing token", anna(post(&form)), form.replace("token=", "other=")),
        ("somebody else's token", post(&form).header("x-operator", "berta"), form.clone()),
        ("a reader", post(&form).header("x-reader", "anna"), form.clone()),
        ("nobody", post(&form), form.clone()),
    ];
    for (what, builder, body) in refused {
        let answer = office.ask(&builder.body(body.into_bytes()).expect("a request"));
        assert_eq!(answer.status(), 403, "{what}: {}", text(&answer));
        assert_eq!(office.seq(id), 2, "{what}");
    }
    let unreasoned = form.replace("the+bank+is+back", "");
    let answer = office.ask(&anna(post(&form)).body(unreasoned.into_bytes()).expect("a request"));
    assert_eq!(answer.status(), 400);
    let long = anna(post(&form)).body([form.as_bytes(), &vec![b'x'; 70_000]].concat());
    assert_eq!(office.ask(&long.expect("a request")).status(), 413);
    assert_eq!(office.seq(id), 2);

    let sent = || anna(post(&form)).body(form.clone().into_bytes()).expect("a request");
    let answer = office.ask(&sent());
    assert_eq!(answer.status(), 200, "{}", text(&answer));
    let history = show(id, &mut office.conn).expect("shown").history;
    let last = history.last().expect("a row");
    assert_eq!((&*last.transition, last.actor.as_deref()), ("operator.retry", Some("anna")));
    assert_eq!(
        last.metadata.as_ref().map(|said| &said["reason"]),
        Some(&"the bank is back".into())
    );
    // it has moved since the page was shown
    assert_eq!(office.ask(&sent()).status(), 409);
}

/// A reader sees no way to move anything, and a GET never does.
#[test]
fn readers_look_and_do_not_touch() {
    let mut office = Office::new();
    let id = office.refused("no");
    let mut read = |path: &str| {
        let request = Request::get(path).header("x-reader", "rita").body(Vec::new());
        office.ask(&request.expect("a request"))
    };
    let page = text(&read(&format!("/record?id={id}")));
    assert!(!page.contains("/plan") && !page.contains("<form method=\"post\""), "{page}");
    assert_eq!(read(&format!("/plan?action=retry&id={id}")).status(), 403);
    assert_eq!(read("/act").status(), 404);
    assert_eq!(office.seq(id), 2);
}

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

/// Every answer says that nothing is loaded from elsewhere, run inline, framed, guessed or kept.
#[test]
fn every_answer_is_guarded() {
    let mut office = Office::new();
    for path in ["/", "/nowhere", "/style.css", "/script.js", "/record?id=1", "/record?id=x"] {
        let request = Request::get(path).header("x-reader", "rita").body(Vec::new());
        let answer = office.ask(&request.expect("a request"));
        let says = |name: &str| answer.headers()[name].to_str().expect("text").to_owned();
        let policy = says("content-security-policy");
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(
            policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert_eq!(says("x-content-type-options"), "nosniff");
        assert_eq!(says("cache-control"), "no-store");
        let page = text(&answer);
        assert!(!page.contains(" style=") && !page.contains(" onclick") && !page.contains("//cdn"));
        assert!(!page.contains("http:") && !page.contains("https:"), "{path} names other places");
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

/// Requests at random, with words that mean something among them: no panic, and no 500.
#[test]
fn no_request_breaks_it() {
    let mut office = Office::new();
    office.refused("no");
    let word = prop_oneof![
        Just("id".to_owned()),
        Just("1".to_owned()),
        Just("flow".to_owned()),
        Just("bill".to_owned()),
        Just("state".to_owned()),
        Just("refused".to_owned()),
        Just("action".to_owned()),
        Just("retry".to_owned()),
        Just("force".to_owned()),
        Just("what".to_owned()),
        Just("after".to_owned()),
        Just("9/4/bill/open".to_owned()),
        Just("seq".to_owned()),
        Just("-9223372036854775808".to_owned()),
        Just("stuck".to_owned()),
        Just("%00".to_owned()),
        Just("%ff%".to_owned()),
        "[a-z0-9%&=+/]{0,12}",
    ];
    let path = prop_oneof![
        Just("/"),
        Just("/flow"),
        Just("/records"),
        Just("/record"),
        Just("/plan"),
        Just("/act"),
        Just("/failures"),
        Just("/workers"),
        Just("/style.css"),
        Just("/nowhere"),
    ];
    let method = prop_oneof![Just("GET"), Just("POST"), Just("HEAD"), Just("PUT"), Just("OPTIONS")];
    let pairs = prop::collection::vec((word.clone(), word), 0..6);
    let body = prop::collection::vec(any::<u8>(), 0..40);
    let who = prop_oneof![Just("x-operator"), Just("x-reader"), Just("x-nobody")];
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 10_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let office = std::cell::RefCell::new(office);
    let run = runner.run(&(method, path, pairs, body, who), |(method, path, pairs, body, who)| {
        let query: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = Request::builder().method(method).uri(format!("{path}?{}", query.join("&")));
        let request = request.header(who, "anna").header("sec-fetch-site", "same-origin");
        let request = request.body(body).expect("a request");
        let answer = office.borrow_mut().ask(&request);
        prop_assert!(answer.status().as_u16() != 500, "{request:?}");
        prop_assert!(answer.status().as_u16() < 500, "{request:?}: {}", text(&answer));
        Ok(())
    });
    run.expect("no request breaks it");
}
