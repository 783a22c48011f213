//! Lines of a lock file, read and written.

use super::format::Lock;

const TEXT: &str = "\
flow order v3
artefact receipt v2
gone flow bill -> order
gone state paid -> charged
state \"big \\\"one\\\"\"
state charge_failed error
state charged has address receipt
state done completed has receipt
transition finish_charge: charging => charged +receipt
transition ship: charged => done +parcel -address -receipt
transition start_charge: \"big \\\"one\\\"\" | charge_failed => charging
";

#[test]
fn what_is_written_is_read() {
    let lock = Lock::parse(TEXT).expect("read");
    assert_eq!(lock.to_string(), TEXT);
    let shuffled: Vec<_> = TEXT.lines().rev().collect();
    let commented = shuffled.join("   # why\n\n# a line of its own\n");
    assert_eq!(Lock::parse(&commented).expect("read"), lock);
    assert_eq!(Lock::parse("").expect("read").flow, "");
}

#[test]
fn two_lines_of_a_state_leave_what_both_say() {
    let merged = "state a has x y completed\n";
    assert!(Lock::parse(merged).is_ok(), "an artefact may be called `completed`");
    let lock = Lock::parse("state a completed has x y\nstate a has y z\n").expect("read");
    assert_eq!(lock.states["a"].has.iter().collect::<Vec<_>>(), ["y"]);
    assert!(!lock.states["a"].is_completed);
}

#[test]
fn two_lines_of_a_version_leave_the_later_one() {
    for order in [["v2", "v3"], ["v3", "v2"], ["v3", ""]] {
        let lines = order.map(|version| format!("flow a {version}\nartefact x {version}\n"));
        let lock = Lock::parse(&lines.concat()).expect("read");
        assert_eq!((lock.version, lock.artefacts["x"]), (3, 3), "{order:?}");
    }
}

#[test]
fn editors_of_other_systems_change_no_fact() {
    let text = format!("\u{feff}{}", TEXT.replace('\n', "\r\n"));
    assert_eq!(Lock::parse(&text), Lock::parse(TEXT));
}

#[test]
fn what_is_no_fact_is_named_with_its_line() {
    for (text, problem) in [
        ("stat a", "`stat` is no fact"),
        ("state a errr", "a state is no `errr`"),
        ("state", "expected a state at the end"),
        ("state \"a", "does not end"),
        ("transition a b", "expected `:`"),
        ("transition a: b -> c", "expected `=>`"),
        ("transition a: b => c -x +y", "remove `+`"),
        ("gone thing a -> b", "not `thing`"),
        ("artefact a 2", "such as `v2`"),
        ("flow x v1 b", "remove `b`"),
        ("flow y", "this is a file of `x` already"),
        ("<<<<<<< HEAD", "a merge has left"),
        ("state a; b", "`;` stands in no fact"),
    ] {
        let misread = Lock::parse(&format!("flow x\n{text}\n")).expect_err(text);
        assert_eq!(misread.line, 2, "{text}");
        assert!(misread.problem.contains(problem), "{text}: {}", misread.problem);
    }
}
