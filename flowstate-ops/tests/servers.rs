//! The command and the dashboard on servers, each in a database of its own there: those that
//! `FLOWSTATE_POSTGRES_URL` and `FLOWSTATE_MYSQL_URL` name.
#![cfg(all(
    feature = "command",
    feature = "dashboard",
    any(feature = "mysql", feature = "postgres")
))]

mod server;

use std::process::Command;

use flowstate::Flow;
use flowstate_diesel::diesel::Connection;
use flowstate_diesel::operator::register;
use flowstate_diesel::prelude::*;
use flowstate_diesel::{Store, claim_next, testing};
use flowstate_ops::dashboard::{Access, Dashboard};
use http::{Request, StatusCode};
use serde::{Deserialize, Serialize};

use crate::server::Server;

/// Sends a bill and waits for the money.
#[derive(Flow, Serialize, Deserialize)]
#[state(Open, Charging, Refused(error), Paid, Cancelled)]
#[initial(Open)]
#[completed(Paid, Cancelled)]
#[flow(label(customer))]
#[persist(Receipt { number: i64 })]
#[step(charge: Open | Refused => Charging => Paid(persist(Receipt)), fail(Refused))]
#[transition(cancel: * => Cancelled, operator)]
struct Bill {
    customer: String,
}

/// A database on a server, and the command on it.
struct Desk<C: Connection>(Server<C>);

impl<C: Connection> Desk<C> {
    fn new(variable: &str) -> Self {
        let desk = Self(Server::new(variable));
        assert_eq!(desk.run(&["migrate"]).0, 0);
        desk
    }

    /// The exit code of the command, and all that it prints.
    fn run(&self, args: &[&str]) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flowstate"));
        let command = command.args(args).env("DATABASE_URL", &self.0.url);
        // whoever waits for a lock fails, and does not wait for ever
        let command = command.env("PGOPTIONS", "-c lock_timeout=10s");
        let output = command.env("FLOWSTATE_ACTOR", "anna@laptop").output().expect("it ran");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code().expect("a code"), String::from_utf8(said).expect("UTF-8"))
    }

    /// What a command that succeeds prints.
    fn says(&self, args: &[&str]) -> String {
        let (code, said) = self.run(args);
        assert_eq!(code, 0, "{args:?}: {said}");
        said
    }
}

/// A bill, refused if there is an error, and else paid.
fn charged<C: Store>(error: Option<&str>, conn: &mut C) -> String {
    let bill = Bill { customer: "Ada".to_owned() }.create(conn).expect("created");
    let claim = claim_next(Bill::CHARGE, conn).expect("no error").expect("a claim");
    assert_eq!(claim.id(), bill.id());
    match error {
        Some(error) => claim.fail(flowstate_diesel::StepError::permanent(error), conn),
        None => claim.finish(Receipt { number: 17 }, conn),
    }
    .expect("settled");
    bill.id().to_string()
}

/// What is stuck is found, explained and moved, by every command and on every page.
fn every_command_and_page<C: Store + Connection>(variable: &str) {
    let desk = Desk::<C>::new(variable);
    let mut conn = desk.0.connect();
    register::<(Bill,)>("shop 1", &mut conn).expect("registered");
    let refused = charged(Some("the bank says no to 17"), &mut conn);
    let forced = charged(Some("the bank says no to 18"), &mut conn);
    let paid = charged(None, &mut conn);
    let claimed = Bill { customer: "Ben".to_owned() }.create(&mut conn).expect("created");
    drop(claim_next(Bill::CHARGE, &mut conn).expect("no error").expect("a claim"));
    testing::expire_leases(&mut conn).expect("expired");
    let claimed = claimed.id().to_string();

    // commands that read wait for nobody who writes
    let mut writer = desk.0.connect();
    for sql in [
        "BEGIN",
        "UPDATE flowstate_flows SET attempts = attempts + 1",
        "UPDATE flowstate_transitions SET attempt = attempt + 1",
    ] {
        writer.batch_execute(sql).expect("locked");
    }
    for (args, part) in [
        (&["list", "--stuck"][..], "gave up"),
        (&["list", "--flow", "bill", "--label", "customer=Ben", "-o", "ids"], &claimed),
        (&["list", "--error", "to 18", "-o", "ids"], &forced),
        (&["show", &refused], "the bank says no to 17"),
        (&["show", &paid, "--artefacts", "-o", "json"], "\"number\": 17"),
        (&["history", &paid], "finish_charge"),
        (&["failures"], "the bank says no to"),
        (&["stats"], "charging"),
        (&["workers"], ""),
        (&["definitions"], "shop 1"),
        (&["graph", "bill"], "stateDiagram-v2"),
        (&["check"], "findings: 0"),
        (&["audit"], ""),
        (&["purge", "--older-than", "0s", "--dry-run"], "would delete 1"),
        (&["retry", "--flow", "bill", "--state", "refused", "--reason", "x", "--dry-run"], "2"),
    ] {
        let said = desk.says(args);
        assert!(said.contains(part), "{args:?}: {said}");
    }
    writer.batch_execute("ROLLBACK").expect("rolled back");
    pages(&refused, &paid, &mut conn);

    let because = ["--reason", "the bank is back"];
    for args in [
        &["retry", &refused][..],
        &["force", "open", &forced],
        &["release", &claimed],
        &["take", "cancel", &claimed],
    ] {
        let said = desk.says(&[args, &because].concat());
        assert!(said.contains("1 done, 0 refused"), "{args:?}: {said}");
    }
    assert_eq!(desk.run(&["take", "cancel", &paid, because[0], because[1]]).0, 5, "completed");
    assert_eq!(desk.run(&["show", "999999"]).0, 4);
    assert!(desk.says(&["history", &refused]).contains("operator.retry"));
    assert!(
        desk.says(&["purge", "--older-than", "0s", because[0], because[1]]).contains("deleted 2")
    );
    desk.says(&["audit"]);
    let claim = claim_next(Bill::CHARGE, &mut conn).expect("no error").expect("due again");
    claim.finish(Receipt { number: 18 }, &mut conn).expect("paid");
}

/// Every page answers, and what an operator posts is done.
fn pages<C: Store>(refused: &str, paid: &str, conn: &mut C) {
    let dashboard = Dashboard::new(|_| Access::Operate("anna".to_owned()));
    let mut ask = |request: http::request::Builder, body: &str| {
        let request = request.body(body.as_bytes().to_vec()).expect("a request");
        let answer = dashboard.respond(&request, conn);
        (answer.status(), String::from_utf8(answer.body().clone()).expect("UTF-8"))
    };
    let planned = format!("/plan?action=retry&id={refused}");
    for (path, part) in [
        ("/", "<strong id=\"stuck\">2</strong>"),
        ("/", "<table id=\"throughput\">"),
        ("/flow?name=bill", "<svg"),
        ("/records", "the bank says no to 18"),
        ("/records?stuck=1&because=gave+up", "the bank says no to 17"),
        ("/records?flow=bill&label=customer%3DBen", "charging"),
        ("/records?flow=bill&error=to+18", "refused"),
        (&format!("/record?id={refused}"), "the bank says no to 17"),
        (&format!("/record?id={paid}&artefact=receipt&of=2"), "{&quot;number&quot;:17}"),
        ("/failures", "Retry all"),
        ("/workers", "No worker"),
        (&planned, "<strong id=\"planned\">1</strong>"),
    ] {
        let (status, page) = ask(Request::get(path), "");
        assert!(status == StatusCode::OK && page.contains(part), "{path}: {status} {page}");
    }
    let (_, page) = ask(Request::get(&planned), "");
    let token =
        page.split("name=\"token\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    let form = format!(
        "token={}&action=retry&id={refused}&reason=the+bank+is+back",
        token.expect("a token")
    );
    let post = Request::post("/act").header("sec-fetch-site", "same-origin");
    let (status, page) = ask(post, &form);
    assert!(status == StatusCode::OK && page.contains("id=\"done\""), "{status} {page}");
}

#[cfg(feature = "postgres")]
#[test]
fn every_command_and_page_on_postgres() {
    every_command_and_page::<PgConnection>("FLOWSTATE_POSTGRES_URL");
}

#[cfg(feature = "mysql")]
#[test]
fn every_command_and_page_on_mysql() {
    every_command_and_page::<MysqlConnection>("FLOWSTATE_MYSQL_URL");
}
