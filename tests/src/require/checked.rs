//! A version of a program held against the records that are there.

use std::collections::BTreeSet;

use diesel::connection::SimpleConnection as _;
use flowstate::Flow;
use flowstate_diesel::operator::{AliasLeft, Check, Checked, Found, register, registry};
use flowstate_diesel::{check, prelude::*};
use serde::{Deserialize, Serialize};

use crate::Database;
use crate::check::clean;
use crate::flows::{Job, Round};
use crate::statement_probe::sent;

/// What runs now.
pub(super) mod before {
    use super::{Deserialize, Flow, Serialize};

    #[derive(Flow, Serialize, Deserialize)]
    #[state(Booked, Paid, Packed, Lost(error), Flown)]
    #[initial(Booked)]
    #[completed(Flown)]
    #[persist(Ticket { seat: i64 })]
    #[persist(Voucher(String))]
    #[transition(pay: Booked => Paid, persist(Ticket))]
    #[transition(rebook: Paid => Paid, persist(Ticket))]
    #[transition(pack: Paid => Packed, persist(Voucher))]
    #[transition(lose: Packed => Lost)]
    #[transition(find: Lost => Packed)]
    #[transition(fly: Paid | Packed => Flown)]
    pub(in crate::require) struct Voyage {
        pub(in crate::require) to: String,
    }
}

/// What is to be deployed, too early: a state and an artefact are gone, and what was lost stays so.
mod after {
    use super::{Deserialize, Flow, Serialize};

    #[derive(Flow, Serialize, Deserialize)]
    #[state(Ordered(alias = "booked"), Paid, Lost(error), Flown)]
    #[initial(Ordered)]
    #[completed(Flown)]
    #[persist(Seat { seat: u8 }, alias = "ticket")]
    #[transition(settle: Ordered => Paid, persist(Seat), alias = "pay")]
    #[transition(rebook: Paid => Paid, persist(Seat))]
    #[transition(lose: Paid => Lost)]
    #[transition(fly: Paid => Flown, load(Seat))]
    pub(super) struct Voyage {
        pub(super) to: String,
        pub(super) class: i64,
    }
}

/// Of which every paid record has a receipt, says its lock file.
mod locked {
    use super::{Deserialize, Flow, Serialize};

    #[derive(Flow, Serialize, Deserialize)]
    #[flow(lock = "src/require/checked.flow")]
    #[state(Open, Paid, Sent)]
    #[initial(Open)]
    #[completed(Sent)]
    #[persist(Receipt(String))]
    #[persist(Note(String))]
    #[transition(pay: Open => Paid, persist(Receipt, Note))]
    #[transition(send: Paid => Sent, load(Receipt))]
    pub(super) struct Invoice {}
}

/// A call that goes to and fro between two states until it is answered.
mod moving {
    use super::{Deserialize, Flow, Serialize};

    #[derive(Flow, Serialize, Deserialize)]
    #[state(Asked, Ringing, Answered)]
    #[initial(Asked)]
    #[completed(Answered)]
    #[persist(Note(String))]
    #[transition(note: Asked => Asked, persist(Note))]
    #[transition(ring: Asked => Ringing)]
    #[transition(wait: Ringing => Asked)]
    #[transition(answer: Ringing => Answered)]
    pub(super) struct Call {}
}

fn voyage(to: &str) -> before::Voyage {
    before::Voyage { to: to.to_owned() }
}

/// A voyage that is paid, for this seat.
pub(super) fn paid<D: Database>(conn: &mut D::Conn, seat: i64) -> before::VoyageRecord {
    let mut voyage = voyage("Oslo").create(conn).expect("created");
    let request = voyage.transition(before::Voyage::PAY, conn);
    request.persist(before::Ticket { seat }).run().expect("paid");
    voyage
}

fn packed<D: Database>(conn: &mut D::Conn) -> before::VoyageRecord {
    let mut voyage = paid::<D>(conn, 1);
    let request = voyage.transition(before::Voyage::PACK, conn);
    request.persist(before::Voucher("hat".to_owned())).run().expect("packed");
    voyage
}

fn aliases(checked: &Checked) -> Vec<(String, &str, u64)> {
    let told = |left: &AliasLeft| left.kind.to_string();
    checked.aliases.iter().map(|left| (told(left), &*left.name, left.records)).collect()
}

/// What the next version does not know is found, with how many records it is about; and how many
/// rows have former names. The version that runs has nothing against them.
pub fn what_a_version_does_not_know_is_found<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    register::<(before::Voyage,)>("travel 1", conn).expect("registered");
    voyage("Rome").create(conn).expect("created");
    packed::<D>(conn);
    packed::<D>(conn);
    let mut lost = packed::<D>(conn);
    lost.transition(before::Voyage::LOSE, conn).run().expect("lost");
    let mut flown = packed::<D>(conn);
    flown.transition(before::Voyage::FLY, conn).run().expect("flown");
    Job::new("of another program").create(conn).expect("created");

    let checked = check::<(before::Voyage,)>(conn).decode().run().expect("checked");
    assert!(checked.is_clean(), "{checked}");
    assert_eq!((checked.records, checked.unreadable, checked.aliases.len()), (4, 0, 0));

    let checked = check::<(after::Voyage,)>(conn).run().expect("checked");
    let flow = || "voyage".to_owned();
    let state = |name: &str| name.to_owned();
    assert_eq!(
        checked.findings,
        [
            Found::NoWayOut { flow: flow(), state: state("lost"), records: 1 },
            Found::UnknownState { flow: flow(), state: state("packed"), records: 2 },
            Found::UnknownTransition { flow: flow(), transition: state("pack"), records: 3 },
            Found::UnknownArtefact { flow: flow(), artefact: state("voucher"), records: 3 },
        ],
        "{checked}"
    );
    // of the artefacts the one that has flown has one, too
    let of_name = |kind: &str| kind.to_owned();
    assert_eq!(
        aliases(&checked),
        [
            (of_name("state"), "booked", 1),
            (of_name("artefact"), "ticket", 4),
            (of_name("transition"), "pay", 3),
        ]
    );
    let text = checked.to_string();
    for part in
        ["2 records are in `packed`", "keep it with `alias`", "1 row has the state `booked`"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }

    // the same by the graphs that programs have left
    register::<(after::Voyage,)>("travel 2", conn).expect("registered");
    let known = registry(conn).expect("read");
    let graphs: Vec<_> = known.graphs("voyage").map(|known| known.graph.clone()).collect();
    let of_after = graphs.iter().find(|graph| graph.state("ordered").is_some());
    let again = Check::against(of_after.cloned(), conn).run().expect("checked");
    assert_eq!(again, checked);
    clean(conn);
}

/// With `decode` each value that cannot be read is a finding, with where and why: of the records that
/// have not ended, and of each artefact the newest.
pub fn what_cannot_be_decoded_is_told_by_record_and_path<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut rebooked = paid::<D>(conn, 1_000);
    let request = rebooked.transition(before::Voyage::REBOOK, conn);
    request.persist(before::Ticket { seat: 7 }).run().expect("rebooked");
    let wide = paid::<D>(conn, 1_000);
    let mut flown = paid::<D>(conn, 1_000);
    flown.transition(before::Voyage::FLY, conn).run().expect("flown");
    for id in [rebooked.id(), wide.id()] {
        let props = r#"{"to":"Oslo","class":1}"#;
        let sql = format!("UPDATE flowstate_flows SET props = '{props}' WHERE id = {id}");
        conn.batch_execute(&sql).expect("updated");
    }
    let early = voyage("Rome").create(conn).expect("created");

    let plain = check::<(after::Voyage,)>(conn).run().expect("checked");
    assert!(plain.is_clean(), "{plain}");
    let checked = check::<(after::Voyage,)>(conn).decode().run().expect("checked");
    let seen = checked.findings.iter().map(|found| match found {
        Found::Unreadable { id, artefact, path, problem, .. } => {
            (*id, artefact.as_deref(), &**path, problem.contains("missing field `class`"))
        }
        other => panic!("{other}"),
    });
    let mut seen: Vec<_> = seen.collect();
    seen.sort_unstable();
    let mut expected = [(wide.id(), Some("ticket"), "seat", false), (early.id(), None, ".", true)];
    expected.sort_unstable();
    assert_eq!(seen, expected, "{checked}");
    assert_eq!(checked.unreadable, 2);
    let line =
        format!("voyage #{}: the stored artefact `ticket` cannot be read at `seat`", wide.id());
    assert!(checked.to_string().contains(&line), "{checked}");

    // code that panics is a finding like another, and nothing is left open
    let round = Round::new().create(conn).expect("created");
    let sql =
        format!("UPDATE flowstate_flows SET props = '{{\"touchy\":2}}' WHERE id = {}", round.id());
    conn.batch_execute(&sql).expect("updated");
    let checked = check::<(Round,)>(conn).decode().run().expect("checked");
    let [Found::Unreadable { id, artefact: None, problem, .. }] = &*checked.findings else {
        panic!("{checked}");
    };
    assert_eq!(*id, round.id());
    assert!(problem.contains("touched while reading"), "{problem}");
    clean(conn);
}

/// Only pages of what has not ended are read, however much has ended, and no statement locks or
/// writes: somebody else's lock is not waited for.
pub fn a_check_reads_pages_and_locks_nothing<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    before::Voyage::create_many((0..250).map(|_| voyage("Oslo")), conn).expect("created");
    let look = |conn: &mut D::Conn| {
        let mut told = Vec::new();
        let (texts, checked) = sent(conn, |conn| {
            let check = check::<(before::Voyage,)>(conn).decode();
            check.progress(|done, of| told.push((done, of))).run().expect("checked")
        });
        assert!(checked.is_clean(), "{checked}");
        assert_eq!(checked.records, 250);
        assert_eq!(told, [(100, 250), (200, 250), (250, 250)]);
        for text in &texts {
            let reads = ["SELECT", "WITH"].iter().any(|word| text.starts_with(word));
            assert!(reads && !text.contains("FOR UPDATE"), "{text}");
        }
        let of = |part: &str| texts.iter().filter(|text| text.contains(part)).count();
        assert_eq!(of("FROM flowstate_transitions"), 3, "a statement a page");
        assert_eq!(of("FROM flowstate_artefacts"), 6, "names, and payloads");
        assert_eq!(of("completed_at IS NULL"), 4, "props, and once all ids");
        texts.len()
    };
    let statements = look(conn);
    let ended = "INSERT INTO flowstate_flows (flow, state, seq, props, attempts, completed_at, \
         created_at, updated_at) SELECT flow, 'flown', seq, props, attempts, created_at, \
         created_at, updated_at FROM flowstate_flows";
    conn.batch_execute(ended).expect("as many that have ended");
    // a further state: found, and counted
    let lanes = if D::FOLDER == "mysql" { 2 } else { 1 };
    assert_eq!(look(conn), statements + lanes);

    let other = &mut database.connect();
    let begin = if D::FOLDER == "sqlite" { "BEGIN IMMEDIATE" } else { "BEGIN" };
    other.batch_execute(begin).expect("begun");
    other.batch_execute("UPDATE flowstate_flows SET attempts = 0").expect("locked");
    look(conn);
    other.batch_execute("ROLLBACK").expect("rolled back");
}

/// What all records of a state have is said, and a record that lacks what the lock file says of its
/// state is found.
pub fn what_the_lock_file_says_is_held_against_the_rows<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut ids = Vec::new();
    for _ in 0..3 {
        let mut invoice = locked::Invoice {}.create(conn).expect("created");
        let both = (locked::Receipt("r".to_owned()), locked::Note("n".to_owned()));
        invoice.transition(locked::Invoice::PAY, conn).persist(both).run().expect("paid");
        ids.push(invoice.id());
    }
    let checked = check::<(locked::Invoice,)>(conn).run().expect("checked");
    assert!(checked.is_clean(), "{checked}");
    let [paid] = &*checked.states else { panic!("{checked:?}") };
    assert_eq!((&*paid.state, paid.records), ("paid", 3));
    assert!(paid.has.iter().eq(["note", "receipt"]), "{paid:?}");

    let sql = format!("DELETE FROM flowstate_artefacts WHERE flow_id = {}", ids[1]);
    conn.batch_execute(&sql).expect("deleted");
    let checked = check::<(locked::Invoice,)>(conn).run().expect("checked");
    assert_eq!(
        checked.findings,
        [Found::Lacking {
            flow: "invoice".to_owned(),
            state: "paid".to_owned(),
            artefact: "receipt".to_owned(),
            records: 1,
            example: ids[1],
        }]
    );
    assert!(checked.states[0].has.is_empty(), "{checked:?}");
}

/// A record that is never in the state that is looked at counts for the one in which it is found at
/// last: what all of a state have may go into a lock file.
pub fn a_record_that_moves_while_it_is_looked_for_is_found<D: Database>() {
    use moving::{Call, Note};
    let database = D::migrated();
    let (conn, other) = (&mut database.connect(), &mut database.connect());
    let noted = |conn: &mut D::Conn| {
        let mut call = Call {}.create(conn).expect("created");
        let note = Note("at noon".to_owned());
        call.transition(Call::NOTE, conn).persist(note).run().expect("noted");
        call
    };
    noted(conn);
    noted(conn).transition(Call::RING, conn).run().expect("rung");
    let mut bare = Call {}.create(conn).expect("created");
    bare.transition(Call::RING, conn).run().expect("rung");
    let mut told = Vec::new();
    let check = check::<(Call,)>(conn).progress(|done, _| {
        // between the first state and the second
        if told.is_empty() {
            bare.transition(Call::WAIT, other).run().expect("it waits");
        }
        told.push(done);
    });
    let checked = check.run().expect("checked");
    assert_eq!((&*told, checked.records), (&[1, 2][..], 3));
    let has: Vec<_> =
        checked.states.iter().map(|state| (&*state.state, state.records, &state.has)).collect();
    let (nothing, note) = (BTreeSet::new(), BTreeSet::from(["note".to_owned()]));
    assert_eq!(has, [("asked", 2, &nothing), ("ringing", 1, &note)]);
    clean(conn);
}
