//! Records found by state, age, label, and whether they have given up.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use flowstate::Flow;
use flowstate_diesel::operator::register;
use flowstate_diesel::{Backoff, Error, Found, QueryCursor, StepError, claim_next, prelude::*};
use serde::{Deserialize, Serialize};

use super::operator::{Parcel, ParcelState};
use super::pages::{cost, fill};
use crate::{Database, refused};

/// Somebody comes on board.
#[derive(Flow, Serialize, Deserialize, Debug)]
#[state(Asked(alias = "asked_for"), Checking, Failed(error), Active)]
#[initial(Asked)]
#[completed(Active)]
#[group(InKyc = Asked | Checking)]
#[flow(label(merchant))]
#[step(check: Asked | Failed => Checking => Active, fail(Failed))]
pub struct Kyc {
    merchant: Option<u64>,
}

fn kyc<D: Database>(conn: &mut D::Conn, merchant: impl Into<Option<u64>>) -> i64 {
    Kyc { merchant: merchant.into() }.create(conn).expect("created").id()
}

fn ids(found: &Found<KycRecord>) -> Vec<i64> {
    found.records.iter().map(|record| record.id()).collect()
}

/// Moved three days and an hour ago.
fn age<D: Database>(conn: &mut D::Conn, id: i64) {
    let set = "UPDATE flowstate_flows SET updated_at = '2026-01-01 00:00:00.000000' WHERE id = ";
    conn.batch_execute(&format!("{set}{id}")).expect("aged");
}

/// Each condition, alone and with others.
pub fn a_query_finds_what_is_asked_for<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let step = Kyc::CHECK.retry(Backoff::fixed(Duration::from_hours(1)).attempts(2));
    let mut claim = |merchant: u64| {
        kyc::<D>(conn, merchant);
        claim_next(&step, conn).expect("no error").expect("a claim")
    };
    let [again, gave_up, active, claimed] = [1, 2, 42, 42].map(&mut claim);
    let claimed = { claimed }.id();
    let ended = [again.id(), gave_up.id(), active.id()];
    again.fail("no", conn).expect("failed");
    gave_up.fail(StepError::permanent("no"), conn).expect("failed");
    active.finish((), conn).expect("finished");
    let [again, gave_up, active] = ended;
    let waits = kyc::<D>(conn, 42);
    let nameless = kyc::<D>(conn, None);
    let found = |query: flowstate_diesel::Query<Kyc>, conn: &mut D::Conn| {
        let found = query.load(conn).expect("found");
        assert_eq!(found.next, None);
        ids(&found)
    };
    let query = Kyc::query;
    // due, the longest first; claimed; the rest
    let all = [waits, nameless, again, claimed, gave_up, active];
    assert_eq!(found(query(), conn), all);
    assert_eq!(found(query().states(Kyc::IN_KYC), conn), [waits, nameless, claimed]);
    assert_eq!(found(query().states([KycState::Active]), conn), [active]);
    assert_eq!(found(query().given_up(), conn), [gave_up]);
    assert_eq!(found(query().given_up().states(Kyc::IN_KYC), conn), [0; 0]);
    let of_42 = || query().label(Kyc::MERCHANT, 42);
    assert_eq!(found(of_42(), conn), [active, claimed, waits]);
    assert_eq!(found(of_42().states(Kyc::IN_KYC), conn), [claimed, waits]);
    assert_eq!(found(of_42().given_up(), conn), [0; 0]);
    assert_eq!(found(query().label(Kyc::MERCHANT, 2).given_up(), conn), [gave_up]);
    assert_eq!(found(query().label(Kyc::MERCHANT, None::<u64>), conn), [0; 0]);
    let three_days = Duration::from_hours(72);
    assert_eq!(found(query().in_state_for(three_days), conn), [0; 0]);
    assert_eq!(found(query().in_state_for(Duration::MAX), conn), [0; 0]);
    for id in [waits, claimed, gave_up] {
        age::<D>(conn, id);
    }
    assert_eq!(found(query().in_state_for(three_days), conn), [waits, claimed, gave_up]);
    assert_eq!(found(of_42().in_state_for(three_days), conn), [claimed, waits]);
    assert_eq!(found(query().in_state_for(three_days).given_up(), conn), [gave_up]);
    let too_long = query().label(Kyc::MERCHANT, &*"4".repeat(256)).load(conn);
    refused!(too_long.map(|found| ids(&found)), Error::Unstorable { .. });

    // a former name of the state, one that this program does not know, and a row that it cannot read
    let set =
        |column: &str, id: i64| format!("UPDATE flowstate_flows SET {column} WHERE id = {id}");
    conn.batch_execute(&set("state = 'asked_for'", waits)).expect("renamed");
    conn.batch_execute(&set("state = 'from_the_future'", nameless)).expect("unknown");
    assert_eq!(found(query().states(Kyc::IN_KYC), conn), [waits, claimed]);
    assert_eq!(found(query(), conn), [waits, again, claimed, gave_up, active]);
    conn.batch_execute(&set("props = '7'", waits)).expect("unreadable");
    refused!(query().load(conn).map(|found| ids(&found)), Error::Decode { .. });
    let each = query().load_each(conn).expect("found").records;
    let read: Vec<_> = each.iter().map(|(id, record)| (*id, record.is_ok())).collect();
    let all = [waits, again, claimed, gave_up, active].map(|id| (id, id != waits));
    assert_eq!(read, all);
}

/// Page by page all are found, each once, in their order.
pub fn pages_of_a_query_are_whole<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut expected = Vec::new();
    for minutes in 0..20_u64 {
        let late = Kyc { merchant: Some(minutes % 2) };
        let late = late.create_in(Duration::from_mins(100 - minutes), conn).expect("created");
        expected.insert(0, late.id());
    }
    // every other one in another state, where it is as long due
    let set = "UPDATE flowstate_flows SET state = 'failed' WHERE id IN ";
    let odd: Vec<_> = expected.iter().filter(|id| *id % 2 == 1).map(i64::to_string).collect();
    conn.batch_execute(&format!("{set}({})", odd.join(","))).expect("moved");
    for _ in 0..5 {
        let done = kyc::<D>(conn, 2);
        let set = "state = 'active', due_at = NULL, completed_at = created_at";
        let set = format!("UPDATE flowstate_flows SET {set} WHERE id = {done}");
        conn.batch_execute(&set).expect("done");
        expected.push(done);
    }
    for limit in [1, 3, 7, 24, 25, 26, 1_000] {
        let (mut after, mut found) = (None::<QueryCursor>, Vec::new());
        loop {
            let page = Kyc::query().page(limit, after).load(conn).expect("found");
            assert!(page.records.len() <= limit);
            found.extend(ids(&page));
            // as a program hands it to whoever asks
            let Some(next) = page.next else { break };
            let text = serde_json::to_string(&next).expect("text");
            after = Some(serde_json::from_str(&text).expect("a cursor"));
        }
        assert_eq!(found, expected, "{limit} a page");
        let (mut after, mut found) = (None, Vec::new());
        loop {
            let query = Kyc::query().label(Kyc::MERCHANT, 1).page(limit, after);
            let page = query.load(conn).expect("found");
            found.extend(ids(&page));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let labelled: Vec<_> = (0..10).map(|at| expected[18 - 2 * at]).collect();
        assert_eq!(found, labelled, "{limit} a page");
    }
}

/// However many records there are, a page reads some hundred entries of indexes, and never the table.
pub fn a_query_goes_along_indexes<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    fill::<D>(conn);
    register::<(Parcel,)>("shop 1", conn).expect("registered");
    let analyze = if D::FOLDER == "mysql" { "ANALYZE TABLE flowstate_flows" } else { "ANALYZE" };
    conn.batch_execute(analyze).expect("analyzed");
    // the lanes, of each a part, and the records; in MySQL each lane by a statement
    let most = if D::FOLDER == "mysql" { 4 + 3 + 1 } else { 1 + 3 + 1 };
    let page = |query: flowstate_diesel::Query<Parcel>, shown: usize| {
        move |conn: &mut D::Conn| {
            let found = query.page(50, None).load_each(conn).expect("found");
            assert_eq!(found.records.len(), shown);
            assert!(found.next.is_some(), "it goes on later");
        }
    };
    let (read, statements) = cost::<D>(conn, page(Parcel::query(), 50));
    assert!(read <= 500, "{read}");
    assert!(statements <= most, "{statements}");
    let only = Parcel::query().states([ParcelState::Open]);
    let (read, statements) = cost::<D>(conn, page(only, 50));
    assert!(read <= 500, "{read}");
    assert_eq!(statements, 2, "one part of one lane, and its records");
    let (read, statements) = cost::<D>(conn, page(Parcel::query().given_up(), 50));
    assert!(read <= 1_000, "{read}");
    assert!(statements <= most, "{statements}");
    // there is no such record, and the search ends all the same
    let none = Parcel::query().in_state_for(Duration::from_hours(24 * 36_500));
    let (read, statements) = cost::<D>(conn, page(none, 0));
    assert!(read <= 10_000, "{read}");
    assert!(statements <= most + 14, "{statements}");
}
