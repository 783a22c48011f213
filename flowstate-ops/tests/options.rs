//! Each option of each command, as a process on a file.
#![cfg(all(feature = "command", feature = "sqlite"))]

use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use flowstate::Flow;
use flowstate_diesel::diesel::connection::SimpleConnection as _;
use flowstate_diesel::operator::register;
use flowstate_diesel::{Backoff, claim_next, prelude::*};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

/// Takes a parcel to somebody.
#[derive(Flow, Serialize, Deserialize)]
#[state(Packed, OnTheWay, Lost(error), There)]
#[initial(Packed)]
#[completed(There)]
#[flow(label(customer))]
#[persist(Signature(String))]
#[step(carry: Packed | Lost => OnTheWay => There(persist(Signature)), fail(Lost))]
struct Parcel {
    customer: u64,
}

struct Depot {
    folder: TempDir,
}

impl Depot {
    fn new() -> Self {
        let depot = Self { folder: tempfile::tempdir().expect("a folder") };
        assert_eq!(depot.says(&["migrate"]).lines().count(), 1);
        assert!(depot.says(&["migrate"]).contains("up to date"));
        assert!(depot.says(&["migrate", "--dry-run"]).contains("up to date"));
        register::<(Parcel,)>("depot 1", &mut depot.connect()).expect("registered");
        depot
    }

    fn url(&self) -> String {
        self.folder.path().join("depot.db").display().to_string()
    }

    fn connect(&self) -> SqliteConnection {
        SqliteConnection::establish(&self.url()).expect("a connection")
    }

    /// A parcel in each state: packed, on the way, lost for good, there.
    fn parcels(&self) -> [i64; 4] {
        let conn = &mut self.connect();
        let step = Parcel::CARRY.retry(Backoff::fixed(Duration::ZERO).attempts(1));
        let mut claim = |customer: u64| {
            Parcel { customer }.create(conn).expect("created");
            claim_next(&step, conn).expect("no error").expect("a claim")
        };
        let [on_the_way, lost, there] = [1, 2, 3].map(&mut claim);
        let ids = [on_the_way.id(), lost.id(), there.id()];
        drop(on_the_way);
        lost.fail("the van is gone", conn).expect("failed");
        there.finish(Signature("Ada".to_owned()), conn).expect("finished");
        let packed = Parcel { customer: 3 }.create_once("order 7", conn).expect("created");
        [packed.into_record().id(), ids[0], ids[1], ids[2]]
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flowstate"));
        command.args(args).env("DATABASE_URL", self.url()).env_remove("FLOWSTATE_ACTOR");
        command.env("USER", "anna").stdin(Stdio::null());
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

    fn ids(&self, args: &[&str]) -> Vec<i64> {
        let said = self.says(&[&["list", "-o", "ids"], args].concat());
        said.lines().map(|line| line.parse().expect("an id")).collect()
    }

    fn json(&self, args: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.says(&[args, &["-o", "json"]].concat())).expect("JSON")
    }

    /// The exit code of a command that fails, and what it says of it.
    fn fails(&self, args: &[&str]) -> (i32, String) {
        let output = self.run(args);
        (output.status.code().expect("a code"), text(&output.stdout) + &text(&output.stderr))
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

#[test]
fn lists_are_narrowed_by_each_option() {
    let depot = Depot::new();
    let [packed, on_the_way, lost, there] = depot.parcels();
    assert_eq!(depot.ids(&[]).len(), 4);
    assert_eq!(depot.ids(&["--flow", "other"]), [0; 0]);
    assert_eq!(depot.ids(&["--error-kind", "the van is gone"]), [lost]);
    assert_eq!(depot.ids(&["--error-kind", "the van"]), [0; 0]);
    assert_eq!(depot.ids(&["--state", "packed"]), [packed]);
    assert_eq!(depot.ids(&["--state", "packed", "--state", "there"]), [packed, there]);
    assert_eq!(depot.ids(&["--key", "order 7"]), [packed]);
    let of_3 = ["--flow", "parcel", "--label", "customer=3"];
    assert_eq!(depot.ids(&of_3), [there, packed]);
    assert_eq!(depot.ids(&["--error", "van"]), [lost]);
    assert_eq!(depot.ids(&["--stuck"]), [lost]);
    assert_eq!(depot.ids(&["--stuck-because", "gave-up"]), [lost]);
    assert_eq!(depot.ids(&["--stuck-because", "lease-over"]), [0; 0]);
    assert_eq!(depot.ids(&["--older-than", "3d"]), [0; 0]);
    let aged = "UPDATE flowstate_flows SET updated_at = '2026-01-01 00:00:00.000000' WHERE id = ";
    depot.connect().batch_execute(&format!("{aged}{on_the_way}")).expect("aged");
    for long in ["90s", "15m", "12h", "3d", "2w"] {
        assert_eq!(depot.ids(&["--older-than", long]), [on_the_way], "{long}");
    }
    let lists = depot.json(&["list", "--state", "lost"]);
    assert_eq!(lists["records"][0]["stuck"], "gave_up");
    assert!(lists["next"].is_null());

    // page by page; what is left out is said
    let first = depot.run(&["list", "--limit", "3", "-o", "ids"]);
    assert!(text(&first.stderr).contains("--after"), "a pipe gets ids, and people are told");
    let table = depot.says(&["list", "--limit", "3"]);
    let (_, after) = table.split_once("--after '").expect("there is more");
    let after = after.split_once('\'').expect("its end").0;
    let mut all: Vec<_> =
        text(&first.stdout).lines().map(|id| id.parse().expect("an id")).collect();
    all.extend(depot.ids(&["--after", after]));
    assert_eq!(all, depot.ids(&[]));
}

#[test]
fn what_is_not_understood_is_said() {
    let depot = Depot::new();
    let id = depot.parcels()[2].to_string();
    let because = ["--reason", "why not"];
    let cases: [(&[&str], &str); 12] = [
        (&["list", "--label", "customer=3"], "--flow"),
        (&["list", "--label", "customer"], "name=value"),
        (&["list", "--older-than", "3 days"], "3d"),
        (&["list", "--older-than", "99999999999999999999w"], "no time"),
        (&["list", "--stuck-because", "bad luck"], "gave-up"),
        (&["list", "--after", "there"], "another list"),
        (&["list", "-o", "yaml"], "json"),
        (&["show", "one"], "one"),
        (&["retry", "one", because[0], because[1]], "no id"),
        (&["retry", &id, "--flow", "parcel", because[0], because[1]], "not both"),
        (&["retry", "-", because[0], because[1]], "no ids"),
        (&["retry", &id, "--reason", " "], "reason"),
    ];
    for (args, part) in cases {
        let (code, said) = depot.fails(args);
        assert!(code == 2 && said.contains(part), "{args:?}: {code} {said}");
    }
    let mut nowhere = Command::new(env!("CARGO_BIN_EXE_flowstate"));
    let nowhere = nowhere.arg("list").env_remove("DATABASE_URL").output().expect("it ran");
    assert_eq!(nowhere.status.code(), Some(2));
    assert!(text(&nowhere.stderr).contains("DATABASE_URL"));

    // a file, and no database
    let file = depot.folder.path().join("letter.txt");
    std::fs::write(&file, "Dear Ada, how do you do? ".repeat(100)).expect("written");
    let (code, said) = depot.fails(&["--database-url", &file.display().to_string(), "list"]);
    assert!(code == 1 && said.contains("not a database"), "{code} {said}");
}

#[test]
fn one_record_is_shown_in_each_way() {
    let depot = Depot::new();
    let [packed, _, lost, there] = depot.parcels();
    let [packed, lost, there] = [packed, lost, there].map(|id| id.to_string());
    let shown = depot.says(&["show", &packed]);
    assert!(shown.contains("order 7") && shown.contains("customer = 3"), "{shown}");
    let shown = depot.says(&["show", &there]);
    assert!(shown.contains("--artefacts") && !shown.contains("\"Ada\""), "{shown}");
    assert!(depot.says(&["show", &there, "--artefacts"]).contains("\"Ada\""));
    assert_eq!(depot.json(&["show", &there])["artefacts"], serde_json::json!([]));
    let shown = depot.json(&["show", &there, "--artefacts"]);
    assert_eq!(shown["artefacts"][0]["payload"], "Ada");
    assert_eq!(depot.says(&["show", &there, "-o", "ids"]).trim(), there);
    let shown = depot.json(&["show", &lost]);
    assert_eq!(shown["standing"]["error"], "the van is gone");
    assert_eq!(depot.says(&["history", &there, "-o", "ids"]).lines().count(), 3);
    assert_eq!(depot.json(&["failures", "--flow", "parcel"])[0]["records"], 1);
    assert_eq!(depot.json(&["failures", "--flow", "other"]), serde_json::json!([]));
    assert_eq!(depot.json(&["stats", "--flow", "parcel"]).as_array().map(Vec::len), Some(4));
    assert_eq!(depot.json(&["stats", "--flow", "other"]), serde_json::json!([]));
    assert_eq!(depot.json(&["definitions"])[0]["program"], "depot 1");
}

#[test]
fn records_are_forced_and_released() {
    let depot = Depot::new();
    let [packed, on_the_way, lost, _] = depot.parcels();
    let [packed, claimed, lost] = [packed, on_the_way, lost].map(|id| id.to_string());
    let because = ["--reason", "the van burnt out"];
    let with = |args: &[&'static str], id: &str| -> Vec<String> {
        let words = args.iter().chain(&because).map(|word| (*word).to_owned());
        words.chain([id.to_owned()]).collect()
    };
    let run = |args: Vec<String>| depot.fails(&args.iter().map(String::as_str).collect::<Vec<_>>());

    let forced = depot.json(&["force", "there", &lost, because[0], because[1]]);
    assert_eq!(forced["moved"][0]["to"], "there");
    assert!(forced["moved"][0]["skipped"].as_array().is_some_and(|skipped| !skipped.is_empty()));
    let history = depot.json(&["history", &lost]);
    let newest = history.as_array().and_then(|rows| rows.last()).expect("a row");
    assert_eq!(newest["transition"], "operator.force");
    // by whom, if nobody says so
    assert!(newest["actor"].as_str().is_some_and(|actor| actor.starts_with("anna")), "{newest}");
    let (code, _) = run([with(&["force", "there"], &packed), vec!["--dry-run".into()]].concat());
    assert_eq!((code, depot.ids(&["--state", "packed"]).len()), (0, 1));
    let named = [with(&["force", "there"], &packed), vec!["--actor".into(), "berta".into()]];
    assert_eq!(run(named.concat()).0, 0);
    assert_eq!(depot.json(&["history", &packed])[1]["actor"], "berta");

    let (code, said) = run(with(&["release"], &claimed));
    assert!(code == 5 && said.contains("may be at work"), "{code} {said}");
    assert_eq!(run(with(&["release"], &packed)).0, 5, "nobody has claimed it");
    let holder = depot.json(&["show", &claimed])["standing"]["leased_by"].clone();
    let holder = holder.as_str().expect("a holder").to_owned();
    let other = [with(&["release"], &claimed), vec!["--gone".into(), "somebody else".into()]];
    assert_eq!(run(other.concat()).0, 5);
    let gone = [with(&["release"], &claimed), vec!["--gone".into(), holder]];
    let (code, said) = run(gone.concat());
    assert!(code == 0 && said.contains("1 done"), "{code} {said}");
    assert_eq!(depot.ids(&["--state", "packed"]).len(), 1, "it is where it was");
    // one that is there and one that is not
    let (code, said) = depot.fails(&["retry", "999", &lost, because[0], because[1]]);
    assert!(code == 4 && said.contains("0 done, 2 refused"), "{code} {said}");
}

#[test]
fn what_was_completed_long_ago_is_purged() {
    let depot = Depot::new();
    let there = depot.parcels()[3];
    let long_ago = "UPDATE flowstate_flows SET completed_at = '2026-01-01 00:00:00.000000', \
                    updated_at = '2026-01-01 00:00:00.000000' WHERE id = ";
    assert!(depot.says(&["purge", "--older-than", "12w", "--dry-run"]).contains("would delete 0"));
    depot.connect().batch_execute(&format!("{long_ago}{there}")).expect("aged");
    assert!(depot.says(&["purge", "--older-than", "12w", "--dry-run"]).contains("would delete 1"));
    assert_eq!(depot.ids(&[]).len(), 4);
    let purge = ["purge", "--older-than", "12w", "--reason", "the year is over"];
    let found = depot.says(&[&purge[..3], &["--dry-run", "-o", "ids"]].concat());
    assert_eq!(found.trim(), there.to_string());
    assert_eq!(depot.fails(&purge[..3]).0, 2, "why must be said: no history is left to tell");
    let purged = depot.json(&purge);
    assert_eq!((&purged["records"], &purged["ids"][0]), (&1.into(), &there.into()));
    assert_eq!(purged["reason"], "the year is over");
    assert!(depot.says(&purge).contains("deleted 0 records"));
    assert!(depot.says(&purge).contains(": the year is over"));
    assert_eq!(depot.ids(&["--state", "there"]), [0; 0]);
    assert_eq!(depot.fails(&["purge"]).0, 2, "how old must be said");
}

/// While somebody else writes.
#[test]
fn commands_that_read_wait_for_no_writer() {
    let depot = Depot::new();
    let id = depot.parcels()[2].to_string();
    let mut writer = depot.connect();
    writer.batch_execute("PRAGMA journal_mode = WAL; BEGIN IMMEDIATE").expect("locked");
    writer.batch_execute("UPDATE flowstate_flows SET attempts = attempts").expect("written");
    let retry = ["retry", &id, "--reason", "why not", "--dry-run"];
    let reading: [&[&str]; 11] = [
        &["list", "--stuck"],
        &["show", &id],
        &["history", &id],
        &["failures"],
        &["stats"],
        &["workers"],
        &["definitions"],
        &["graph", "parcel"],
        &["audit"],
        &["purge", "--older-than", "1w", "--dry-run"],
        &retry,
    ];
    for args in reading {
        depot.says(args);
    }
    writer.batch_execute("ROLLBACK").expect("rolled back");
}

#[test]
fn each_shell_completes() {
    let depot = Depot::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = depot.says(&["completions", shell]);
        for command in ["list", "retry", "stuck-because"] {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
    let mut piped = depot.command(&["completions", "bash"]);
    let mut piped = piped.stdout(Stdio::piped()).spawn().expect("it started");
    drop(piped.stdout.take());
    assert!(piped.wait().expect("its end").success(), "whoever reads may have enough");
    let mut none = depot.command(&["retry", "-", "--reason", "why not"]);
    let mut none = none.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it started");
    none.stdin.take().expect("a pipe").write_all(b"#x\n").expect("written");
    assert_eq!(none.wait().expect("its end").code(), Some(2));
}
