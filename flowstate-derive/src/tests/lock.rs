//! What is said where the lock file and the flow differ, without a compiler.

use std::io;

use super::messages;
use crate::derive_with;

const FLOW: &str = r"
    #[flow(lock)]
    #[state(Pending, Charging, Charged, Shipped, Failed(error))]
    #[initial(Pending)]
    #[completed(Shipped)]
    #[persist(Receipt(String))]
    #[step(charge: Pending | Failed => Charging => Charged(persist(Receipt)), fail(Failed))]
    #[transition(ship: Charged => Shipped)]
    struct Order {}
";

const LOCK: &str = "\
flow order
artefact receipt
state charged has receipt
state charging
state failed error
state pending
state shipped completed has receipt
transition fail_charge: charging => failed
transition finish_charge: charging => charged +receipt
transition ship: charged => shipped
transition start_charge: failed | pending => charging
";

/// What is said of a flow, with some words exchanged, and a lock.
#[track_caller]
fn says(exchanged: &[(&str, &str)], lock: &str) -> Vec<String> {
    let flow = exchanged.iter().fold(FLOW.to_owned(), |flow, (written, instead)| {
        assert!(flow.contains(written), "{written}");
        flow.replace(written, instead)
    });
    messages(&derive_with(flow.parse().unwrap(), &|path| {
        assert_eq!(path, "flows/order.flow");
        Ok(lock.to_owned())
    }))
}

#[track_caller]
fn only(exchanged: &[(&str, &str)], lock: &str, expected: &str) {
    let said = says(exchanged, lock);
    assert!(said.len() == 1 && said[0].contains(expected), "{said:#?}");
}

#[test]
fn what_is_as_before_or_added_is_silent() {
    let none: [String; 0] = [];
    assert_eq!(says(&[], LOCK), none);
    assert_eq!(says(&[], ""), none);
    let added = [
        ("Shipped, Failed", "Shipped, Packed, Failed"),
        ("ship: Charged => Shipped", "pack: Charged => Packed, ship: Charged | Packed => Shipped"),
    ];
    assert_eq!(says(&added, LOCK), none);
}

#[test]
fn what_an_older_program_loads_is_persisted_as_long_as_it_runs() {
    let none: [String; 0] = [];
    let loads = LOCK.replace("=> shipped\n", "=> shipped -receipt\n");
    assert_eq!(says(&[], &loads), none, "the first of two deploys");
    let bare = [
        ("Charged(persist(Receipt))", "Charged"),
        ("ship: Charged => Shipped", "ship: Charged => Shipped, persist(Receipt)"),
    ];
    only(
        &bare,
        &loads,
        "`ship` of the version before loads `Receipt` (`flows/order.flow`), and nothing persists it on \
         the path `Charging -finish_charge-> Charged`: a program of that version, which runs beside this one, would",
    );
    assert_eq!(says(&bare, LOCK), none, "the second one");
}

#[test]
fn a_file_that_cannot_be_read_is_told() {
    let read =
        |kind: io::ErrorKind| messages(&derive_with(FLOW.parse().unwrap(), &|_| Err(kind.into())));
    assert!(read(io::ErrorKind::NotFound)[0].contains("make it, empty"));
    assert!(read(io::ErrorKind::PermissionDenied)[0].contains("cannot be read"));
    only(&[], "flow order\nstat x\n", "`flows/order.flow`, line 2: `stat` is no fact");
    only(&[], &LOCK.replace("flow order", "flow bill"), "`#[flow(name = \"bill\")]`");
    let absolute = ("flow(lock)", "flow(lock = \"/flows/order.flow\")");
    only(
        &[absolute],
        LOCK,
        "so that it is the same on every machine: `lock = \"flows/order.flow\"`",
    );
}

#[test]
fn a_name_that_is_gone_is_told_with_the_line_to_add() {
    let paid = ("Charged", "Paid");
    only(&[paid], LOCK, "`Paid(rename = \"charged\", alias = \"paid\")`");
    let alias = [paid, ("Paid, Shipped", "Paid(alias = \"charged\"), Shipped")];
    only(&alias, LOCK, "the state `charged` would be written as `paid` from now on");
    let first = [paid, ("Paid, Shipped", "Paid(rename = \"charged\", alias = \"paid\"), Shipped")];
    assert_eq!(says(&first, LOCK), [] as [String; 0]);
    // what the lock says after the first of the two
    let between = format!("{LOCK}gone state paid -> charged\n");
    assert_eq!(says(&alias, &between), [] as [String; 0]);
    // and the former name may not be dropped as long as the lock knows it
    let after = LOCK.replace("charged", "paid") + "gone state charged -> paid\n";
    only(&[paid], &after, "write `alias = \"charged\"` there, or remove the line");
    only(
        &[("Receipt(String)", "Bill(String)"), ("persist(Receipt)", "persist(Bill)")],
        LOCK,
        "write `rename = \"receipt\", alias = \"bill\"`",
    );
    only(&[("ship:", "send:")], LOCK, "the transition `ship` of `flows/order.flow` is gone");
    assert_eq!(
        says(&[("ship: Charged => Shipped", "send: Charged => Shipped, alias = \"ship\"")], LOCK),
        [] as [String; 0]
    );
    only(&[("charge:", "pay:")], LOCK, "write `alias = \"charge\"` at the step");
}

#[test]
fn a_flow_is_renamed_in_two_steps() {
    let renamed = ("struct Order", "struct Purchase");
    let named = |options: &str| {
        ("#[flow(lock)]", format!("#[flow({options}, lock = \"flows/order.flow\")]"))
    };
    let (at_once, first) =
        (named("alias = \"order\""), named("name = \"order\", alias = \"purchase\""));
    let only = |options: &(&str, String), lock: &str, expected: &str| {
        only(&[renamed, (options.0, &options.1)], lock, expected);
    };
    let is_silent = |options: &(&str, String), lock: &str| {
        assert_eq!(says(&[renamed, (options.0, &options.1)], lock), [] as [String; 0]);
    };
    only(
        &at_once,
        LOCK,
        "write `#[flow(name = \"order\", alias = \"purchase\")]` and let that be all",
    );
    is_silent(&first, LOCK);
    let between = format!("{LOCK}gone flow purchase -> order\n");
    is_silent(&at_once, &between);
    let after = LOCK.replace("flow order", "flow purchase") + "gone flow order -> purchase\n";
    is_silent(&at_once, &after);
    only(&named("name = \"purchase\""), &after, "write `alias = \"order\"` in `#[flow(…)]`");
    only(
        &named("name = \"bill\""),
        LOCK,
        "is of the flow `order`, and this one is stored as `bill`",
    );
}

#[test]
fn a_lock_file_that_was_left_behind_is_told() {
    let flow = FLOW.replace("#[flow(lock)]", "#[flow(lock, alias = \"order\")]");
    let flow = flow.replace("struct Order", "struct Purchase");
    let said = messages(&derive_with(flow.parse().unwrap(), &|path| match path {
        "flows/order.flow" => Ok(LOCK.to_owned()),
        _ => Err(io::ErrorKind::NotFound.into()),
    }));
    assert!(said[0].contains("no `flows/purchase.flow`, but `flows/order.flow`"), "{said:#?}");
}

#[test]
fn records_that_run_keep_a_way_to_an_end() {
    let asked = [
        (
            "ship: Charged => Shipped",
            "ship: Charged => Shipped, refuse: Charged => Refused, \
          ask: Refused => Refused",
        ),
        ("Shipped, Failed(error)", "Shipped, Failed(error), Refused(error)"),
    ];
    let refused = "state refused error\ntransition refuse: charged => refused\n";
    let lock = format!("{LOCK}{refused}transition ask: refused => charged\n");
    only(&asked, &lock, "records that stand in `Refused` have no way to an end any more");
    // one that was an end of its own before stays one
    let lock = format!("{LOCK}{refused}transition ask: refused => refused\n");
    assert_eq!(says(&asked, &lock), [] as [String; 0]);
}

#[test]
fn records_in_flight_have_what_is_loaded() {
    let loads = ("ship: Charged => Shipped", "ship: Charged => Shipped, load(Receipt)");
    assert_eq!(says(&[loads], LOCK), [] as [String; 0]);
    // before, nothing was kept
    let lock =
        LOCK.replace(" has receipt", "").replace(" +receipt", "").replace("artefact receipt\n", "");
    only(
        &[loads],
        &lock,
        "`ship` loads `Receipt`, but a record that stands in `Charged` now may lack it",
    );
    let optional = ("ship: Charged => Shipped", "ship: Charged => Shipped, load(optional Receipt)");
    assert_eq!(says(&[optional], &lock), [] as [String; 0]);
    // a state in between that persists it heals those that come there
    let between = [
        ("Shipped, Failed", "Shipped, Filed, Failed"),
        (
            "ship: Charged => Shipped",
            "file: Charged => Filed, persist(Receipt), ship: Filed => Shipped, load(Receipt)",
        ),
    ];
    // but an older program still takes `ship` from there, to an end, where nothing is loaded
    assert_eq!(says(&between, &lock), [] as [String; 0]);
}

#[test]
fn what_an_older_program_still_takes_is_on_the_path() {
    // of before: B is reached with the artefact, and C loads nothing
    let lock = "\
flow order
artefact receipt
state charged has receipt
state pending
state shipped completed has receipt
transition pay: pending => charged +receipt
transition wrap: pending => charged
";
    let flow = r"
        #[flow(lock)]
        #[state(Pending, Charged, Shipped)]
        #[initial(Pending)]
        #[completed(Shipped)]
        #[persist(Receipt(String))]
        #[transition(pay: Pending => Charged, persist(Receipt))]
        #[transition(wrap: Pending => Charged, persist(Receipt))]
        #[transition(ship: Charged => Shipped, load(Receipt))]
        struct Order {}
    ";
    let said = messages(&derive_with(flow.parse().unwrap(), &|_| Ok(lock.to_owned())));
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(said[0].contains("-wrap (of before)-> Charged"), "{said:#?}");
}
