//! Somebody who calls, and remembers every answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use diesel::Connection as _;
use flowstate_diesel::{AsStore as _, Error, Unconfirmed};

use super::tally::Kind;
use crate::Database;

/// How long it is asked what became of a commit.
const PATIENCE: Duration = Duration::from_mins(1);

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Done,
    /// The error, in words.
    Refused(String),
    /// Nobody knew; and what `resolve` said then.
    InDoubt(Option<bool>),
}

/// One call.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) answer: Answer,
    /// By its own clock.
    pub(super) began: Instant,
    pub(super) ended: Instant,
}

impl Call {
    pub(super) fn took(&self) -> Duration {
        self.ended.duration_since(self.began)
    }
}

/// What callers share.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) urls: Vec<String>,
    /// The records that are moved.
    pub(super) ids: Vec<i64>,
    pub(super) is_over: AtomicBool,
}

/// Calls until it is over, first at the URL of its number.
pub(super) fn call<D: Database>(number: usize, place: &Arc<Place>, answers: &Sender<Call>) {
    let mut conn = None;
    for count in 0.. {
        let open = match conn.take() {
            Some(open) => Some(open),
            None => connect::<D>(number, place),
        };
        let Some(mut open) = open.filter(|_| !place.is_over.load(Ordering::Relaxed)) else {
            return;
        };
        let (kind, began) = (Kind::any(), Instant::now());
        let name = format!("{kind:?}-{number}-{count}");
        let (answer, is_usable) = match kind.call(&name, &place.ids, open.as_store()) {
            Ok(()) => (Answer::Done, true),
            Err(Error::OutcomeUnknown(unconfirmed)) => {
                (Answer::InDoubt(resolve::<D>(&unconfirmed, place)), false)
            }
            Err(error) => {
                let is_usable = !matches!(error, Error::Database { .. } | Error::Within { .. });
                (Answer::Refused(words(&error)), is_usable)
            }
        };
        let ended = Instant::now();
        if answers.send(Call { name, kind, answer, began, ended }).is_err() {
            return;
        }
        conn = Some(open).filter(|_| is_usable);
        thread::sleep(Duration::from_millis(fastrand::u64(0..8)));
    }
}

/// A connection to the place of this number, or else to the next that has one. `None` when it is over.
fn connect<D: Database>(number: usize, place: &Place) -> Option<D::Conn> {
    while !place.is_over.load(Ordering::Relaxed) {
        for at in 0..place.urls.len() {
            let url = &place.urls[(number + at) % place.urls.len()];
            if let Ok(conn) = D::Conn::establish(url) {
                return Some(conn);
            }
        }
        thread::sleep(Duration::from_millis(50));
    }
    None
}

/// Asks anywhere but where it failed, again and again until somebody knows.
fn resolve<D: Database>(unconfirmed: &Unconfirmed, place: &Place) -> Option<bool> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let url = &place.urls[fastrand::usize(..place.urls.len())];
        let told = D::Conn::establish(url).ok().map(|mut conn| unconfirmed.resolve(&mut conn));
        if let Some(Ok(told)) = told {
            return told;
        }
        thread::sleep(Duration::from_millis(50));
    }
    None
}

/// The error with its sources, without numbers, so that those of a kind can be counted.
fn words(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    let text = text.replace(|character: char| character.is_ascii_digit(), "");
    text.lines().collect::<Vec<_>>().join(" ").chars().take(200).collect()
}
