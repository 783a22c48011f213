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
