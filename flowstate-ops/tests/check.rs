//! `flowstate check`: versions of a program held against the records that are there, by the command
//! and as a part of a program's own.
#![cfg(all(feature = "command", feature = "sqlite"))]

use std::fs;
use std::process::Command;

use clap::Parser;
use flowstate::Flow;
use flowstate_diesel::diesel::connection::SimpleConnection as _;
use flowstate_diesel::operator::{register, registry};
use flowstate_diesel::prelude::*;
use flowstate_ops::Commands;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

/// The version that runs.
mod one {
    use super::{Deserialize, Flow, Serialize};

    #[derive(Flow, Serialize, Deserialize)]
    #[state(Open, Paid, Sent)]
    #[initial(Open)]
    #[completed(Sent)]
    #[persist(Receipt { cents: i64 })]
    #[transition(pay: Open => Paid, persist(Receipt))]
    #[transition(send: Paid => Sent)]
    pub(super) struct Order {
        pub(super) item: String,
    }
}

/// The next one: with a state in between, and a second version of the receipt, whose number is smaller.
mod two {
    use super::{Deserialize, Flow, ReceiptV1, Serialize};

    #[derive(Flow, Serialize, Deserialize)]
    #[flow(lock = "tests/check.flow")]
    #[state(Open, Paid, Packed, Sent)]
    #[initial(Open)]
    #[completed(Sent)]
    #[persist(Receipt { cents: u8 }, version = 2, upgrade(ReceiptV1))]
    #[transition(pay: Open => Paid, persist(Receipt))]
    #[transition(pack: Paid => Packed)]
    #[transition(send: Packed => Sent)]
    pub(super) struct Order {
        pub(super) item: String,
    }
}

/// As the first version reads it, but for the size of the number.
#[derive(Deserialize)]
struct ReceiptV1 {
    cents: u8,
}

impl From<ReceiptV1> for two::Receipt {
    fn from(ReceiptV1 { cents }: ReceiptV1) -> Self {
        Self { cents }
    }
}

/// A database, the command on it, and a program that has the command among its own.
struct Desk {
    folder: TempDir,
}

#[derive(Parser)]
enum Program {
    #[command(flatten)]
    Ops(Commands),
}

impl Desk {
    fn new() -> Self {
        let desk = Self { folder: tempfile::tempdir().expect("a folder") };
        flowstate_diesel::migrate(&mut desk.connect()).expect("migrated");
        desk
    }

    fn url(&self) -> String {
        self.folder.path().join("shop.db").display().to_string()
    }

    fn connect(&self) -> SqliteConnection {
        SqliteConnection::establish(&self.url()).expect("a connection")
    }

    /// The exit code of the command, and all that it prints.
    fn run(&self, args: &[&str]) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flowstate"));
        let output = command.args(args).env("DATABASE_URL", self.url()).output().expect("it ran");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code().expect("a code"), String::from_utf8(said).expect("UTF-8"))
    }

    /// The exit code of a program that has the second version of the flow, and all that it prints.
    fn run_in_program(&self, args: &[&str]) -> (i32, String) {
        let words = ["shop"].iter().chain(args);
        let Program::Ops(command) = Program::try_parse_from(words).expect("understood");
        let mut out = Vec::new();
        let exit = command.run_for::<(two::Order,)>(&mut self.connect(), &mut out);
        let said = String::from_utf8(out).expect("UTF-8");
        match exit {
            Ok(exit) => (exit.code().into(), said),
            Err(problem) => (problem.exit().code().into(), said + &problem.in_one_line()),
        }
    }

    /// An order of the first version that is paid.
    fn paid(&self, cents: i64) -> i64 {
        let conn = &mut self.connect();
        let mut order = one::Order { item: "hat".to_owned() }.create(conn).expect("created");
        let request = order.transition(one::Order::PAY, conn);
        request.persist(one::Receipt { cents }).run().expect("paid");
        order.id()
    }
}

/// The version that was left last is the one that is asked about; an earlier one by its hash.
#[test]
fn what_a_version_does_not_know_ends_with_a_code_of_its_own() {
    let desk = Desk::new();
    register::<(one::Order,)>("shop 1", &mut desk.connect()).expect("registered");
    let first = registry(&mut desk.connect()).expect("read").definitions[0].hash.clone();
    desk.paid(100);
    let (code, said) = desk.run(&["check"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("records that have not ended: 1; findings: 0"), "{said}");
    let (code, said) = desk.run(&["check", "--rollback-to", ""]);
    assert!(code == 2 && said.contains("write more of it"), "{code} {said}");

    register::<(two::Order,)>("shop 2", &mut desk.connect()).expect("registered");
    for _ in 0..2 {
        let conn = &mut desk.connect();
        let mut order = two::Order { item: "hat".to_owned() }.create(conn).expect("created");
        let request = order.transition(two::Order::PAY, conn);
        request.persist(two::Receipt { cents: 1 }).run().expect("paid");
        order.transition(two::Order::PACK, conn).run().expect("packed");
    }
    assert_eq!(desk.run(&["check"]).0, 0);
    let (code, said) = desk.run(&["check", "--rollback-to", &first[..6]]);
    assert_eq!(code, 3, "{said}");
    let line = "2 records are in states that version does not know: packed 2";
    assert!(said.contains(line), "{said}");
    let line = "2 records have payloads newer than that version reads";
    assert!(said.contains(line), "{said}");
    let rollback = ["check", "--rollback-to", &first, "-o", "json"];
    let (code, said) = desk.run(&rollback);
    let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!((code, &said["findings"][0]["found"]), (3, &"unknown_state".into()));
    assert_eq!(said["newer"], 2);
    let ignored = ["unknown-state", "unknown-transition", "newer"];
    let ignored: Vec<_> = ignored.into_iter().flat_map(|kind| ["--ignore", kind]).collect();
    let (code, said) = desk.run(&[&rollback[..], &ignored[..]].concat());
    assert_eq!(code, 0, "{said}");

    for (args, part) in [
        (["check", "--rollback-to", "xyz"], "no program has left a graph `xyz`"),
        (["check", "--rollback-to", ""], "write more of it"),
        (["check", "--flow", "bill"], "no program has registered a flow `bill`"),
    ] {
        let (code, said) = desk.run(&args);
        assert!(code == 2 && said.contains(part), "{args:?}: {code} {said}");
    }
    let row = "UPDATE flowstate_flows SET flow = 'bill' WHERE id = 1";
    desk.connect().batch_execute(row).expect("of another program");
    let (code, said) = desk.run(&["check"]);
    assert!(code == 0 && said.contains("bill: not checked"), "{code} {said}");
}

/// A program with the flow's types reads every value, and forces nothing into a state that it does
/// not know.
#[test]
fn a_program_checks_with_its_types() {
    let desk = Desk::new();
    let (wide, _) = (desk.paid(1_000), desk.paid(7));
    let (code, said) = desk.run_in_program(&["check"]);
    assert_eq!(code, 3, "{said}");
    let line = format!("order #{wide}: the stored artefact `receipt` cannot be read at `cents`");
    assert!(said.contains(&line), "{said}");
    let (_, ids) = desk.run_in_program(&["check", "-o", "ids"]);
    assert_eq!(ids.trim(), wide.to_string());
    let (code, said) = desk.run_in_program(&["check", "--ignore", "unreadable"]);
    assert!(code == 0 && said.contains("not ended: 2; findings: 0"), "{code} {said}");
    assert_eq!(desk.run_in_program(&["check", "--flow", "bill"]).0, 2);

    // a third version knows one more
    register::<(two::Order,)>("shop 2", &mut desk.connect()).expect("registered");
    let third = "UPDATE flowstate_definitions SET definition = \
         replace(definition, '\"name\":\"packed\"', '\"name\":\"weighed\"')";
    desk.connect().batch_execute(third).expect("as of another program");
    let force = ["force", "weighed", &wide.to_string(), "--reason", "why not", "--actor", "anna"];
    let (code, said) = desk.run_in_program(&force);
    assert!(code == 5 && said.contains("this program does not know the state `weighed`"), "{said}");
    let (code, said) = desk.run(&force);
    assert_eq!(code, 0, "the command goes by what programs have left: {said}");
}

/// The lock file learns what every record has that is there.
#[test]
fn settling_widens_the_lines_of_a_lock_file() {
    let desk = Desk::new();
    register::<(one::Order,)>("shop 1", &mut desk.connect()).expect("registered");
    let (first, _) = (desk.paid(1), desk.paid(2));
    let file = desk.folder.path().join("order.flow");
    let text = "flow order\nartefact receipt\nstate open\nstate packed\nstate paid\n\
         state sent completed\ntransition pay: open => paid +receipt\n\
         transition send: paid => sent\n";
    fs::write(&file, text).expect("written");
    let path = file.display().to_string();
    let settle = ["check", "--settle", "--lock", &path];

    let gone = format!("DELETE FROM flowstate_artefacts WHERE flow_id = {first}");
    let lacking = "INSERT INTO flowstate_artefacts SELECT * FROM kept";
    let mut conn = desk.connect();
    conn.batch_execute("CREATE TABLE kept AS SELECT * FROM flowstate_artefacts").expect("kept");
    conn.batch_execute(&gone).expect("deleted");
    let (code, said) = desk.run(&settle);
    assert!(code == 0 && said.contains("says so already"), "{code} {said}");
    assert!(said.contains("no record stands in `packed`"), "{said}");
    assert_eq!(fs::read_to_string(&file).expect("read"), text);

    conn.batch_execute("DELETE FROM flowstate_artefacts").expect("deleted");
    conn.batch_execute(lacking).expect("all have one");
    let (code, said) = desk.run(&[&settle[..], &["--dry-run"]].concat());
    assert!(code == 0 && said.contains("state paid has receipt"), "{code} {said}");
    assert!(said.contains("would be written"), "{said}");
    assert_eq!(fs::read_to_string(&file).expect("read"), text);
    let (code, said) = desk.run(&settle);
    assert!(code == 0 && said.contains("state paid has receipt"), "{code} {said}");
    let settled = text.replace("state paid\n", "state paid has receipt\n");
    assert_eq!(fs::read_to_string(&file).expect("read"), settled);

    // records that begin anew have nothing, whatever those have that wait there now
    let again = one::Order { item: "pen".to_owned() }.create(&mut conn).expect("created");
    let begun = format!(
        "CREATE TABLE begun AS SELECT * FROM kept LIMIT 1; \
         UPDATE begun SET flow_id = {}, seq = 0; \
         INSERT INTO flowstate_artefacts SELECT * FROM begun",
        again.id()
    );
    conn.batch_execute(&begun).expect("as if it had come back");
    let (code, said) = desk.run(&settle);
    assert!(code == 0 && said.contains("says so already"), "{code} {said}");

    let (code, said) = desk.run(&["check", "--settle"]);
    assert!(code == 2 && said.contains("--lock"), "{code} {said}");
    fs::write(&file, text.replace("flow order", "flow bill")).expect("written");
    let (code, said) = desk.run(&settle);
    assert!(code == 2 && said.contains("`bill`"), "{code} {said}");
    fs::write(&file, "stat open\n").expect("written");
    let (code, said) = desk.run(&settle);
    assert!(code == 2 && said.contains("line 1"), "{code} {said}");
    // a program knows where its lock file is
    let (_, said) = desk.run_in_program(&["check", "--settle"]);
    assert!(said.contains("tests/check.flow` says so already"), "{said}");
}
