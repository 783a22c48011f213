//! The newcomer's story, clicked in a real browser: what is stuck is found, explained and retried,
//! and each page's main numbers are read back.
//!
//! Needs Debian's packages `chromium` and `chromium-driver`: `apt-get install chromium
//! chromium-driver`. With SCREENSHOTS=folder the pages are kept there.
#![cfg(all(feature = "command", feature = "dashboard", feature = "sqlite"))]

mod driver;
mod keys;
mod looks;

use std::path::PathBuf;
use std::process::{Command, Stdio};

use flowstate::Flow;
use flowstate_diesel::diesel::connection::SimpleConnection as _;
use flowstate_diesel::operator::{Action, Wish, act, register, show};
use flowstate_diesel::prelude::*;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use self::driver::{Browser, LOOKS, Process, agent, start};

/// Sends a bill and waits for the money.
#[derive(Flow, Serialize, Deserialize)]
#[state(Open, Charging, Refused(error), Unreachable(error), Paid, Cancelled)]
#[initial(Open)]
#[completed(Paid, Cancelled)]
#[transition(start: Open | Refused => Charging)]
#[transition(pay: Charging => Paid)]
#[transition(refuse: Charging => Refused)]
#[transition(lose: Charging => Unreachable)]
#[transition(cancel: * => Cancelled, operator)]
struct Bill {
    customer: String,
}

/// A server with the dashboard: one of the examples.
fn example(name: &str, file: &str) -> (Process, String) {
    let here = std::env::current_exe().expect("this test");
    let target = here.ancestors().nth(2).expect("the folder of the build");
    let mut command = Command::new(target.join("examples").join(name));
    command.args([file, "0"]);
    start(command, url_in)
}

/// The address that a server says, without the slash at its end.
fn url_in(line: &str) -> Option<String> {
    line.starts_with("http://").then(|| line.trim_end_matches('/').to_owned())
}

fn shop() -> (TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("shop.db").display().to_string();
    let mut conn = SqliteConnection::establish(&file).expect("a connection");
    flowstate_diesel::migrate(&mut conn).expect("migrated");
    register::<(Bill,)>("shop 1", &mut conn).expect("registered");
    (folder, file)
}

/// A bill whose payment was refused, and that nobody tries again by itself.
fn refused(file: &str) -> i64 {
    let conn = &mut SqliteConnection::establish(file).expect("a connection");
    let mut bill = Bill { customer: "Ada".to_owned() }.create(conn).expect("created");
    bill.transition(Bill::START, conn).run().expect("started");
    bill.transition(Bill::REFUSE, conn).error("the bank says no").run().expect("refused");
    // as the last failed try leaves it
    conn.batch_execute("UPDATE flowstate_flows SET due_at = NULL").expect("given up");
    bill.id()
}

/// Keeps pages as pictures, if a folder is named.
fn keep(pages: &[(&str, String)]) {
    let Some(folder) = std::env::var_os("SCREENSHOTS").map(PathBuf::from) else { return };
    for (name, url) in pages {
        for (kind, size) in [("wide", "1200,900"), ("phone", "420,900")] {
            let mut command = Command::new("chromium");
            command.args(["--headless=new", "--no-sandbox", "--hide-scrollbars"]);
            command.arg(format!("--window-size={size}"));
            command.arg(format!(
                "--screenshot={}",
                folder.join(format!("{name}-{kind}.png")).display()
            ));
            let done = command.arg(url).stderr(Stdio::null()).status().expect("chromium ran");
            assert!(done.success(), "{name}");
        }
    }
}

#[test]
fn a_newcomer_finds_explains_and_heals_it() {
    let (_folder, file) = shop();
    let id = refused(&file);
    let (_server, root) = example("dashboard_tiny_http", &file);
    let browser = Browser::open();

    browser.go(&root);
    assert_eq!(browser.text("#stuck"), "1");
    assert_eq!(browser.text("#states tbody td.n"), "1");
    let colour =
        browser.ask("getComputedStyle(document.querySelector('header')).borderBottomStyle");
    assert_eq!(colour, "solid", "the stylesheet is there");

    browser.click(".note.bad a");
    browser.click("#records tbody a");
    assert_eq!(browser.text("#state"), "refused");
    assert_eq!(browser.text("#error"), "the bank says no");
    assert_eq!(browser.text("#history tbody tr:last-child td:first-child"), "2");
    assert_eq!(browser.text("svg .here text"), "refused");
    keep(&[
        ("overview", root.clone()),
        ("flow", format!("{root}/flow?name=bill")),
        ("records", format!("{root}/records?stuck=1")),
        ("record", format!("{root}/record?id={id}")),
        ("failures", format!("{root}/failures")),
        ("plan", format!("{root}/plan?action=retry&id={id}")),
    ]);

    browser.click("#retry");
    assert_eq!(browser.text("#planned"), "1");
    browser.write("input[name=reason]", "the bank is back");
    browser.click("form[method=post] button");
    assert!(browser.text("#done").starts_with(&format!("Record {id} went from")));

    let conn = &mut SqliteConnection::establish(&file).expect("a connection");
    let shown = show(id, conn).expect("shown");
    assert!(shown.standing.due_at.is_some() && shown.standing.stuck.is_none());
    browser.go(&root);
    let stuck = browser.ask("document.querySelector('#stuck')");
    assert!(stuck.is_null(), "nothing is stuck any more");
    browser.go(&format!("{root}/flow?name=bill"));
    assert_eq!(browser.text("svg .error .count"), "1");
}

/// A page shows by itself what has happened, and stays as it is while something is typed into it, also
/// when nobody types any more.
#[test]
fn a_page_refreshes_and_loses_nothing() {
    let (_folder, file) = shop();
    let id = refused(&file);
    let (_server, root) = example("dashboard_tiny_http", &file);
    let browser = Browser::open();
    let conn = &mut SqliteConnection::establish(&file).expect("a connection");

    browser.go(&root);
    assert_eq!(browser.text("#stuck"), "1");
    browser.ask("window.seen = document.querySelector('main')");
    let wish = Wish::new("anna", "the bank is back").expect("a wish");
    act(&Action::Retry, id, &wish, conn).expect("retried");
    browser.wait_for("!document.querySelector('#stuck')");
    assert_eq!(browser.ask("window.seen.isConnected"), true, "the page was not loaded anew");

    browser.go(&format!("{root}/records"));
    let rows = "document.querySelectorAll('#records tbody tr').length";
    browser.ask(LOOKS);
    browser.write("input[name=key]", "order 17");
    browser.ask("document.activeElement.blur()");
    refused(&file);
    browser.wait_for("window.looks >= 4");
    assert_eq!(browser.ask("document.querySelector('input[name=key]').value"), "order 17");
    assert_eq!(browser.ask(rows), 1);
    // no more to lose, but for a press that has not become a click yet
    browser.press("h1", true);
    browser.ask("document.querySelector('input[name=key]').value = ''; window.looks = 0");
    browser.wait_for("window.looks >= 4");
    assert_eq!(browser.ask(rows), 1, "nothing is replaced under a pressed button");
    browser.press("h1", false);
    browser.wait_for(&format!("{rows} === 2"));
}

/// The servers of the examples and the command mount it, and let nobody in by another name of the host.
#[test]
fn servers_mount_it() {
    let (_folder, file) = shop();
    refused(&file);
    let agent = agent();
    for name in ["dashboard_tiny_http", "dashboard_axum", "flowstate dashboard"] {
        let (_server, root) = if name.starts_with("flowstate") {
            let mut command = Command::new(env!("CARGO_BIN_EXE_flowstate"));
            command.args(["--database-url", &file, "dashboard", "--port", "0"]);
            start(command, url_in)
        } else {
            example(name, &file)
        };
        for path in ["/", "/flow?name=bill", "/records", "/failures", "/workers", "/style.css"] {
            let answer = agent.get(format!("{root}{path}")).call().expect("an answer");
            assert_eq!(answer.status(), 200, "{name} {path}");
        }
        let evil = agent.get(format!("{root}/")).header("host", "evil.example").call();
        assert_eq!(evil.expect("an answer").status(), 403, "{name}");
    }
}
