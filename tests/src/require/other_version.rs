//! What another version of a program has written or claimed, as a check finds it.

use diesel::connection::SimpleConnection as _;
use flowstate::Flow;
use flowstate_diesel::operator::{Action, Check, Found, Graph, Wish, act, register, registry};
use flowstate_diesel::{check, claim_next, prelude::*, testing};
use serde::{Deserialize, Serialize};

use super::checked::{before, paid};
use crate::Database;
use crate::check::clean;

/// Of voyages a later version, whose props and tickets have further versions.
mod versioned {
    use super::{Deserialize, Flow, Serialize, TicketV1, TicketV2, VoyageV1};

    #[derive(Flow, Serialize, Deserialize)]
    #[flow(version = 2, upgrade(VoyageV1))]
    #[state(Booked, Paid, Packed, Lost(error), Flown)]
    #[initial(Booked)]
    #[completed(Flown)]
    #[persist(Ticket { seat: i64, row: i64 }, version = 3, upgrade(TicketV1, TicketV2))]
    #[persist(Voucher(String))]
    #[transition(pay: Booked => Paid, persist(Ticket))]
    #[transition(rebook: Paid => Paid, persist(Ticket))]
    #[transition(pack: Paid => Packed, persist(Voucher))]
    #[transition(lose: Packed => Lost)]
    #[transition(find: Lost => Packed)]
    #[transition(fly: Paid | Packed => Flown)]
    pub(super) struct Voyage {
        pub(super) to: String,
        pub(super) from: String,
    }
}

#[derive(Deserialize)]
struct VoyageV1 {
    to: String,
}

#[derive(Deserialize)]
struct TicketV1 {
    seat: i64,
}

#[derive(Deserialize)]
struct TicketV2 {
    seat: i64,
    row: Option<i64>,
}

impl From<VoyageV1> for versioned::Voyage {
    fn from(VoyageV1 { to }: VoyageV1) -> Self {
        Self { to, from: String::new() }
    }
}

impl From<TicketV1> for TicketV2 {
    fn from(TicketV1 { seat }: TicketV1) -> Self {
        Self { seat, row: None }
    }
}

impl From<TicketV2> for versioned::Ticket {
    fn from(TicketV2 { seat, row }: TicketV2) -> Self {
        Self { seat, row: row.unwrap_or_default() }
    }
}

/// Run by workers.
mod by_workers {
    use super::{Deserialize, Flow, Serialize};

    #[derive(Flow, Serialize, Deserialize)]
    #[state(Open, Running, Failed(error), Done)]
    #[initial(Open)]
    #[completed(Done)]
    #[step(run: Open | Failed => Running => Done, fail(Failed))]
    pub(super) struct Chore {}
}

/// Run by hand: the state `Running` stays, and no step runs in it.
mod by_hand {
    use super::{Deserialize, Flow, Serialize};

    #[derive(Flow, Serialize, Deserialize)]
    #[state(Open, Running, Failed(error), Done)]
    #[initial(Open)]
    #[completed(Done)]
    #[transition(begin: Open | Failed => Running, alias = "start_run")]
    #[transition(end: Running => Done)]
    #[transition(drop: Running => Failed)]
    pub(super) struct Chore {}
}

/// Props and artefacts of versions that are newer than a version reads are found without decoding them,
/// by the types and by the graph that the version has left, and told once where they are decoded.
pub fn what_is_newer_than_a_version_reads_is_found<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    register::<(before::Voyage,)>("travel 1", conn).expect("registered");
    register::<(versioned::Voyage,)>("travel 2", conn).expect("registered");
    // written by the earlier one, and an artefact on top by the later one
    let rebooked = paid::<D>(conn, 1);
    let mut seen = versioned::Voyage::find(rebooked.id(), conn).expect("found");
    let request = seen.transition(versioned::Voyage::REBOOK, conn);
    request.persist(versioned::Ticket { seat: 2, row: 1 }).run().expect("rebooked");
    let late = versioned::Voyage { to: "Rome".to_owned(), from: "Oslo".to_owned() };
    let mut late = late.create(conn).expect("created");
    let request = late.transition(versioned::Voyage::PAY, conn);
    request.persist(versioned::Ticket { seat: 3, row: 1 }).run().expect("paid");
    // of this one only what is not read any more is newer
    let mut again = paid::<D>(conn, 4);
    let newer =
        format!("UPDATE flowstate_artefacts SET version = 3 WHERE flow_id = {}", again.id());
    conn.batch_execute(&newer).expect("newer");
    let request = again.transition(before::Voyage::REBOOK, conn);
    request.persist(before::Ticket { seat: 5 }).run().expect("rebooked");

    let of_later = check::<(versioned::Voyage,)>(conn).decode().run().expect("checked");
    assert!(of_later.is_clean() && of_later.newer == 0, "{of_later}");
    let newer = |artefact: Option<&str>, newest, records, example| Found::Newer {
        flow: "voyage".to_owned(),
        artefact: artefact.map(str::to_owned),
        known: 1,
        newest,
        records,
        example,
    };
    let expected = [newer(None, 2, 1, late.id()), newer(Some("ticket"), 3, 2, rebooked.id())];
    for decodes in [false, true] {
        let of_earlier = check::<(before::Voyage,)>(conn);
        let of_earlier = if decodes { of_earlier.decode() } else { of_earlier };
        let checked = of_earlier.run().expect("checked");
        assert_eq!((&*checked.findings, checked.newer), (&expected[..], 2), "{checked}");
        let line = "voyage: 2 records have an artefact `ticket` newer than this version reads: of \
                    version 3, where it knows 1";
        assert!(checked.to_string().contains(line), "{checked}");
    }
    let known = registry(conn).expect("read");
    let mut graphs = known.graphs("voyage").map(|known| known.graph.clone());
    let earlier = graphs.find(|graph| graph.version == Some(1)).expect("registered");
    let checked = Check::against([earlier.clone()], conn).run().expect("checked");
    assert_eq!(checked.findings, expected, "{checked}");
    // a graph of before the versions were left does not say what it reads
    let mut silent = serde_json::to_value(earlier).expect("JSON");
    let fields = silent.as_object_mut().expect("an object");
    fields.remove("version");
    for artefact in fields["artefacts"].as_array_mut().expect("a list") {
        artefact.as_object_mut().expect("an object").remove("version");
    }
    let silent: Graph = serde_json::from_value(silent).expect("read");
    let checked = Check::against([silent], conn).run().expect("checked");
    assert!(checked.is_clean() && checked.newer == 0, "{checked}");
    clean(conn);
}

/// Claims in a state that was a step's, and is none in the version that is asked about, are found until
/// they are released.
pub fn claims_without_a_step_are_found<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    register::<(by_workers::Chore,)>("house 1", conn).expect("registered");
    for _ in 0..2 {
        by_workers::Chore {}.create(conn).expect("created");
    }
    let claim = claim_next(by_workers::Chore::RUN, conn).expect("no error").expect("a claim");
    let id = claim.id();
    drop(claim);
    assert!(check::<(by_workers::Chore,)>(conn).run().expect("checked").is_clean());
    let mut by_hand = by_hand::Chore {}.create(conn).expect("created");
    by_hand.transition(by_hand::Chore::BEGIN, conn).run().expect("begun");
    let checked = check::<(by_hand::Chore,)>(conn).run().expect("checked");
    let (flow, state) = ("chore".to_owned(), "running".to_owned());
    assert_eq!(checked.findings, [Found::NoStep { flow, state, records: 1 }], "{checked}");

    testing::expire_leases(conn).expect("expired");
    let wish = Wish::new("anna", "the worker is gone").expect("a wish");
    act(&Action::Release { gone: None }, id, &wish, conn).expect("released");
    let checked = check::<(by_hand::Chore,)>(conn).run().expect("checked");
    assert!(checked.is_clean(), "{checked}");
    clean(conn);
}
