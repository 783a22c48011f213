//! Lock files as a team meets them: branches that change them merge.
#![allow(missing_docs, reason = "a test has no readers of its documentation")]

use std::fs;
use std::path::Path;
use std::process::Command;

use flowstate::lock::Lock;

const ORDER: &str = "\
flow order
artefact receipt
state charged has receipt
state pending
state shipped completed has receipt
transition pay: pending => charged +receipt
transition ship: charged => shipped
";

fn git(folder: &Path, arguments: &[&str]) -> bool {
    let identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
    let command = Command::new("git").args(identity).args(arguments).current_dir(folder).output();
    command.expect("git runs").status.success()
}

/// A commit in which the files have these texts.
fn commit(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        fs::write(folder.join(name), text).expect("written");
    }
    assert!(git(folder, &["add", "-A"]) && git(folder, &["commit", "-q", "-m", "a change"]));
}

/// A repository with two branches, `ours` and `theirs`, that each change files, merged.
fn merged(
    union: bool,
    ours: &[(&str, &str)],
    theirs: &[(&str, &str)],
) -> (tempfile::TempDir, bool) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    assert!(git(path, &["init", "-q", "-b", "ours"]));
    let attributes = if union { "*.flow merge=union\n" } else { "" };
    let bill = ORDER.replace("order", "bill");
    commit(path, &[(".gitattributes", attributes), ("order.flow", ORDER), ("bill.flow", &bill)]);
    assert!(git(path, &["branch", "theirs"]));
    commit(path, ours);
    assert!(git(path, &["checkout", "-q", "theirs"]));
    commit(path, theirs);
    assert!(git(path, &["checkout", "-q", "ours"]));
    let is_clean = git(path, &["merge", "-q", "theirs"]);
    (folder, is_clean)
}

fn with_lines(text: &str, lines: &str) -> String {
    Lock::parse(&format!("{text}{lines}")).expect("a lock").to_string()
}

#[test]
fn two_branches_that_each_add_a_state_merge() {
    let packed = "state packed has receipt\ntransition pack: charged => packed\n";
    let waiting = "state parked has receipt\ntransition park: charged => parked\n";
    let [ours, theirs] = [packed, waiting].map(|lines| with_lines(ORDER, lines));
    let (folder, is_clean) = merged(true, &[("order.flow", &ours)], &[("order.flow", &theirs)]);
    assert!(is_clean);
    let text = fs::read_to_string(folder.path().join("order.flow")).expect("read");
    let lock = Lock::parse(&text).expect("a lock");
    assert_eq!(lock.to_string(), with_lines(ORDER, &format!("{packed}{waiting}")));
}

#[test]
fn two_branches_that_change_one_state_leave_what_both_say() {
    let ours = ORDER.replace("state charged has receipt", "state charged");
    let theirs = ORDER.replace("charged has receipt", "charged has address receipt");
    let (folder, is_clean) = merged(true, &[("order.flow", &ours)], &[("order.flow", &theirs)]);
    assert!(is_clean);
    let text = fs::read_to_string(folder.path().join("order.flow")).expect("read");
    assert!(Lock::parse(&text).expect("a lock").states["charged"].has.is_empty(), "{text}");
}

#[test]
fn branches_that_change_different_flows_never_conflict() {
    let ours = with_lines(ORDER, "state packed\n");
    let theirs = with_lines(&ORDER.replace("order", "bill"), "state packed\n");
    let (folder, is_clean) = merged(false, &[("order.flow", &ours)], &[("bill.flow", &theirs)]);
    assert!(is_clean);
    for (name, text) in [("order.flow", ours), ("bill.flow", theirs)] {
        assert_eq!(fs::read_to_string(folder.path().join(name)).expect("read"), text);
    }
}

/// A flow of which the props and an artefact have two versions. The files beside the lock tell what is
/// there of samples.
macro_rules! order_locked_by {
    ($module:ident, $lock:literal) => {
        #[allow(dead_code, reason = "of a macro's flow all is looked at")]
        mod $module {
            #[derive(flowstate::Flow, serde::Serialize, serde::Deserialize)]
            #[flow(lock = $lock, version = 2, upgrade(OrderV1))]
            #[state(Open, Paid)]
            #[initial(Open)]
            #[completed(Paid)]
            #[persist(Receipt { number: String }, version = 2, upgrade(ReceiptV1))]
            #[transition(pay: Open => Paid, persist(Receipt))]
            pub(super) struct Order {
                pub(super) cents: i64,
            }

            #[derive(serde::Deserialize)]
            pub(super) struct OrderV1 {
                euros: i64,
            }

            #[derive(serde::Deserialize)]
            pub(super) struct ReceiptV1 {
                number: i64,
            }

            impl From<OrderV1> for Order {
                fn from(before: OrderV1) -> Self {
                    Self { cents: before.euros * 100 }
                }
            }

            impl From<ReceiptV1> for Receipt {
                fn from(before: ReceiptV1) -> Self {
                    Self { number: before.number.to_string() }
                }
            }
        }
    };
}

order_locked_by!(sampled, "tests/lock/sampled.flow");
order_locked_by!(spoilt, "tests/lock/spoilt.flow");
order_locked_by!(made, "tests/lock/made.flow");

fn keep_samples() {
    flowstate::lock::sample_props(&sampled::Order { cents: 5 });
    flowstate::lock::sample::<sampled::Order, _>(&sampled::Receipt { number: "R1".into() });
}

#[test]
fn every_version_has_a_sample_that_is_read() {
    keep_samples();
    flowstate::lock::check::<sampled::Order>();
}

#[test]
fn a_sample_that_is_missing_or_cannot_be_read_fails() {
    let check = flowstate::lock::check::<spoilt::Order>;
    let panic = std::panic::catch_unwind(check).expect_err("it fails");
    let problem = panic.downcast_ref::<String>().expect("a text");
    let lines: Vec<_> = problem.lines().collect();
    assert_eq!(lines.len(), 4, "{problem}");
    assert!(lines[0].contains("spoilt.v2.json` cannot be read any more"), "{problem}");
    assert!(lines[0].contains("missing field `cents`"), "{problem}");
    assert!(lines[1].contains("spoilt.receipt.v1.json` is missing"), "{problem}");
    assert!(lines[1].contains("whose `name` is `receipt` and whose `version` is 1"), "{problem}");
    assert!(lines[2].contains("what is stored now has no sample"), "{problem}");
    assert_eq!(lines[3].trim(), "flowstate::lock::sample::<Order, Receipt>(&…);", "{problem}");
}

/// A flow of one version, of which nothing was kept.
#[allow(dead_code, reason = "of a macro's flow all is looked at")]
mod bare {
    #[derive(flowstate::Flow, serde::Serialize, serde::Deserialize)]
    #[flow(lock = "tests/lock/bare.flow")]
    #[state(Open, Paid)]
    #[initial(Open)]
    #[completed(Paid)]
    #[persist(Receipt { number: String }, Lines(Vec<String>), Seen, Page<Seen>, serde_json::Value)]
    #[transition(pay: Open => Paid, persist(Receipt, Lines, Seen, Page, Value))]
    pub(super) struct Order {}

    #[derive(serde::Serialize, serde::Deserialize)]
    pub(super) struct Seen;

    #[derive(serde::Serialize, serde::Deserialize)]
    pub(super) struct Page<T> {
        of: Vec<T>,
    }
}

#[test]
fn each_sample_that_is_missing_is_asked_for_at_once() {
    let panic = std::panic::catch_unwind(flowstate::lock::check::<bare::Order>);
    let panic = panic.expect_err("it fails");
    let problem = panic.downcast_ref::<String>().expect("a text");
    assert_eq!(
        problem,
        "what is stored now has no sample: before `flowstate::lock::check` call, each with a value, \
         and run this test with `FLOWSTATE_LOCK=write`\n    \
         flowstate::lock::sample_props::<Order>(&…);\n    \
         flowstate::lock::sample::<Order, Receipt>(&…);\n    \
         flowstate::lock::sample::<Order, Lines>(&…);\n    \
         flowstate::lock::sample::<Order, Seen>(&…);\n    \
         flowstate::lock::sample::<Order, Page<Seen>>(&…);\n    \
         flowstate::lock::sample::<Order, Value>(&…);"
    );
}

/// A flow whose artefact was given a new name, with signs that no file name has everywhere, and fields
/// since its sample was written.
macro_rules! grown_order_locked_by {
    ($module:ident, $lock:literal) => {
        #[allow(dead_code, reason = "of a macro's flow all is looked at")]
        mod $module {
            #[derive(flowstate::Flow, serde::Serialize, serde::Deserialize)]
            #[flow(lock = $lock)]
            #[state(Open, Paid)]
            #[initial(Open)]
            #[completed(Paid)]
            #[persist(Receipt, rename = "paid/receipt", alias = "receipt")]
            #[transition(pay: Open => Paid, persist(Receipt))]
            pub(super) struct Order {}

            #[derive(serde::Serialize, serde::Deserialize)]
            pub(super) struct Receipt {
                number: String,
                #[serde(default)]
                note: Option<String>,
                #[serde(default)]
                lines: Vec<(String, i64)>,
            }

            pub(super) fn receipt(note: Option<&str>) -> Receipt {
                let lines = vec![("ink".to_owned(), 3)];
                Receipt { number: "R1".into(), note: note.map(str::to_owned), lines }
            }
        }
    };
}

grown_order_locked_by!(grown, "tests/lock/grown.flow");
grown_order_locked_by!(further, "tests/lock/further.flow");

/// The sample that the version before wrote has neither `note` nor `lines`.
#[test]
fn a_field_that_no_sample_has_is_asked_for() {
    flowstate::lock::check::<grown::Order>();
    let receipt = grown::receipt(Some("paid in cash"));
    let panic = std::panic::catch_unwind(|| {
        flowstate::lock::sample::<grown::Order, _>(&receipt);
    });
    let panic = panic.expect_err("it fails");
    let problem = panic.downcast_ref::<String>().expect("a text");
    assert!(
        problem.starts_with("no sample of this version has `lines.[].[]`, `note`: "),
        "{problem}"
    );
    assert!(problem.ends_with("/tests/lock/grown.paid%2freceipt.v1.json`"), "{problem}");
}

/// In a process of its own, of which the environment says that samples are to be written.
#[test]
fn a_sample_is_written_once() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lock/sampled.receipt.v2.json");
    let before = fs::read_to_string(&file).expect("a sample");
    if std::env::var_os("FLOWSTATE_LOCK").is_some() {
        // inside that process: what is there stays
        flowstate::lock::sample::<sampled::Order, _>(&sampled::Receipt { number: "R2".into() });
        assert_eq!(fs::read_to_string(&file).expect("a sample"), before);
        let folder = file.parent().expect("a folder");
        let made = folder.join("made.receipt.v2.json");
        flowstate::lock::sample::<made::Order, _>(&made::Receipt { number: "R1".into() });
        let written = fs::read_to_string(&made);
        fs::remove_file(made).expect("removed");
        assert_eq!(written.expect("written"), before);
        a_field_that_was_added_is_written(folder);
        return;
    }
    let program = std::env::current_exe().expect("this program");
    let mut command = Command::new(program);
    command.args(["--exact", "a_sample_is_written_once"]).env("FLOWSTATE_LOCK", "write");
    let output = command.output().expect("it ran");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

fn a_field_that_was_added_is_written(folder: &Path) {
    let names = ["further.paid%2freceipt.v1.json", "further.paid%2freceipt.v1.2.json"];
    let [first, second] = names.map(|name| folder.join(name));
    let keep = |note| flowstate::lock::sample::<further::Order, _>(&further::receipt(note));
    // none of a note says nothing of it
    keep(None);
    assert!(first.exists() && !second.exists());
    keep(Some("paid in cash"));
    keep(Some("paid in gold"));
    let written = fs::read_to_string(&second).expect("written");
    let is_read = std::panic::catch_unwind(flowstate::lock::check::<further::Order>);
    fs::write(&first, r#"{"number":"R1","note":5}"#).expect("written");
    let is_refused = std::panic::catch_unwind(flowstate::lock::check::<further::Order>);
    for file in [first, second] {
        fs::remove_file(file).expect("removed");
    }
    assert!(written.contains("paid in cash"), "{written}");
    assert!(is_read.is_ok() && is_refused.is_err());
}
