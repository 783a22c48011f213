//! The command as people and scripts have it: a process, its output and its exit code.
#![cfg(all(feature = "command", feature = "dashboard", feature = "sqlite"))]

mod many;

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use flowstate::Flow;
use flowstate_diesel::operator::register;
use flowstate_diesel::prelude::*;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

/// Sends a bill and waits for the money.
#[derive(Flow, Serialize, Deserialize)]
#[state(Open, Charging, Refused(error), Paid, Cancelled)]
#[initial(Open)]
#[completed(Paid, Cancelled)]
#[flow(secret(iban))]
#[persist(Receipt(String))]
#[transition(start: Open | Refused => Charging)]
#[transition(pay: Charging => Paid, persist(Receipt))]
#[transition(refuse: Charging => Refused)]
#[transition(cancel: * => Cancelled, operator)]
struct Bill {
    customer: String,
    iban: String,
}

/// A database with bills, and the command on it.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { folder: tempfile::tempdir().expect("a folder") };
        assert_eq!(desk.run(&["migrate"]).status.code(), Some(0));
        register::<(Bill,)>("shop 1", &mut desk.connect()).expect("registered");
        desk
    }

    fn url(&self) -> String {
        self.folder.path().join("shop.db").display().to_string()
    }

    fn connect(&self) -> SqliteConnection {
        SqliteConnection::establish(&self.url()).expect("a connection")
    }

    /// A bill whose payment was refused, and that nobody tries again by itself.
    fn refused(&self, error: &str) -> i64 {
        let conn = &mut self.connect();
        let bill = Bill { customer: "Ada".to_owned(), iban: "DE02".to_owned() };
        let mut bill = bill.create(conn).expect("created");
        bill.transition(Bill::START, conn).run().expect("started");
        bill.transition(Bill::REFUSE, conn).error(error).run().expect("refused");
        bill.id()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flowstate"));
        command.args(args).env("DATABASE_URL", self.url()).env("FLOWSTATE_ACTOR", "anna@laptop");
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("it ran")
    }

    /// What a command that succeeds prints.
    fn says(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// The exit code of a command, and all that it prints.
    fn fails(&self, args: &[&str]) -> (i32, String) {
        let output = self.run(args);
        let code = output.status.code().expect("a code");
        (code, text(&output.stdout) + &text(&output.stderr))
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// What is found is explained, and healed.
#[test]
fn a_record_is_found_explained_and_retried() {
    let desk = Desk::new();
    let id = desk.refused("the bank says no").to_string();
    let listed = desk.says(&["list", "--flow", "bill", "--state", "refused"]);
    assert!(listed.contains("the bank says no"), "{listed}");
    assert_eq!(desk.says(&["list", "-o", "ids"]).trim(), id);

    let shown = desk.says(&["show", &id]);
    for part in
        ["bill #", "`refused`", "the bank says no", "`cancelled` (cancel, by `flowstate take`)"]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(shown.contains("Ada") && !shown.contains("DE02"), "{shown}");
    assert!(desk.says(&["failures"]).contains("the bank says no"));

    let done = desk.says(&["retry", &id, "--reason", "the bank is back"]);
    assert!(done.contains("1 done, 0 refused"), "{done}");
    let history = desk.says(&["history", &id, "-o", "json"]);
    let history: serde_json::Value = serde_json::from_str(&history).expect("JSON");
    let last = history.as_array().and_then(|rows| rows.last()).expect("a row");
    assert_eq!(last["transition"], "operator.retry");
    assert_eq!(last["actor"], "anna@laptop");
    assert_eq!(last["metadata"]["reason"], "the bank is back");
    assert!(desk.says(&["audit"]).contains("0 findings"));
}

/// Many at once: a look first, then `--yes`, or ids through a pipe.
#[test]
fn many_are_changed_after_a_look() {
    let desk = Desk::new();
    let ids: Vec<_> = (0..3).map(|_| desk.refused("no").to_string()).collect();
    let refused = ["--flow", "bill", "--state", "refused"];
    let with = |args: &[&'static str]| [&["take", "cancel"], &refused[..], args].concat();

    let looked = desk.says(&with(&["--dry-run"]));
    assert!(looked.contains("would take 3 records"), "{looked}");
    let (code, said) = desk.fails(&with(&["--reason", "a mistake"]));
    assert_eq!(code, 2);
    assert!(said.contains("--yes"), "{said}");
    assert_eq!(desk.says(&["list", "--state", "refused", "-o", "ids"]).lines().count(), 3);

    // the first two through a pipe
    let mut piped = desk.command(&["take", "cancel", "-", "--reason", "a mistake", "-o", "ids"]);
    let mut piped = piped.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it started");
    let input = ids[..2].join("\n");
    piped.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("written");
    let output = piped.wait_with_output().expect("it ran");
    assert_eq!(text(&output.stdout).trim(), input);

    let done = desk.says(&with(&["--reason", "a mistake", "--yes"]));
    assert!(done.contains("1 done, 0 refused"), "{done}");
    assert!(desk.says(&["stats"]).contains("cancelled"));
}

/// More than the library plans at once are done all the same.
#[test]
fn all_of_very_many_are_changed() {
    use flowstate_diesel::diesel::connection::SimpleConnection as _;

    let desk = Desk::new();
    let id = desk.refused("no");
    desk.connect().batch_execute(&many::copies(id, 10_050)).expect("copied");
    let retry = |last: &'static [&'static str]| {
        desk.says(&[&["retry", "--flow", "bill", "--state", "refused"], last].concat())
    };
    let looked = retry(&["--dry-run"]);
    assert!(looked.contains("would retry 10051 records, and refuse 0"), "{looked}");
    let done = retry(&["--reason", "the bank is back", "--yes"]);
    assert!(done.contains("10051 done, 0 refused"), "{done}");
    let ids = desk.says(&["list", "--state", "refused", "--limit", "20000", "-o", "ids"]);
    assert_eq!(ids.lines().count(), 10_051);
    let last = ids.lines().last().expect("an id");
    assert_eq!(desk.says(&["history", last, "-o", "ids"]).lines().count(), 4, "moved once");
    assert!(desk.says(&["audit"]).contains("0 findings"));
}

/// Each way to end has a code of its own, and an error says what to do.
#[test]
fn exit_codes_and_remedies() {
    let desk = Desk::new();
    let id = desk.refused("no").to_string();
    let because = ["--reason", "why not"];
    let cases: [(&[&str], i32, &str); 8] = [
        (&["show", "999"], 4, "there is no record #999"),
        (&["retry", "999", because[0], because[1]], 4, "#999"),
        (&["retry", "999", "--dry-run"], 4, "#999"),
        (&["take", "pay", &id, because[0], because[1]], 5, "not declared `operator`"),
        (&["force", "moon", &id, because[0], because[1]], 5, "`moon`"),
        (&["retry", "--dry-run"], 2, "say which records"),
        (&["retry", &id], 2, "--reason"),
        (&["graph", "nothing"], 2, "flowstate definitions"),
    ];
    for (args, code, part) in cases {
        let (found, said) = desk.fails(args);
        assert!(found == code && said.contains(part), "{args:?}: {found} {said}");
    }
    let (code, said) = desk.fails(&["--database-url", "/nowhere/shop.db", "list"]);
    assert!(code == 2 && said.contains("/nowhere/shop.db"), "{code} {said}");
    let (code, said) = desk.fails(&["--database-url", "oracle://shop", "list"]);
    assert!(code == 2 && said.contains("oracle"), "{code} {said}");
}

/// What should not be there has a code of its own.
#[test]
fn an_audit_tells_what_it_found() {
    use flowstate_diesel::diesel::connection::SimpleConnection as _;

    let desk = Desk::new();
    let id = desk.refused("no");
    desk.connect().batch_execute("DELETE FROM flowstate_transitions WHERE seq = 1").expect("gone");
    let (code, said) = desk.fails(&["audit"]);
    assert!(code == 3 && said.contains("history"), "{code} {said}");
    assert_eq!(desk.fails(&["audit", "-o", "ids"]), (3, format!("{id}\n")));
    let (_, said) = desk.fails(&["audit", "-o", "json"]);
    let audit: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    let found = serde_json::json!([{ "flow": "bill", "id": id, "problem": "history-gap" }]);
    assert_eq!((&audit["flows"], &audit["findings"]), (&1.into(), &found));
}

/// Tables of other versions are recognised: newer and older ones, and none.
#[test]
fn other_versions_are_said_and_not_guessed() {
    use flowstate_diesel::diesel::connection::SimpleConnection as _;

    let desk = Desk::new();
    let mut conn = desk.connect();
    conn.batch_execute("INSERT INTO flowstate_migrations VALUES ('2999-01-01-000000', '')")
        .expect("inserted");
    let says = |expected: i32, part: &str| {
        for args in [&["list"][..], &["dashboard", "--port", "0"]] {
            let (code, said) = desk.fails(args);
            assert!(code == expected && said.contains(part), "{args:?}: {code} {said}");
        }
    };
    says(2, "newer");
    conn.batch_execute("DELETE FROM flowstate_migrations").expect("deleted");
    says(2, "older");
    conn.batch_execute("DROP TABLE flowstate_migrations").expect("dropped");
    says(1, "migrate");
}

/// The graph needs no program, and completions are those of this command.
#[test]
fn graphs_and_completions_are_printed() {
    let desk = Desk::new();
    let mermaid = desk.says(&["graph", "bill"]);
    for part in ["stateDiagram-v2", "[*] --> open", "charging --> paid: pay", "class refused error"]
    {
        assert!(mermaid.contains(part), "{part}: {mermaid}");
    }
    let dot = desk.says(&["graph", "bill", "--format", "dot"]);
    assert!(dot.contains(r#""charging" -> "paid" [label = "pay"];"#), "{dot}");
    assert!(desk.says(&["definitions"]).contains("shop 1"));
    assert!(desk.says(&["workers", "-o", "json"]).trim() == "[]");
    assert!(desk.says(&["completions", "bash"]).contains("flowstate"));
    assert!(desk.says(&["purge", "--older-than", "90d", "--dry-run"]).contains("would delete 0"));
    assert!(desk.says(&["purge", "--older-than", "90d", "--reason", "old"]).contains("deleted 0"));
}

/// What is stored cannot move the cursor of a terminal, nor add lines to a table.
#[test]
fn stored_text_is_not_obeyed() {
    let desk = Desk::new();
    let id = desk.refused("\u{1b}[2Jgone\nnext").to_string();
    for args in [&["list"][..], &["show", &id], &["failures"]] {
        let said = desk.says(args);
        assert!(!said.contains('\u{1b}'), "{said:?}");
        assert!(said.contains("[2Jgone"), "{said:?}");
    }
}
