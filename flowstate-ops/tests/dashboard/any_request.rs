//! Requests of any kind.

use flowstate_diesel::prelude::*;
use flowstate_diesel::{Store, audit};
use http::Request;
use proptest::prelude::*;

use crate::office::{Office, text};

/// What parameters are called.
const NAMES: [&str; 16] = [
    "action", "what", "id", "seq", "flow", "state", "key", "label", "error", "kind", "stuck",
    "because", "after", "artefact", "of", "name",
];

/// Values that mean something, and some that are odd.
const VALUES: [&str; 22] = [
    "1",
    "2",
    "3",
    "bill",
    "refused",
    "open",
    "no",
    "order+#",
    "retry",
    "force",
    "cancel",
    "gave+up",
    "card",
    "9/r//4/bill/refused",
    "-9223372036854775808",
    "9223372036854775807",
    "customer%3DAda",
    "%00",
    "bill%00",
    "%ff%",
    "%F0%9F%98%80",
    "%27%5C%25_",
];

/// What operators post.
const WISHES: [&str; 5] = [
    "action=retry",
    "action=take&what=cancel",
    "action=force&what=open",
    "action=force&what=refused",
    "action=release&what=nobody",
];

/// A request at random.
#[derive(Clone, Debug)]
enum Asked {
    /// Of any kind.
    Any { method: &'static str, path: String, body: Vec<u8>, who: &'static str },
    /// What an operator posts who has seen the page before.
    Wish(String),
}

fn asked() -> impl Strategy<Value = Asked> {
    let word = prop_oneof![
        3 => prop::sample::select(&VALUES[..]).prop_map(str::to_owned),
        1 => prop::sample::select(&NAMES[..]).prop_map(str::to_owned),
        1 => "[a-z0-9%&=+/]{0,12}",
    ];
    let name = prop_oneof![
        4 => prop::sample::select(&NAMES[..]).prop_map(str::to_owned),
        1 => word.clone(),
    ];
    let pair = (name, word).prop_map(|(name, value)| format!("{name}={value}"));
    let query = prop::collection::vec(pair, 0..6).prop_map(|pairs| pairs.join("&"));
    let path = prop::sample::select(vec![
        "/",
        "/flow",
        "/records",
        "/record",
        "/plan",
        "/act",
        "/failures",
        "/workers",
        "/style.css",
        "/nowhere",
    ]);
    let method = prop::sample::select(vec!["GET", "GET", "POST", "HEAD", "PUT", "OPTIONS"]);
    let who = prop::sample::select(vec!["x-operator", "x-reader", "x-nobody"]);
    let body = prop::collection::vec(any::<u8>(), 0..40);
    let any =
        (method, path, query.clone(), body, who).prop_map(|(method, path, query, body, who)| {
            Asked::Any { method, path: format!("{path}?{query}"), body, who }
        });
    let wish = (prop::sample::select(&WISHES[..]), query)
        .prop_map(|(wish, query)| Asked::Wish(format!("{wish}&{query}")));
    prop_oneof![3 => any, 1 => wish]
}

/// Requests at random, with words that mean something among them, a part of them past the check of
/// the token: no panic, and no 500.
fn no_request_breaks<C: Store>(conn: C, cases: u32) {
    let mut office = Office::on(conn);
    let ids: Vec<_> =
        (0..20).map(|order| office.refused(&format!("order {order} is odd"))).collect();
    let form = office.form(&format!("/plan?action=retry&id={}", ids[0]));
    let token = form.split('&').find(|pair| pair.starts_with("token=")).expect("a token");
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let (office, done) = (std::cell::RefCell::new(office), std::cell::Cell::new(0));
    let run = runner.run(&asked(), |asked| {
        let mut office = office.borrow_mut();
        let (method, path, body, who) = match &asked {
            Asked::Any { method, path, body, who } => (*method, path.clone(), body.clone(), *who),
            Asked::Wish(wish) => {
                let look = Request::get(format!("/plan?{wish}")).header("x-operator", "anna");
                let page = text(&office.ask(&look.body(Vec::new()).expect("a request")));
                let seen = page.split("name=\"seen\" value=\"").nth(1).unwrap_or_default();
                let seen = seen.split('"').next().unwrap_or_default();
                let form = format!("{token}&seen={seen}&reason=why&{wish}");
                ("POST", "/act".to_owned(), form.into_bytes(), "x-operator")
            }
        };
        let request = Request::builder().method(method).uri(path);
        let request = request.header(who, "anna").header("sec-fetch-site", "same-origin");
        let answer = office.ask(&request.body(body).expect("a request"));
        let status = answer.status().as_u16();
        prop_assert!(status < 500, "{asked:?}: {status} {}", text(&answer));
        done.set(done.get() + u32::from(method == "POST" && status == 200));
        Ok(())
    });
    run.expect("no request breaks it");
    assert!(done.get() > 0, "no wish has come true");
    let audit = audit(&mut office.borrow_mut().conn).expect("audited");
    assert!(audit.is_clean(), "{audit}");
}

#[test]
fn no_request_breaks_it() {
    no_request_breaks(SqliteConnection::establish(":memory:").expect("memory"), 10_000);
}

#[cfg(feature = "postgres")]
#[test]
fn no_request_breaks_it_on_postgres() {
    let server = crate::server::Server::<PgConnection>::new("FLOWSTATE_POSTGRES_URL");
    no_request_breaks(server.connect(), 1_000);
}

#[cfg(feature = "mysql")]
#[test]
fn no_request_breaks_it_on_mysql() {
    let server = crate::server::Server::<MysqlConnection>::new("FLOWSTATE_MYSQL_URL");
    no_request_breaks(server.connect(), 1_000);
}
