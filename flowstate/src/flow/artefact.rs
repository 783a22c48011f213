//! Typed payloads that are kept with a transition.

use serde::de::DeserializeOwned;
use serde::{Deserializer, Serialize};

use super::Flow;
use crate::derived::Derived;

/// A payload that transitions of the flow `F` persist and load, kept as JSON.
///
/// The derive implements it for every type named by `#[persist(…)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no artefact of `{F}`",
    label = "no `#[persist(…)]` of `{F}` declares it"
)]
pub trait Artefact<F: Flow>: Derived<F> + Serialize + DeserializeOwned + 'static {
    /// The stored name.
    const NAME: &'static str;

    /// Earlier stored names, still read.
    const ALIASES: &'static [&'static str] = &[];

    /// The version of the payloads that are written: from 1 up.
    const VERSION: u32 = 1;

    /// Reads a payload that was written as this version, from 1 to [`VERSION`](Self::VERSION), and
    /// makes of it what it is now.
    ///
    /// # Errors
    /// When it is no payload of that version.
    fn read_version<'de, D: Deserializer<'de>>(version: u32, payload: D) -> Result<Self, D::Error> {
        let _ = version;
        Self::deserialize(payload)
    }
}

/// What a transition persists or loads: nothing, one artefact, or a tuple of them.
///
/// The derive implements it for each artefact of a flow; this crate for `()` and for tuples.
pub trait ArtefactSet<F: Flow>: Derived<F> + Sized {
    /// Stored names, in order.
    const NAMES: &'static [&'static str];

    /// Hands every artefact to `writer`, in order; ends at its first error.
    ///
    /// # Errors
    /// That of the writer.
    fn write_to<W: ArtefactWriter<F>>(&self, writer: &mut W) -> Result<(), W::Error>;

    /// Asks `reader` for every artefact, in order; ends at its first error.
    ///
    /// # Errors
    /// That of the reader.
    fn read_from<R: ArtefactReader<F>>(reader: &mut R) -> Result<Self, R::Error>;
}

/// Where a store takes artefacts from a set, one call each.
pub trait ArtefactWriter<F: Flow> {
    /// Why an artefact is refused.
    type Error;

    /// Takes one artefact.
    ///
    /// # Errors
    /// When the artefact cannot be kept.
    fn write<A: Artefact<F>>(&mut self, artefact: &A) -> Result<(), Self::Error>;
}

/// Where a store gives the artefacts of a set, one call each.
pub trait ArtefactReader<F: Flow> {
    /// Why an artefact cannot be given.
    type Error;

    /// Gives the newest artefact of this type.
    ///
    /// # Errors
    /// When it is missing or cannot be decoded.
    fn read<A: Artefact<F>>(&mut self) -> Result<A, Self::Error>;

    /// Gives the newest artefact of this type, if there is one.
    ///
    /// # Errors
    /// When it cannot be decoded.
    fn read_optional<A: Artefact<F>>(&mut self) -> Result<Option<A>, Self::Error>;
}

impl<F: Flow> ArtefactSet<F> for () {
    const NAMES: &'static [&'static str] = &[];

    fn write_to<W: ArtefactWriter<F>>(&self, _: &mut W) -> Result<(), W::Error> {
        Ok(())
    }

    fn read_from<R: ArtefactReader<F>>(_: &mut R) -> Result<Self, R::Error> {
        Ok(())
    }
}

macro_rules! tuples {
    ($($name:ident)+) => {
        #[diagnostic::do_not_recommend]
        impl<F: Flow, $($name: ArtefactSet<F>),+> Derived<F> for ($($name,)+) {}

        impl<F: Flow, $($name: ArtefactSet<F>),+> ArtefactSet<F> for ($($name,)+) {
            const NAMES: &'static [&'static str] = &[$($name::NAMES[0]),+];

            fn write_to<W: ArtefactWriter<F>>(&self, writer: &mut W) -> Result<(), W::Error> {
                #[expect(non_snake_case, reason = "one binding a type parameter")]
                let ($($name,)+) = self;
                $($name.write_to(writer)?;)+
                Ok(())
            }

            fn read_from<R: ArtefactReader<F>>(reader: &mut R) -> Result<Self, R::Error> {
                Ok(($($name::read_from(reader)?,)+))
            }
        }
    };
}

tuples!(A B);
tuples!(A B C);
tuples!(A B C D);
tuples!(A B C D E);
tuples!(A B C D E G);
tuples!(A B C D E G H);
tuples!(A B C D E G H I);
