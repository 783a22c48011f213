//! The newcomer's story, clicked in a real browser: what is stuck is found, explained and retried,
//! and each page's main numbers are read back.
//!
//! Needs Debian's packages `chromium` and `chromium-driver`: `apt-get install chromium
//! chromium-driver`. With SCREENSHOTS=folder the pages are kept there.
#![cfg(all(feature = "command", feature = "dashboard", feature = "sqlite"))]

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use flowstate::Flow;
use flowstate_diesel::diesel::connection::SimpleConnection as _;
use flowstate_diesel::operator::{register, show};
use flowstate_diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tempfile::TempDir;

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

/// A process that is ended with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).map(drop).unwrap_or_default();
    }
}

/// Starts a program and waits for the line by which it says where it listens.
fn start(mut command: Command, is_ready: impl Fn(&str) -> Option<String>) -> (Process, String) {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap_or_else(|error| {
        panic!("{command:?}: {error}; install Debian's chromium and chromium-driver")
    });
    let output = BufReader::new(child.stdout.take().expect("its output"));
    let process = Process(child);
    let found = output.lines().find_map(|line| is_ready(&line.expect("a line")));
    (process, found.expect("it says where it listens"))
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

/// A browser, driven by the `WebDriver` protocol.
struct Browser {
    session: String,
    _driver: Process,
}

impl Browser {
    fn open() -> Self {
        let mut command = Command::new("chromedriver");
        command.arg("--port=0");
        let (driver, port) = start(command, |line| {
            let port = line.split_once("started successfully on port ")?.1;
            Some(port.trim_end_matches('.').to_owned())
        });
        let args =
            ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1200,900"];
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": { "args": args } } } });
        let url = format!("http://127.0.0.1:{port}/session");
        let answer = send(&url, &wanted);
        let id = answer["sessionId"].as_str().expect("a session").to_owned();
        Self { session: format!("{url}/{id}"), _driver: driver }
    }

    fn go(&self, url: &str) {
        send(&format!("{}/url", self.session), &json!({ "url": url }));
    }

    fn find(&self, css: &str) -> String {
        let wanted = json!({ "using": "css selector", "value": css });
        let found = send(&format!("{}/element", self.session), &wanted);
        let id = found.as_object().and_then(|found| found.values().next()?.as_str());
        format!("{}/element/{}", self.session, id.unwrap_or_else(|| panic!("{css}: {found}")))
    }

    fn click(&self, css: &str) {
        send(&format!("{}/click", self.find(css)), &json!({}));
    }

    fn write(&self, css: &str, text: &str) {
        send(&format!("{}/value", self.find(css)), &json!({ "text": text }));
    }

    fn text(&self, css: &str) -> String {
        let mut answer = ureq::get(format!("{}/text", self.find(css))).call().expect("an answer");
        let answer: Value = answer.body_mut().read_json().expect("JSON");
        answer["value"].as_str().expect("text").to_owned()
    }

    /// What a script in the page says.
    fn ask(&self, script: &str) -> Value {
        let wanted = json!({ "script": format!("return {script}"), "args": [] });
        send(&format!("{}/execute/sync", self.session), &wanted)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // the driver is ended anyway
        ureq::delete(&self.session).call().map(drop).unwrap_or_default();
    }
}

fn send(url: &str, body: &Value) -> Value {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut answer = agent.post(url).send_json(body).expect("an answer");
    let answer: Value = answer.body_mut().read_json().expect("JSON");
    assert!(answer["value"]["error"].is_null(), "{url}: {}", answer["value"]);
    answer["value"].clone()
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

/// The servers of the examples and the command mount it, and let nobody in by another name of the host.
#[test]
fn servers_mount_it() {
    let (_folder, file) = shop();
    refused(&file);
    let agent: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).build().into();
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
