//! What comes back is what was given, bit for bit.

use fastrand::Rng;
use flowstate_diesel::prelude::*;
use serde_json::{Map, Value};

use crate::flows::{Job, Measure, Note};
use crate::{Database, check};

/// Floats that a reader of less than full precision gives back changed are among them.
fn numbers(random: &mut Rng) -> Vec<f64> {
    let mut numbers = vec![
        1.577_777_777_777_000_1,
        117.633_313_394_000_17,
        10_587.436_593_658_975,
        9_007_199_254_740_991.0,
        9_007_199_254_740_993.0,
        1e16,
        -0.0,
        f64::MAX,
        f64::MIN,
        f64::MIN_POSITIVE,
        5e-324,
        f64::EPSILON,
        f64::from(f32::MAX),
    ];
    numbers.extend((0..1000).map(|cents| f64::from(cents) / 100.0 * 1.19));
    let bits = std::iter::repeat_with(|| f64::from_bits(random.u64(..)));
    numbers.extend(bits.filter(|number| number.is_finite()).take(1000));
    numbers
}

/// Any number comes back with the same bits, from props and from artefacts.
pub fn every_float_comes_back<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let seed = fastrand::u64(..);
    let values = numbers(&mut Rng::with_seed(seed));
    let flow = Measure { values: values.clone() }.create(conn).expect("created");
    let found = Measure::find(flow.id(), conn).expect("found");
    for (given, found) in values.iter().zip(&found.values) {
        assert_eq!(given.to_bits(), found.to_bits(), "{given:?} as {found:?}; seed {seed}");
    }
    let mut job = Job::new("a").create(conn).expect("created");
    job.transition(Job::WORK, conn).run().expect("working");
    let note = Note(Value::from(values));
    job.transition(Job::NOTE, conn).persist(note.clone()).run().expect("noted");
    let found = Job::find(job.id(), conn).expect("found").artefact::<Note>(conn).expect("read");
    assert!(found.is_some_and(|found| bits(&found.0) == bits(&note.0)), "seed {seed}");
}

/// Any JSON comes back as it was given: from props, artefacts and metadata.
pub fn every_json_value_comes_back<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let seed = fastrand::u64(..);
    let random = &mut Rng::with_seed(seed);
    for _ in 0..40 {
        let [props, artefact, metadata] = [(); 3].map(|()| value(random, 5));
        let mut job = Job::new("a");
        job.payload = props.clone();
        let mut job = job.create(conn).expect("created");
        job.transition(Job::WORK, conn).metadata(&metadata).run().expect("working");
        job.transition(Job::NOTE, conn).persist(Note(artefact.clone())).run().expect("noted");

        let found = Job::find(job.id(), conn).expect("found");
        assert_eq!(bits(&found.payload), bits(&props), "seed {seed}");
        let note = found.artefact::<Note>(conn).expect("read").expect("there");
        assert_eq!(bits(&note.0), bits(&artefact), "seed {seed}");
        let history = found.history(conn).expect("read");
        let kept = history.into_iter().find_map(|entry| entry.metadata).expect("kept");
        assert_eq!(bits(&kept), bits(&metadata), "seed {seed}");
    }
    check::clean(conn);
}

/// As a text in which numbers that differ differ: `-0.0` equals `0.0`.
fn bits(value: &Value) -> String {
    value.to_string()
}

fn value(random: &mut Rng, depth: usize) -> Value {
    match random.u8(if depth == 0 { ..6 } else { ..8 }) {
        0 => Value::Null,
        1 => Value::Bool(random.bool()),
        2 => Value::from(random.u64(..) >> random.u8(..64)),
        3 => Value::from(random.i64(..) >> random.u8(..64)),
        4 => Value::from(f64::from_bits(random.u64(..))),
        5 => Value::from(text(random)),
        6 => (0..random.usize(..5)).map(|_| value(random, depth - 1)).collect(),
        _ => {
            let members = random.usize(..5);
            let member = |_| (text(random), value(random, depth - 1));
            Value::Object((0..members).map(member).collect::<Map<_, _>>())
        }
    }
}

fn text(random: &mut Rng) -> String {
    // all but NUL, which is refused
    (0..random.usize(..8)).map(|_| random.char('\u{1}'..)).collect()
}
