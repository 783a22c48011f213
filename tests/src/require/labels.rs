//! Labels: props that records are looked up by.

use flowstate::Flow;
use flowstate_diesel::operator::{Filter, list};
use flowstate_diesel::{Error, Page, Purge, backfill_labels, prelude::*};
use serde::{Deserialize, Serialize};

use crate::check::clean;
use crate::flows::Job;
use crate::statement_probe::sent;
use crate::{Database, check, refused};

/// Somebody comes on board.
#[derive(Flow, Serialize, Deserialize, Debug)]
#[state(Asked, Checked, Left)]
#[initial(Asked)]
#[completed(Checked, Left(destroy))]
#[flow(label(merchant_id, city))]
#[transition(rename: Asked => Asked)]
#[transition(check: Asked => Checked)]
#[transition(leave: Asked => Left)]
pub struct Onboarding {
    merchant_id: u64,
    city: Option<String>,
}

fn onboarding(merchant_id: u64, city: Option<&str>) -> Onboarding {
    Onboarding { merchant_id, city: city.map(str::to_owned) }
}

/// The records with this label.
fn found<D: Database>(conn: &mut D::Conn, name: &str, value: &str) -> Vec<i64> {
    let filter = Filter {
        flow: Some("onboarding".to_owned()),
        label: Some((name.to_owned(), value.to_owned())),
        ..Filter::default()
    };
    let page = list(&filter, None, 100, conn).expect("listed");
    page.records.iter().map(|record| record.id).collect()
}

/// Labels are there from the creation on, follow the props, and go with the record.
pub fn labels_follow_the_props<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut first = onboarding(42, Some("Bremen")).create(conn).expect("created");
    let keyed = onboarding(42, None).create_once("key", conn).expect("created").into_record();
    let many = Onboarding::create_many((0..3).map(|id| onboarding(id, None)), conn);
    let many = many.expect("created");
    assert_eq!(Onboarding::MERCHANT_ID.name(), "merchant_id");
    assert_eq!(found::<D>(conn, "merchant_id", "42"), [first.id(), keyed.id()]);
    assert_eq!(found::<D>(conn, "merchant_id", "2"), [many[2].id()]);
    assert_eq!(found::<D>(conn, "city", "Bremen"), [first.id()]);
    assert_eq!(found::<D>(conn, "city", "bremen"), [0; 0], "byte by byte");

    let request = first.transition(Onboarding::RENAME, conn);
    let moved = request.update(|props| (props.merchant_id, props.city) = (43, None));
    moved.run().expect("renamed");
    assert_eq!(found::<D>(conn, "merchant_id", "42"), [keyed.id()]);
    assert_eq!(found::<D>(conn, "merchant_id", "43"), [first.id()]);
    assert_eq!(found::<D>(conn, "city", "Bremen"), [0; 0]);
    assert_eq!(check::rows::<D>(conn, "flowstate_labels"), 5);

    // a change that is undone changes no label
    let request = first.transition(Onboarding::RENAME, conn);
    let undone =
        request.update(|props| props.merchant_id = 44).within(|_, _| Err::<(), _>("no".into()));
    refused!(undone.run(), Error::Within { .. });
    assert_eq!(found::<D>(conn, "merchant_id", "43"), [first.id()]);
    let too_long = onboarding(1, Some(&"x".repeat(256))).create(conn);
    refused!(too_long.map(|record| record.id()), Error::Unstorable { .. });

    first.transition(Onboarding::LEAVE, conn).run().expect("destroyed");
    assert_eq!(found::<D>(conn, "merchant_id", "43"), [0; 0]);
    let mut keyed = keyed;
    keyed.transition(Onboarding::CHECK, conn).run().expect("checked");
    Purge::older_than(std::time::Duration::ZERO).run(conn).expect("purged");
    assert_eq!(check::rows::<D>(conn, "flowstate_labels"), 3);
    clean(conn);
}

/// Records of before get theirs, and nothing else is changed.
pub fn records_of_before_are_labelled<D: Database>() {
    use diesel::connection::SimpleConnection as _;

    let database = D::migrated();
    let conn = &mut database.connect();
    let all = Onboarding::create_many((0..250).map(|id| onboarding(id, None)), conn);
    let all = all.expect("created");
    conn.batch_execute("DELETE FROM flowstate_labels").expect("as before");
    conn.batch_execute(&format!(
        "UPDATE flowstate_flows SET props = '{{\"merchant_id\": \"odd\"}}' WHERE id = {}",
        all[7].id()
    ))
    .expect("one that cannot be read");
    for _ in 0..2 {
        assert_eq!(backfill_labels::<Onboarding>(conn).expect("labelled"), 249);
    }
    assert_eq!(check::rows::<D>(conn, "flowstate_labels"), 249);
    assert_eq!(found::<D>(conn, "merchant_id", "249"), [all[249].id()]);
    let states = [OnboardingState::Asked];
    let page = Onboarding::list_each(states, Page::first(1), conn).expect("listed");
    assert_eq!(page[0].1.as_ref().expect("read").seq(), 0);
}

/// A flow without labels has no statement more for them.
pub fn without_labels_nothing_is_paid<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let (statements, mut job) = sent(conn, |conn| Job::new("a").create(conn).expect("created"));
    let speaks = |texts: &[String]| texts.iter().any(|text| text.contains("flowstate_labels"));
    assert!(!speaks(&statements), "{statements:?}");
    let (statements, ()) = sent(conn, |conn| {
        let request = job.transition(Job::WORK, conn);
        request.update(|props| "b".clone_into(&mut props.name)).run().expect("moved");
        job.destroy(conn).expect("destroyed");
    });
    assert!(!speaks(&statements), "{statements:?}");
}
