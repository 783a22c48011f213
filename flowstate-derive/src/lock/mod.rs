//! The lock file: what the flow was when records that run now came to where they stand.

#[expect(unreachable_pub, reason = "the same text is public in the core crate")]
pub(crate) mod format;
mod names;
mod versions;

use std::path::Path;

use crate::errors::Errors;
use crate::model::Model;
use crate::model::flow::LockPath;
use crate::model::locked::{Former, Locked};
use crate::model::stored::Stored;
use format::{Lock, LockedState, LockedTransition};

/// Reads the lock file of a flow, if it has one.
pub(crate) fn read(model: &Model, read: &Reader<'_>, errors: &mut Errors) -> Option<Locked> {
    let LockPath { token, path } = model.names.lock.as_ref()?;
    let text = match read(path) {
        Ok(text) => text,
        Err(error) => {
            errors.at(token, unreadable(&model.names.stored, path, (read, &error)));
            return None;
        }
    };
    let lock = match Lock::parse(&text) {
        Ok(lock) => lock,
        Err(misread) => {
            let (line, problem) = (misread.line, misread.problem);
            errors.at(token, format_args!("`{path}`, line {line}: {problem}"));
            return None;
        }
    };
    let before = errors.count();
    if model.is_whole {
        names::check(model, &lock, (token, path), errors);
    }
    // what follows from a name that is gone is no second mistake
    let is_known = errors.count() == before;
    if model.is_whole {
        versions::check(model, &lock, (token, path), errors);
    }
    let find = |name: &String| named(model.states.iter().map(|state| &state.stored), name);
    let artefacts = |set: &mut dyn Iterator<Item = &String>| {
        let stored = || model.artefacts.iter().map(|artefact| &artefact.stored);
        set.filter_map(|name| named(stored(), name)).collect::<Vec<_>>()
    };
    let entry = |(name, state): (&String, &LockedState)| {
        let has = if is_known {
            artefacts(&mut state.has.iter())
        } else {
            (0..model.artefacts.len()).collect()
        };
        Some((find(name)?, has))
    };
    let edge = |edge: &LockedTransition| {
        let from: Vec<_> = edge.from.iter().filter_map(find).collect();
        let [persists, loads] =
            [&edge.persists, &edge.loads].map(|names| artefacts(&mut names.iter()));
        Some(Former { name: edge.name.clone(), from, to: find(&edge.to)?, persists, loads })
    };
    Some(Locked {
        path: path.clone(),
        standing: lock.states.iter().filter_map(entry).collect(),
        former: lock.transitions.iter().filter(|_| is_known).filter_map(edge).collect(),
        ended: lock
            .states
            .iter()
            .filter(|(_, state)| state.is_completed)
            .filter_map(|(name, _)| find(name))
            .collect(),
    })
}

/// What gives the text of a file, by its path below the folder of the crate's manifest.
pub(crate) type Reader<'a> = dyn Fn(&str) -> std::io::Result<String> + 'a;

/// Reads a file of the crate that is compiled.
pub(crate) fn of_the_crate(path: &str) -> std::io::Result<String> {
    let folder = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    std::fs::read_to_string(Path::new(&folder).join(path))
}

fn unreadable(flow: &Stored, path: &str, (read, error): (&Reader<'_>, &std::io::Error)) -> String {
    if error.kind() == std::io::ErrorKind::NotFound {
        let former = |alias: &String| format!("flows/{alias}.flow");
        if let Some(former) = flow.aliases.iter().map(former).find(|path| read(path).is_ok()) {
            return format!(
                "there is no `{path}`, but `{former}` is there: move it there, and the samples beside \
                 it, which begin with the same name"
            );
        }
        return format!(
            "there is no `{path}` beside the manifest of this crate: make it, empty, and have a \
             test that calls `flowstate::lock::check` write it with `FLOWSTATE_LOCK=write`"
        );
    }
    format!("`{path}` cannot be read: {error}")
}

/// The position of what has this stored name, or had it.
fn named<'a>(all: impl Iterator<Item = &'a Stored>, name: &str) -> Option<usize> {
    let mut all = all.enumerate();
    let is = |stored: &Stored| stored.name == name || stored.aliases.iter().any(|one| one == name);
    all.find(|(_, stored)| is(stored)).map(|(at, _)| at)
}
