//! What is told to `tracing`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use flowstate_diesel::prelude::*;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::Database;
use crate::flows::Job;

type Fields = BTreeMap<&'static str, String>;

/// Keeps the fields of every span, in order.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<Fields>>>);

impl Spans {
    fn fields(&self) -> MutexGuard<'_, Vec<Fields>> {
        self.0.lock().expect("no panic")
    }
}

struct Keep<'a>(&'a mut Fields);

impl Visit for Keep<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

impl Subscriber for Spans {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && metadata.name().starts_with("flowstate.")
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut spans = self.fields();
        let mut fields = Fields::new();
        attributes.record(&mut Keep(&mut fields));
        spans.push(fields);
        Id::from_u64(spans.len().try_into().expect("few"))
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let at = usize::try_from(span.into_u64()).expect("few") - 1;
        values.record(&mut Keep(&mut self.fields()[at]));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// So have the calls that begin or end a record.
pub fn a_creation_and_a_deletion_have_spans<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let spans = Spans::default();
    let ids = tracing::subscriber::with_default(spans.clone(), || {
        let mut job = Job::new("a").create(conn).expect("created");
        let keyed = Job::new("b").create_once("key", conn).expect("created").into_record();
        Job::new("c").create_once("key", conn).map(drop).expect_err("other props");
        Job::create_many([Job::new("d")], conn).expect("created");
        job.destroy(conn).expect("destroyed");
        [job.id(), keyed.id()].map(|id| id.to_string())
    });
    let told = spans.fields();
    let told: Vec<_> = told
        .iter()
        .map(|span| {
            ["flow", "call", "id", "outcome"].map(|name| span.get(name).map_or("", String::as_str))
        })
        .collect();
    assert_eq!(
        told,
        [
            ["job", "create", &ids[0], "done"],
            ["job", "create_once", &ids[1], "done"],
            ["job", "create_once", "", "failed"],
            ["job", "create_many", "", "done"],
            ["job", "destroy", &ids[0], "done"],
        ]
    );
}

/// Each transition has a span that says which record went where, and how it ended.
pub fn a_transition_has_a_span<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut job = Job::new("a").create(conn).expect("created");
    let id = job.id().to_string();
    let spans = Spans::default();
    tracing::subscriber::with_default(spans.clone(), || {
        job.transition(Job::PARK, conn).run().expect("parked");
        job.transition(Job::WORK, conn).guard("yes", |_, _| true).run().expect("working");
        job.transition(Job::PARK, conn).run().expect_err("invalid");
        job.transition(Job::FAIL, conn).guard("no", |_, _| false).run().expect_err("rejected");
        job.transition(Job::FAIL, conn)
            .within(|_, _| Err::<(), _>("no".into()))
            .run()
            .expect_err("failed");
    });
    let told = spans.fields();
    let fields = |at: usize| {
        ["flow", "id", "transition", "from", "to", "seq", "outcome"]
            .map(|name| told[at].get(name).map_or("", String::as_str))
    };
    assert_eq!(fields(0), ["job", &id, "park", "open", "parked", "1", "done"]);
    assert_eq!(fields(1), ["job", &id, "work", "parked", "working", "2", "done"]);
    assert_eq!(fields(2), ["job", &id, "park", "working", "parked", "", "invalid"]);
    assert_eq!(fields(3), ["job", &id, "fail", "working", "broken", "", "rejected"]);
    assert_eq!(fields(4), ["job", &id, "fail", "working", "broken", "", "failed"]);
}
