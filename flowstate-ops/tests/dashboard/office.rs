//! A dashboard, and what it shows.

use flowstate::Flow;
use flowstate_diesel::Store;
use flowstate_diesel::operator::{register, show};
use flowstate_diesel::prelude::*;
use flowstate_ops::dashboard::{Access, Dashboard};
use http::{Request, Response};
use serde::{Deserialize, Serialize};

pub(crate) const EVIL: &str = r#""><script>alert('x')</script>"#;

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
pub(crate) struct Bill {
    pub(crate) customer: String,
    pub(crate) iban: String,
}

/// A flow whose stored names are what a web page must not obey.
#[derive(Flow, Serialize, Deserialize)]
#[flow(name = "<b>flow</b>")]
#[state(Open(rename = "<i>open</i>"), Done)]
#[initial(Open)]
#[completed(Done)]
#[transition(end: Open => Done)]
pub(crate) struct Odd {}

/// A database, and a dashboard that takes the name and the rights from a header.
pub(crate) struct Office<C = SqliteConnection> {
    pub(crate) conn: C,
    dashboard: Dashboard,
}

impl Office {
    pub(crate) fn new() -> Self {
        Self::on(SqliteConnection::establish(":memory:").expect("memory"))
    }
}

impl<C: Store> Office<C> {
    /// In a database without tables.
    pub(crate) fn on(mut conn: C) -> Self {
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
    pub(crate) fn refused(&mut self, error: &str) -> i64 {
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

    pub(crate) fn ask(&mut self, request: &Request<Vec<u8>>) -> Response<Vec<u8>> {
        self.dashboard.respond(request, &mut self.conn)
    }

    /// A page, as an operator sees it.
    pub(crate) fn page(&mut self, path: &str) -> String {
        let request = Request::get(path).header("x-operator", "anna").body(Vec::new());
        let answer = self.ask(&request.expect("a request"));
        assert_eq!(answer.status(), 200, "{path}: {}", text(&answer));
        text(&answer)
    }

    /// The body of the form that the page of a plan has, with a reason.
    pub(crate) fn form(&mut self, path: &str) -> String {
        let page = self.page(path);
        let fields = page.split("<input type=\"hidden\" name=\"").skip(1).map(|field| {
            let (name, rest) = field.split_once("\" value=\"").expect("a value");
            format!("{name}={}", rest.split_once('"').expect("its end").0.replace(' ', "+"))
        });
        fields.collect::<Vec<_>>().join("&") + "&reason=the+bank+is+back"
    }

    pub(crate) fn seq(&mut self, id: i64) -> i64 {
        show(id, &mut self.conn).expect("shown").standing.seq
    }
}

pub(crate) fn post(form: &str) -> http::request::Builder {
    let request = Request::post("/act").header("content-length", form.len());
    request.header("host", "ops.example").header("origin", "https://ops.example")
}

pub(crate) fn text(answer: &Response<Vec<u8>>) -> String {
    String::from_utf8(answer.body().clone()).expect("UTF-8")
}
