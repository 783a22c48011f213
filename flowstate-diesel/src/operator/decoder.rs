//! Whether stored JSON can be read as the types of a flow, for code that knows flows by name only.

use std::panic::{AssertUnwindSafe, catch_unwind};

use flowstate::{Artefact, ArtefactReader, Flow};

use crate::error::{Error, RecordRef};
use crate::transition::artefacts::Stored;
use crate::transition::decode;
use crate::unwind::panic_text;

/// Reads props and artefacts of one flow as its types, and lets go of them.
#[derive(Clone, Copy, Debug)]
pub struct Decoder {
    props: fn(i64, &str, i64) -> Result<(), Error>,
    artefact: fn(i64, &str, &Stored) -> Result<(), Error>,
}

/// A stored value that its type cannot read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Misfit {
    /// Where in the JSON.
    pub(super) path: String,
    /// What is wrong there.
    pub(super) problem: String,
}

impl Decoder {
    pub(super) fn of<F: Flow>() -> Self {
        Self {
            props: |id, text, version| {
                decode::props::<F>(text, version, RecordRef::of::<F>(id)).map(drop)
            },
            artefact: |id, name, stored| {
                let mut payload = Payload { record: RecordRef::of::<F>(id), stored };
                F::read_artefact(name, &mut payload).map(drop)
            },
        }
    }

    pub(super) fn props(self, id: i64, text: &str, version: i64) -> Option<Misfit> {
        Misfit::of(|| (self.props)(id, text, version))
    }

    /// The artefact with this name; one that the flow does not know fits.
    pub(super) fn artefact(self, id: i64, name: &str, stored: &Stored) -> Option<Misfit> {
        Misfit::of(|| (self.artefact)(id, name, stored))
    }
}

impl Misfit {
    /// What the types' code says, and that it panics.
    fn of(read: impl FnOnce() -> Result<(), Error>) -> Option<Self> {
        match catch_unwind(AssertUnwindSafe(read)) {
            Ok(Ok(())) => None,
            Ok(Err(Error::Decode { path, source, .. })) => {
                Some(Self { path, problem: source.to_string() })
            }
            Ok(Err(other)) => Some(Self { path: ".".to_owned(), problem: other.to_string() }),
            Err(panic) => {
                let problem = format!("the code that reads it panicked: {}", panic_text(&*panic));
                Some(Self { path: ".".to_owned(), problem })
            }
        }
    }
}

/// The payload of one artefact.
struct Payload<'a> {
    record: RecordRef,
    stored: &'a Stored,
}

impl<F: Flow> ArtefactReader<F> for Payload<'_> {
    type Error = Error;

    fn read<A: Artefact<F>>(&mut self) -> Result<A, Error> {
        decode::artefact::<F, A>(self.stored, self.record)
    }

    fn read_optional<A: Artefact<F>>(&mut self) -> Result<Option<A>, Error> {
        ArtefactReader::<F>::read(self).map(Some)
    }
}
