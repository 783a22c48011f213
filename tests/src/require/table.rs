//! A23 in one table: what is stored, and the answer that every database gives.

use flowstate_diesel::prelude::*;
use flowstate_diesel::{Error, Result};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::flows::{Big, Job, Measure, Named, NamedState, Small, Verbatim};
use crate::{Database, check};

enum Sample {
    Payload(Value),
    /// JSON that somebody else wrote.
    Json(&'static str),
    Number(f64),
    Key(String),
    /// Stored names that differ in case, accents and signs: those of [`Named`].
    Names,
}

#[derive(Debug, PartialEq)]
enum Answer {
    Recorded,
    Changed,
    /// Before any write, and why.
    Refused(&'static str),
}

use Answer::{Changed, Recorded, Refused};
use Sample::{Json, Key, Names, Number, Payload};

fn rows() -> Vec<(&'static str, Sample, Answer)> {
    let nest = |levels: usize| (1..levels).fold(json!([]), |inner, _| json!([inner]));
    let text = |length: usize| Payload(Value::String("x".repeat(length)));
    vec![
        ("a NUL", Payload(json!("a\0b")), Refused("NUL")),
        ("a NUL in JSON", Json(r#""\u0000""#), Refused("NUL")),
        ("the text of one", Payload(json!("\\u0000")), Recorded),
        ("half a pair", Json(r#""\ud800""#), Refused("surrogate")),
        ("a pair", Json(r#""\ud83e\udd80""#), Recorded),
        ("10 MB", text(10_000_000), Recorded),
        ("13 MB", text(13_000_000), Refused("bytes")),
        ("no number", Number(f64::NAN), Refused("values[0]")),
        ("infinity", Number(f64::INFINITY), Refused("values[0]")),
        ("a small number", Number(-2.5e-300), Recorded),
        ("u64::MAX", Payload(json!(u64::MAX)), Recorded),
        ("i64::MIN", Payload(json!(i64::MIN)), Recorded),
        ("more than a float", Json("[1e400]"), Refused("64-bit float")),
        ("more than 64 bits", Json("18446744073709551616"), Refused("64 bits")),
        ("99 levels", Payload(nest(99)), Recorded),
        ("200 levels", Payload(nest(200)), Refused("100 levels")),
        ("signs", Payload(json!("' \" ` \\ % \n\t\u{1} 🦀 e\u{301} ")), Recorded),
        ("keys of an object", Payload(json!({"": 1, " b": 2, "a": [null, true]})), Recorded),
        ("a key", Key("a".into()), Recorded),
        ("in mixed case", Key("A".into()), Recorded),
        ("with a trailing blank", Key("a ".into()), Recorded),
        ("with an accent", Key("á".into()), Recorded),
        ("with signs", Key("'; -- \" ` \\ % 🦀".into()), Recorded),
        ("as long as may be", Key("k".repeat(255)), Recorded),
        ("longer", Key("k".repeat(256)), Refused("256 bytes")),
        ("10 kB", Key("k".repeat(10_000)), Refused("10000 bytes")),
        ("with a NUL", Key("a\0".into()), Refused("NUL")),
        ("names", Names, Recorded),
    ]
}

fn is_kept<D: Database>(sample: &Sample, conn: &mut D::Conn) -> Result<bool> {
    match sample {
        Payload(payload) => {
            let mut props = Job::new("a");
            props.payload = payload.clone();
            let job = props.create(conn)?;
            Ok(Job::find(job.id(), conn)?.payload == *payload)
        }
        Json(text) => {
            let json = RawValue::from_string((*text).to_owned()).expect("JSON by its signs");
            let flow = Verbatim { json }.create(conn)?;
            Ok(Verbatim::find(flow.id(), conn)?.json.get() == *text)
        }
        Number(number) => {
            let flow = Measure { values: vec![*number] }.create(conn)?;
            Ok(Measure::find(flow.id(), conn)?.values[0].to_bits() == number.to_bits())
        }
        Key(key) => {
            let once = Job::new("a").create_once(key, conn)?;
            let is_new = once.is_created();
            let found = Job::find_by_key(key, conn)?.expect("found");
            Ok(is_new && found.key() == Some(key) && found.id() == once.into_record().id())
        }
        Names => {
            let mut flow = Named {}.create(conn)?;
            flow.transition(Named::BIG, conn).persist(Big(1)).run()?;
            flow.transition(Named::SMALL, conn).persist(Small(2)).run()?;
            let found = Named::find(flow.id(), conn)?;
            let told = (found.state(), found.artefact(conn)?, found.artefact(conn)?);
            Ok(told == (NamedState::Accent, Some(Big(1)), Some(Small(2))))
        }
    }
}

/// A23: the same payloads, names, keys and numbers give the same answer on every database.
pub fn a23_one_answer_everywhere<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    for (name, sample, expected) in rows() {
        let before = check::sizes::<D>(conn);
        let answer = match is_kept::<D>(&sample, conn) {
            Ok(true) => Recorded,
            Ok(false) => Changed,
            Err(Error::Unstorable { fault, .. }) => match expected {
                Refused(part) if fault.contains(part) => Refused(part),
                _ => panic!("{name}: {fault}"),
            },
            Err(other) => panic!("{name}: {other:?}"),
        };
        assert_eq!(answer, expected, "{name}");
        let wrote = check::sizes::<D>(conn) != before;
        assert_eq!(wrote, answer == Recorded, "{name}");
    }
    check::clean(conn);
}
