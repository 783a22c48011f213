//! What is stored comes back as it was, or is refused before any write, on every database alike.

use diesel::connection::SimpleConnection;
use flowstate_diesel::prelude::*;
use flowstate_diesel::{Error, MAX_JSON_DEPTH, MAX_KEY_LENGTH, Once, Page, What, transaction};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::flows::versions::{v1, v2};
use crate::flows::{Big, Job, JobState, Measure, Named, NamedState, Note, Small, Verbatim};
use crate::{Database, check, refused};

/// A22: an artefact of an older type is an error with its path, and the record stays.
pub fn a22_older_artefact_is_an_error_with_its_path<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut old = v1::Order { customer: "a".into() }.create(conn).expect("created");
    old.transition(v1::Order::PRICE, conn).persist(v1::Price { cents: 5 }).run().expect("priced");
    let before = check::sizes::<D>(conn);
    let mut new = v2::Order::find(old.id(), conn).expect("found");
    let (record, what, path, source) = refused!(
        new.transition(v2::Order::SHIP, conn).run(),
        Error::Decode { record, what, path, source } => (record, what, path, source)
    );
    assert_eq!((record.flow, record.id), ("order", Some(old.id())));
    assert_eq!((what, &*path), (What::Artefact("price".into()), "."));
    assert!(source.to_string().contains("missing field `currency`"), "{source}");
    assert_eq!((new.state(), new.seq()), (v2::OrderState::Priced, 1));
    assert_eq!(check::sizes::<D>(conn), before);
    refused!(new.artefact::<v2::Price>(conn), Error::Decode { .. });

    let payload =
        "{\"cents\": 5, \"currency\": \"EUR\", \"lines\": [{\"cents\": 2}, {\"cents\": \"x\"}]}";
    conn.batch_execute(&format!("UPDATE flowstate_artefacts SET payload = '{payload}'"))
        .expect("spoilt");
    let path = refused!(
        new.transition(v2::Order::SHIP, conn).run(),
        Error::Decode { path, .. } => path
    );
    assert_eq!(path, "lines[1].cents");
    old.transition(v1::Order::SHIP, conn).run().expect("the older program still can");
    check::clean(conn);
}

/// A nest of arrays.
fn nest(levels: usize) -> Value {
    (1..levels).fold(json!([]), |inner, _| json!([inner]))
}

fn with_key(key: &str) -> Value {
    Value::Object(Map::from_iter([(key.to_owned(), json!(1))]))
}

/// A23: payloads that come back as they were.
pub fn a23_payloads_round_trip<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    for (number, payload) in [
        Value::Null,
        json!(""),
        json!("quotes ' \" ` \\ and \n\t\r\u{1}\u{7f}"),
        json!("🦀 Émile émile e\u{301}  trailing  "),
        json!("\\u0000 is text here"),
        json!([u64::MAX, i64::MIN, 0, -1, 9_007_199_254_740_993_u64]),
        json!([0.1, 1.5e300, -2.5e-300, 1.0]),
        json!({"": 1, " b": 2, "a": [null, true, {"deep": {}}]}),
        with_key("quotes ' \" 🦀 "),
        nest(MAX_JSON_DEPTH - 2),
        nest(MAX_JSON_DEPTH - 1),
        json!("x".repeat(10_000_000)),
    ]
    .into_iter()
    .enumerate()
    {
        // one level is the struct round it
        let mut props = Job::new("a");
        props.payload = payload.clone();
        let mut job = props.create(conn).expect("created");
        let size = payload.to_string().len();
        let found = Job::find(job.id(), conn).expect("found");
        assert!(found.payload == payload, "props of {size} bytes: {found:?}");
        job.transition(Job::WORK, conn).metadata(&payload).run().expect("working");
        job.transition(Job::NOTE, conn).persist(Note(payload.clone())).run().expect("noted");
        assert!(job.transition(Job::READ, conn).run().expect("read") == Note(payload.clone()));
        let metadata = job.history(conn).expect("the history")[1].metadata.take();
        assert!(metadata.as_ref() == Some(&payload), "metadata of {size} bytes");
        let key = format!("key {number}");
        if payload == nest(MAX_JSON_DEPTH - 1) {
            let (what, fault) = refused!(
                job.props().clone().create_once(&key, conn),
                Error::Unstorable { what, fault, .. } => (what, fault)
            );
            assert_eq!(what, What::Props);
            assert!(fault.contains("100 levels") && fault.contains("with a key"), "{fault}");
            continue;
        }
        let Once::Created(_) = job.props().clone().create_once(&key, conn).expect("created") else {
            panic!("not new");
        };
        let again = job.props().clone().create_once(&key, conn).expect("found again");
        assert!(!again.is_created());
    }
    check::clean(conn);
}

/// A23: payloads that are refused, before any write.
pub fn a23_payloads_are_refused<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut job = Job::new("a").create(conn).expect("created");
    job.transition(Job::WORK, conn).run().expect("working");
    let before = check::sizes::<D>(conn);
    for (payload, part) in [
        (json!("a\0b"), "NUL"),
        (with_key("\0"), "NUL"),
        (nest(MAX_JSON_DEPTH + 1), "100 levels"),
        (nest(200), "100 levels"),
        (json!("x".repeat(13_000_000)), "bytes"),
    ] {
        let mut props = Job::new("a");
        props.payload = payload.clone();
        let refused = [
            (
                What::Props,
                refused!(props.clone().create(conn), Error::Unstorable { what, fault, .. } => (what, fault)),
            ),
            (
                What::Props,
                refused!(props.create_once("key", conn), Error::Unstorable { what, fault, .. } => (what, fault)),
            ),
            (
                What::Artefact("note".into()),
                refused!(
                    job.transition(Job::NOTE, conn).persist(Note(payload.clone())).run(),
                    Error::Unstorable { what, fault, .. } => (what, fault)
                ),
            ),
            (
                What::Metadata,
                refused!(
                    job.transition(Job::FAIL, conn).metadata(&payload).run(),
                    Error::Unstorable { what, fault, .. } => (what, fault)
                ),
            ),
            (
                What::Props,
                refused!(
                    job.transition(Job::FAIL, conn).update(|job| job.payload = payload.clone()).run(),
                    Error::Unstorable { what, fault, .. } => (what, fault)
                ),
            ),
        ];
        for (expected, (what, fault)) in refused {
            assert_eq!(what, expected);
            assert!(fault.contains(part), "{fault}");
        }
    }
    for float in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let fault = refused!(
            Measure { values: vec![float] }.create(conn),
            Error::Unstorable { fault, .. } => fault
        );
        assert!(fault.contains("values[0]"), "{fault}");
    }
    assert_eq!((job.state(), job.seq()), (JobState::Working, 1));
    assert_eq!(check::sizes::<D>(conn), before);
    check::clean(conn);
}

/// A23: JSON that somebody else wrote is stored as it is, or refused: half a surrogate pair could be
/// stored, and never be read again.
pub fn a23_json_of_others_is_kept_or_refused<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let verbatim = |json: &str| Verbatim {
        json: RawValue::from_string(json.to_owned()).expect("JSON, as far as its signs go"),
    };
    for json in [
        r#""\ud83e\udd80 🦀 \u00e9""#,
        r#"{ "b": 1.50, "a": [ 1e2, "\/" ], "a": null }"#,
        r#""\\ud800""#,
        r#""\\u0000""#,
    ] {
        let flow = verbatim(json).create(conn).expect("created");
        let found = Verbatim::find(flow.id(), conn).expect("found");
        assert_eq!(found.json.get(), json);
    }
    let before = check::sizes::<D>(conn);
    for (json, part) in [
        (r#""\ud800""#, "surrogate"),
        (r#""\udc00""#, "surrogate"),
        (r#""\uD83E\uD83E\uDD80""#, "surrogate"),
        (r#"{"\uDBFFa": 1}"#, "surrogate"),
        (r#""\ud800\n""#, "surrogate"),
        (r#""\u0000""#, "NUL"),
        ("18446744073709551616", "64 bits"),
    ] {
        let refused = verbatim(json).create(conn);
        let fault = refused!(refused, Error::Unstorable { fault, .. } => fault);
        assert!(fault.contains(part), "{json}: {fault}");
    }
    assert_eq!(check::sizes::<D>(conn), before);
    check::clean(conn);
}

/// A23: stored names are told apart byte by byte, whatever signs are in them.
pub fn a23_names_are_bytes<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut flow = Named {}.create_once("key", conn).expect("created").into_record();
    flow.transition(Named::BIG, conn).persist(Big(1)).run().expect("moved");
    flow.transition(Named::SMALL, conn).persist(Small(2)).run().expect("moved");
    assert_eq!(flow.artefact(conn).expect("read"), Some(Big(1)));
    let loaded = flow.transition(Named::READ, conn).guard("it may", |_, _| true).run();
    assert_eq!(loaded.expect("read"), (Big(1), Small(2)));
    let found = Named::find_by_key("key", conn).expect("searched").expect("found");
    assert_eq!(found.state(), NamedState::Signs);
    assert!(!Named {}.create_once("key", conn).expect("found").is_created());
    for (state, records) in
        [(NamedState::Upper, 0), (NamedState::Accent, 0), (NamedState::Signs, 1)]
    {
        let listed = Named::list([state], Page::first(10), conn).expect("listed");
        assert_eq!(listed.len(), records, "{state}");
    }
    flow.transition(Named::END, conn).run().expect("ended");
    let history = flow.history(conn).expect("the history");
    let told: Vec<_> = history.iter().map(|row| (&*row.transition, &*row.to)).collect();
    assert_eq!(
        told,
        [
            ("flow.create", "State"),
            ("Move", "state"),
            ("move", "Státe"),
            ("'🦀' \"move\"", "'; -- \"🦀\" %_`\\"),
            ("END", "ENDED"),
        ]
    );
    let counts = Named::count_by_state(u32::MAX, conn).expect("counted");
    assert_eq!(counts.iter().map(|count| &*count.state).collect::<Vec<_>>(), ["ENDED"]);
    assert_eq!(Job::count_by_state(u32::MAX, conn).expect("counted"), []);
    check::clean(conn);
}

/// A23: keys are told apart byte by byte; what is too long or holds a NUL is refused.
pub fn a23_keys_are_bytes<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let longest = "k".repeat(MAX_KEY_LENGTH);
    let crabs = "🦀".repeat(MAX_KEY_LENGTH / 4);
    let keys = [
        "a", "A", "a ", " a", "", " ", "\u{e9}", "e\u{301}", "É", "e", "'; --", "\"", "`", "\\",
        "%", "🦀", "\u{1}", "ß", "ss", &longest, &crabs,
    ];
    let create = |key: &str, conn: &mut D::Conn| {
        Job::new("a").create_once(key, conn).expect("created").into_record().id()
    };
    let ids: Vec<_> = keys.iter().map(|key| create(key, conn)).collect();
    let again: Vec<_> = keys.iter().map(|key| create(key, conn)).collect();
    assert_eq!(ids, again, "found under their own keys");
    assert_eq!(check::rows::<D>(conn, "flowstate_flows"), i64::try_from(keys.len()).expect("few"));
    for (key, id) in keys.iter().zip(&ids) {
        let found = Job::find_by_key(key, conn).expect("searched").expect("found");
        assert_eq!((found.id(), found.key()), (*id, Some(*key)));
    }
    assert!(Job::find_by_key("nobody", conn).expect("searched").is_none());

    let before = check::sizes::<D>(conn);
    for key in ["k".repeat(MAX_KEY_LENGTH + 1), "k".repeat(10_000), "a\0".to_owned()] {
        let refused = Job::new("a").create_once(&key, conn);
        refused!(refused, Error::Unstorable { what: What::Key, .. });
        // nobody has it: that is no failure of the transaction round the search
        let searched = transaction(conn, |conn| {
            let found = Job::find_by_key(&key, conn)?.is_some();
            Job::find_by_key("a", conn).map(|job| (found, job.is_some()))
        });
        assert_eq!(searched.expect("searched"), (false, true));
        let mut job = Job::find(ids[0], conn).expect("found");
        let refused = job.transition(Job::WORK, conn).actor(&*key).run();
        refused!(refused, Error::Unstorable { what: What::Actor, .. });
    }
    assert_eq!(check::sizes::<D>(conn), before);
    check::clean(conn);
}

/// A23: the text of an error is kept, whatever it contains.
pub fn a23_errors_are_kept<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    for (error, kept) in [
        ("", String::new()),
        ("no luck ' \" 🦀 \n ", "no luck ' \" 🦀 \n ".to_owned()),
        ("a\0b", "a\u{fffd}b".to_owned()),
        (&"é".repeat(50_000), "é".repeat(4096)),
    ] {
        let mut job = Job::new("a").create(conn).expect("created");
        job.transition(Job::WORK, conn).run().expect("working");
        job.transition(Job::FAIL, conn).error(error).run().expect("failed");
        assert_eq!(job.history(conn).expect("the history")[2].error.as_ref(), Some(&kept));
    }
    check::clean(conn);
}
