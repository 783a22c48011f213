//! Operators: they know flows by name, move records under their lock, and leave who and why.

use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use flowstate::Flow;
use flowstate_diesel::operator::{
    Action, Cursor, Error, Filter, Refusal, SECRET, Stuck, Target, Wish, act, failures, lately,
    list, numbers, plan, register, registry, show, show_artefact, show_without_payloads,
    throughput,
};
use flowstate_diesel::{Store, claim_next, prelude::*};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::check::clean;
use crate::flows::{Job, Letter, Round};
use crate::{Database, round_step, send_step};

/// A flow with something for operators, and something that they never see.
#[derive(Flow, Serialize, Deserialize, Debug)]
#[state(Open, Packed, Lost(error), Shipped, Cancelled, Gone)]
#[initial(Open)]
#[completed(Shipped, Cancelled, Gone(destroy))]
#[flow(name = "parcel", secret(iban))]
#[persist(Card { number: String }, secret)]
#[persist(Label(String))]
#[transition(
    /// Puts it into a box.
    pack: Open => Packed, persist(Card, Label)
)]
#[transition(lose: Packed => Lost)]
#[transition(find: Lost => Packed, operator)]
#[transition(ship: Packed => Shipped, load(Label))]
#[transition(cancel: * => Cancelled, operator)]
#[transition(forget: Lost => Gone, operator)]
pub struct Parcel {
    /// Whose.
    pub customer: String,
    /// Nobody's business.
    pub iban: String,
}

/// A program of another kind under the name of [`Parcel`].
#[derive(Flow, Serialize, Deserialize, Debug)]
#[state(Asleep, Awake)]
#[initial(Asleep)]
#[completed(Awake)]
#[flow(name = "parcel", record = BearRecord, state = BearState)]
#[transition(rouse: Asleep => Awake)]
pub struct Bear {}

/// Makes a parcel that is lost.
pub(super) fn parcel<C: Store>(conn: &mut C) -> i64 {
    let props = Parcel { customer: "Ada".to_owned(), iban: "DE02".to_owned() };
    let mut parcel = props.create(conn).expect("created");
    let card = Card { number: "4711".to_owned() };
    let request = parcel.transition(Parcel::PACK, conn);
    request.persist((card, Label("to Ada".to_owned()))).run().expect("packed");
    let request = parcel.transition(Parcel::LOSE, conn);
    request.error("van 7 is gone").run().expect("lost");
    parcel.id()
}

fn wish() -> Wish {
    Wish::new("anna@laptop", "the van was found").expect("a wish")
}

fn refusal(error: Error) -> Refusal {
    match error {
        Error::Refused { refusal, .. } => refusal,
        other => panic!("{other}"),
    }
}

/// What a program registers is there once, with its doc comments, and says when two programs use one
/// name for two things.
pub fn graphs_are_registered_once<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    for _ in 0..2 {
        assert_eq!(register::<(Parcel, Job)>("shop 1", conn).expect("registered"), [""; 0]);
    }
    let known = registry(conn).expect("read");
    assert_eq!(known.definitions.len(), 2);
    let graph = known.graph("parcel").expect("a graph");
    let pack = graph.transition("pack").expect("a transition");
    assert_eq!((&*pack.doc, pack.operator), ("Puts it into a box.", false));
    assert!(graph.transition("cancel").is_some_and(|cancel| cancel.operator));
    assert_eq!(graph.secrets, ["iban"]);
    assert!(graph.hides("card") && !graph.hides("label"));

    assert_eq!(register::<(Bear,)>("zoo 1", conn).expect("registered"), ["parcel"]);
    let known = registry(conn).expect("read");
    assert_eq!(known.graphs("parcel").count(), 2, "side by side");
}

/// `retry` makes a failed record due, anew, and says who wished it and why.
pub fn a_retry_begins_anew<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut round = Round::new().create(conn).expect("created");
    for _ in 0..3 {
        flowstate_diesel::testing::make_everything_due(conn).expect("due");
        let claim = claim_next(round_step!(), conn).expect("no error").expect("a claim");
        claim.fail("no", conn).expect("failed");
    }
    round.reload(conn).expect("read");
    assert_eq!((round.attempt(), round.due_at()), (4, None), "it gave up");

    let found = list(&Filter { stuck: true, ..Filter::default() }, None, 10, conn).expect("listed");
    let [stuck] = &*found.records else { panic!("{found:?}") };
    assert_eq!((stuck.id, stuck.stuck), (round.id(), Some(Stuck::GaveUp)));
    assert_eq!(stuck.error.as_deref(), Some("no"));

    let moved = act(&Action::Retry, round.id(), &wish(), conn).expect("retried");
    assert_eq!((&*moved.from, &*moved.to), ("broken", "broken"));
    round.reload(conn).expect("read");
    assert_eq!((round.attempt(), round.seq()), (1, moved.seq));
    // two looks at the clock of one statement
    let soon = round.updated_at() + Duration::from_secs(1);
    assert!(round.due_at().is_some_and(|due| due <= soon));
    let history = round.history(conn).expect("the history");
    let last = history.last().expect("a row");
    assert_eq!((&*last.transition, last.actor.as_deref()), ("operator.retry", Some("anna@laptop")));
    assert_eq!(last.metadata, Some(json!({ "reason": "the van was found" })));
    let claim = claim_next(round_step!(), conn).expect("no error").expect("a claim");
    assert_eq!(claim.attempt(), 1);
    clean(conn);
}

/// An operator takes what the graph declares for operators, from where it starts, and nothing else.
pub fn only_what_is_declared_is_taken<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let id = parcel(conn);
    let take = |name: &str| Action::Take { transition: name.to_owned() };
    let refused =
        |conn: &mut D::Conn, name| refusal(act(&take(name), id, &wish(), conn).unwrap_err());
    assert_eq!(refused(conn, "cancel"), Refusal::NoDefinition);
    register::<(Parcel,)>("shop 1", conn).expect("registered");
    let allowed = || ["find", "cancel", "forget"].map(str::to_owned).to_vec();
    let transition = || "pack".to_owned();
    assert_eq!(
        refused(conn, "pack"),
        Refusal::NotForOperators { transition: transition(), allowed: allowed() }
    );
    assert!(matches!(refused(conn, "vanish"), Refusal::UnknownTransition { .. }));

    let moved = act(&take("find"), id, &wish(), conn).expect("taken");
    assert_eq!((&*moved.from, &*moved.to), ("lost", "packed"));
    let parcel = Parcel::find(id, conn).expect("found");
    assert_eq!((parcel.seq(), parcel.attempt()), (3, 1));
    assert!(parcel.due_at().is_some() && parcel.last_errored_at().is_none());
    assert!(matches!(refused(conn, "forget"), Refusal::WrongState { .. }));

    act(&take("cancel"), id, &wish(), conn).expect("taken");
    assert!(matches!(refused(conn, "cancel"), Refusal::Completed { .. }));
    let parcel = Parcel::find(id, conn).expect("found");
    assert!(parcel.completed_at().is_some() && parcel.due_at().is_none());
    let history = parcel.history(conn).expect("the history");
    assert_eq!(history.last().map(|row| &*row.transition), Some("cancel"));
    clean(conn);

    // into a state that destroys
    let id = self::parcel(conn);
    let moved = act(&take("forget"), id, &wish(), conn).expect("taken");
    assert!(moved.destroyed);
    assert!(matches!(show(id, conn), Err(Error::NotFound { .. })));
    clean(conn);
}

/// `force` goes into any state that a graph knows, out of a completed one too, and records the way
/// that it left out.
pub fn force_records_what_it_skips<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    register::<(Parcel,)>("shop 1", conn).expect("registered");
    let id = parcel(conn);
    let force = |name: &str| Action::Force { state: name.to_owned() };
    let unknown = refusal(act(&force("moon"), id, &wish(), conn).unwrap_err());
    assert!(matches!(unknown, Refusal::UnknownState { .. }), "{unknown}");
    let moved = act(&force("shipped"), id, &wish(), conn).expect("forced");
    assert_eq!(moved.skipped, Some(vec!["find".to_owned(), "ship".to_owned()]));
    let moved = act(&force("open"), id, &wish(), conn).expect("forced");
    assert_eq!(moved.skipped, None, "there is no way out of a completed state");
    let parcel = Parcel::find(id, conn).expect("found");
    assert!(parcel.completed_at().is_none() && parcel.due_at().is_some());
    let history = parcel.history(conn).expect("the history");
    let [.., there, _back] = &*history else { panic!("{history:?}") };
    assert_eq!(there.transition, "operator.force");
    let metadata = there.metadata.as_ref().expect("metadata");
    assert_eq!(metadata["skipped"], json!(["find", "ship"]));
    clean(conn);
}

/// A claim is released when its holder is gone, and not before; whoever held it finds it lost.
pub fn a_claim_is_released_when_its_holder_is_gone<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    register::<(Letter,)>("post 1", conn).expect("registered");
    let mut letter = Letter {}.create(conn).expect("created");
    let release = Action::Release { gone: None };
    let refused = refusal(act(&release, letter.id(), &wish(), conn).unwrap_err());
    assert!(matches!(refused, Refusal::NotClaimed { .. }), "{refused}");
    let claim = claim_next(send_step!(), conn).expect("no error").expect("a claim");
    let refused = refusal(act(&release, letter.id(), &wish(), conn).unwrap_err());
    let Refusal::HolderLives { holder, .. } = refused else { panic!("{refused}") };

    let gone = Action::Release { gone: Some(holder) };
    let moved = act(&gone, letter.id(), &wish(), conn).expect("released");
    assert_eq!((&*moved.from, &*moved.to), ("sending", "queued"));
    letter.reload(conn).expect("read");
    assert_eq!((letter.attempt(), letter.due_at().is_some()), (1, true));
    assert!(matches!(claim.finish((), conn), Err(flowstate_diesel::Error::LeaseLost { .. })));

    // and when the lease has run out, whoever held it
    drop(claim_next(send_step!(), conn).expect("no error").expect("a claim"));
    flowstate_diesel::testing::expire_leases(conn).expect("expired");
    act(&release, letter.id(), &wish(), conn).expect("released");
    clean(conn);
}

/// A wish that speaks of what was seen is refused when the record has moved since, and whoever has no
/// reason is not heard.
pub fn a_wish_is_fenced<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    register::<(Parcel,)>("shop 1", conn).expect("registered");
    let id = parcel(conn);
    let seen = Target { id, seq: Some(2) };
    act(&Action::Retry, seen, &wish(), conn).expect("retried");
    let refused = refusal(act(&Action::Retry, seen, &wish(), conn).unwrap_err());
    assert_eq!(refused, Refusal::Moved { seen: 2, seq: 3, state: "lost".to_owned() });
    assert!(matches!(act(&Action::Retry, -1, &wish(), conn), Err(Error::NotFound { id: -1 })));
    for (actor, reason) in [("", "why"), ("anna", " "), ("anna", "a\0b"), (&"a".repeat(256), "b")] {
        assert!(matches!(Wish::new(actor, reason), Err(Error::Input { .. })), "{actor} {reason}");
    }
    clean(conn);
}

/// Lists go by flow, state, key, age, error and what is stuck, a page at a time, each record once.
pub fn lists_find_what_is_asked_for<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    register::<(Parcel, Job)>("shop 1", conn).expect("registered");
    let lost: Vec<_> = (0..7).map(|_| parcel(conn)).collect();
    let keyed = Job::new("keyed").create_once("key 1", conn).expect("created").into_record();
    let ids = |conn: &mut D::Conn, filter: &Filter| {
        let mut ids = Vec::new();
        let mut after: Option<Cursor> = None;
        loop {
            let page = list(filter, after.as_ref(), 3, conn).expect("listed");
            assert!(page.records.len() <= 3);
            ids.extend(page.records.iter().map(|record| record.id));
            let Some(next) = page.next else { return ids };
            assert_eq!(Cursor::parse(&next.to_text()).as_ref(), Some(&next));
            after = Some(next);
        }
    };
    let none = Filter::default;
    let flow = Some("parcel".to_owned());
    let mut all = ids(conn, &none());
    all.sort_unstable();
    assert_eq!(all, [&*lost, &[keyed.id()]].concat());
    assert_eq!(ids(conn, &Filter { flow: flow.clone(), ..none() }), lost);
    assert_eq!(ids(conn, &Filter { states: vec!["lost".to_owned()], ..none() }), lost);
    assert_eq!(ids(conn, &Filter { states: vec!["open".to_owned()], ..none() }), [keyed.id()]);
    assert_eq!(ids(conn, &Filter { key: Some("key 1".to_owned()), ..none() }), [keyed.id()]);
    assert_eq!(ids(conn, &Filter { error: Some("van 7".to_owned()), ..none() }), lost);
    assert_eq!(ids(conn, &Filter { error: Some("van 8".to_owned()), ..none() }), [0; 0]);
    assert_eq!(ids(conn, &Filter { ids: lost[2..4].to_vec(), ..none() }), lost[2..4]);
    let old = Some(Duration::from_hours(1));
    assert_eq!(ids(conn, &Filter { in_state_for: old, ..none() }), [0; 0]);
    let label = Some(("merchant".to_owned(), "42".to_owned()));
    let homeless = Filter { label, ..none() };
    assert!(matches!(list(&homeless, None, 3, conn), Err(Error::Input { .. })));
}

/// One record is shown with its history and artefacts, and without what is secret.
pub fn secrets_are_not_shown<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let id = parcel(conn);
    let shown = show(id, conn).expect("shown");
    assert_eq!(shown.props, json!(SECRET), "nobody knows yet what is secret");
    assert!(shown.artefacts.iter().all(|artefact| artefact.payload == json!(SECRET)));
    register::<(Parcel,)>("shop 1", conn).expect("registered");
    let shown = show(id, conn).expect("shown");
    assert_eq!(shown.props, json!({ "customer": "Ada", "iban": SECRET }));
    let payloads: Vec<_> = shown.artefacts.iter().map(|one| (&*one.name, &one.payload)).collect();
    assert_eq!(payloads, [("card", &json!(SECRET)), ("label", &json!("to Ada"))]);
    let brief = show_without_payloads(id, conn).expect("shown");
    let names: Vec<_> =
        brief.artefacts.iter().map(|one| (&*one.name, one.seq, one.payload.is_null())).collect();
    assert_eq!(names, [("card", 1, true), ("label", 1, true)]);
    for (name, payload) in [("card", json!(SECRET)), ("label", json!("to Ada"))] {
        let one = show_artefact(id, name, 1, conn).expect("shown").expect("there");
        assert_eq!((one.name, one.payload), (name.to_owned(), payload));
    }
    assert!(show_artefact(id, "label", 2, conn).expect("asked").is_none());
    let missing = show_artefact(-1, "label", 1, conn).expect_err("no record");
    assert!(matches!(missing, Error::NotFound { id: -1 }), "{missing}");
    assert_eq!(shown.history.len(), 3);
    assert_eq!(shown.standing.error.as_deref(), Some("van 7 is gone"));
    assert!(shown.graph.is_some());

    // what a record was created with is kept beside a key
    let props = Parcel { customer: "Ada".to_owned(), iban: "DE02".to_owned() };
    let keyed = props.create_once("key", conn).expect("created").into_record();
    let shown = show(keyed.id(), conn).expect("shown");
    assert!(!serde_json::to_string(&shown).expect("JSON").contains("DE02"), "{shown:?}");
}

/// Many are moved as the plan says: those that have moved since are refused, the others go on.
pub fn a_plan_does_what_it_said<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    register::<(Parcel,)>("shop 1", conn).expect("registered");
    let lost: Vec<_> = (0..120).map(|_| parcel(conn)).collect();
    let props = Parcel { customer: String::new(), iban: String::new() };
    props.create(conn).expect("created");
    let filter = Filter { flow: Some("parcel".to_owned()), ..Filter::default() };
    let planned = plan(&filter, Action::Retry, conn).expect("planned");
    assert_eq!((planned.moves.len(), planned.refused, &planned.next), (120, 1, &None));
    assert!(planned.first_refusal.as_ref().is_some_and(|why| why.contains("`open`")));
    assert_eq!(show(lost[0], conn).expect("shown").standing.seq, 2, "nothing was done yet");

    act(&Action::Retry, lost[5], &wish(), conn).expect("retried");
    let mut seen = Vec::new();
    let report = planned.run(&wish(), conn, |done| seen.push(done)).expect("run");
    assert_eq!((report.moved.len(), report.refused.len()), (119, 1));
    assert_eq!(seen, [100, 120]);
    let again = planned.run(&wish(), conn, |_| {}).expect("run");
    assert_eq!((again.moved.len(), again.refused.len()), (0, 120));
    clean(conn);
}

/// Counts stop where they are told to, errors are grouped without their numbers, and what has moved
/// of late is counted.
pub fn numbers_are_bounded<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    register::<(Parcel,)>("shop 1", conn).expect("registered");
    let ids: Vec<_> = (0..5).map(|_| parcel(conn)).collect();
    Job::new("unregistered").create(conn).expect("created");
    let counted = numbers(None, 3, conn).expect("counted");
    let [job, lost] = &*counted else { panic!("{counted:?}") };
    assert_eq!((&*job.flow, &*job.state, job.records), ("job", "open", 1));
    assert!(!job.is_unknown, "no graph of it is registered");
    assert!(job.oldest_due_at.is_some());
    assert_eq!((&*lost.state, lost.records, lost.is_capped), ("lost", 3, true));
    assert!(lost.is_error && !lost.is_completed);

    let [failure] = &*failures(None, conn).expect("grouped") else { panic!() };
    assert_eq!((&*failure.error, failure.records), ("van # is gone", 5));
    assert_eq!(failure.example, "van 7 is gone");
    let taken = lately("parcel", conn).expect("counted");
    assert_eq!((taken["pack"], taken["lose"]), (5, 5));
    let of_late = throughput(&["job", "other", "parcel"], conn).expect("counted");
    let of_late: Vec<_> =
        of_late.iter().map(|one| (&*one.flow, one.completed, one.moved)).collect();
    assert_eq!(of_late, [("job", 0, 1), ("parcel", 0, 15)], "with the creations");
    for id in &ids {
        let cancel = Action::Take { transition: "cancel".to_owned() };
        act(&cancel, *id, &wish(), conn).expect("cancelled");
    }
    let long_ago = format!(
        "UPDATE flowstate_flows SET completed_at = '2020-01-01 00:00:00.000000' WHERE id = {}",
        ids[0]
    );
    conn.batch_execute(&long_ago).expect("completed long ago");
    let of_late = throughput(&["job", "other", "parcel"], conn).expect("counted");
    assert_eq!((of_late[1].completed, of_late[1].is_capped), (4, false));
}

/// A state that no registered graph knows is stuck, and can be forced into a known one.
pub fn an_unknown_state_is_stuck<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    register::<(Bear,)>("zoo 1", conn).expect("registered");
    let id = parcel(conn);
    let because = Filter { stuck_because: Some(Stuck::UnknownState), ..Filter::default() };
    let found = list(&because, None, 10, conn).expect("listed");
    assert_eq!(found.records.iter().map(|one| one.id).collect::<Vec<_>>(), [id]);
    let force = Action::Force { state: "asleep".to_owned() };
    act(&force, id, &wish(), conn).expect("forced");
    assert!(list(&because, None, 10, conn).expect("listed").records.is_empty());
    clean(conn);
}
