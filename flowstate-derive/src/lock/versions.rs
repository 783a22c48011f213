//! Versions of what is stored: none that rows have is forgotten.

use proc_macro2::{Ident, Span};

use super::format::Lock;
use super::named;
use crate::errors::Errors;
use crate::model::Model;
use crate::model::version::Version;
use crate::name;

/// Reports the versions of the lock that are beyond those of the code, at the code's.
pub(super) fn check(
    model: &Model,
    lock: &Lock,
    (token, path): (&Ident, &str),
    errors: &mut Errors,
) {
    let mut beyond = |locked: u32, known: &Version, of: &str, (ty, place): (&Ident, Span)| {
        if locked > known.number {
            let ty = name::plain(ty);
            let types: Vec<_> = (1..locked.min(4)).map(|at| format!("{ty}V{at}")).collect();
            let message = format!(
                "`{path}` has version {locked} of {of}, and version {} is the last one here, which \
                 cannot read what rows hold by now: write `version = {locked}, upgrade({})` again",
                known.number,
                types.join(", ")
            );
            errors.push(syn::Error::new(known.token.unwrap_or(place), message));
        }
    };
    beyond(lock.version, &model.names.version, "the props", (&model.ident, token.span()));
    for (stored, &locked) in &lock.artefacts {
        let found = named(model.artefacts.iter().map(|artefact| &artefact.stored), stored);
        if let Some(artefact) = found.map(|at| &model.artefacts[at]) {
            let (ident, of) = (&artefact.ident, format!("the artefact `{stored}`"));
            beyond(locked, &artefact.version, &of, (ident, ident.span()));
        }
    }
}
