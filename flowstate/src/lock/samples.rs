//! Samples of what is stored, one for each version, beside the lock file.

use std::path::{Path, PathBuf};
use std::{env, fs};

use serde::Serialize;

use crate::{Artefact, ArtefactReader, Flow};

/// Keeps a sample of what an artefact is now, for [`check`](super::check): call it before that, with
/// any value.
///
/// With `FLOWSTATE_LOCK=write` in the environment it writes the value beside the lock file as the
/// sample of its version, unless there is one. A sample stays as it is, as rows do.
///
/// # Panics
/// If the flow has no lock file; if the sample cannot be written.
pub fn sample<F: Flow, A: Artefact<F>>(artefact: &A) {
    keep::<F>(Some(A::NAME), A::VERSION, artefact);
}

/// As [`sample`], of the props.
///
/// # Panics
/// As [`sample`].
pub fn sample_props<F: Flow>(props: &F) {
    keep::<F>(None, F::VERSION, props);
}

fn keep<F: Flow>(artefact: Option<&str>, version: u32, value: &impl Serialize) {
    let lock = F::LOCK.map(|file| file.path);
    assert!(lock.is_some(), "the flow `{}` has no lock file", F::NAME);
    let file = file(Path::new(lock.unwrap_or_default()), artefact, version);
    if is_written() && !file.exists() {
        let written = serde_json::to_string_pretty(value).map_err(|error| error.to_string());
        let written = written
            .and_then(|text| fs::write(&file, text + "\n").map_err(|error| error.to_string()));
        assert!(written.is_ok(), "`{}` cannot be written: {written:?}", file.display());
    }
}

/// Whether files are to be written.
pub(super) fn is_written() -> bool {
    env::var_os("FLOWSTATE_LOCK").is_some_and(|wish| wish == "write")
}

/// What is wrong with the samples beside this lock file: one is missing, or cannot be read.
pub(super) fn problems<F: Flow>(lock: &'static str) -> Vec<String> {
    let mut reader = Samples { lock: Path::new(lock), problems: Vec::new() };
    reader.check::<F>(None, F::VERSION, &|version, json| F::read_version(version, json).map(drop));
    for artefact in F::DEFINITION.artefacts {
        // what it says is among the problems
        let _ = F::read_artefact(artefact.name, &mut reader);
    }
    reader.problems
}

/// Reads every sample there is as what it is a sample of.
struct Samples {
    lock: &'static Path,
    problems: Vec<String>,
}

type Json<'a> = serde_json::Deserializer<serde_json::de::StrRead<'a>>;
type Read<'a> = dyn Fn(u32, &mut Json<'_>) -> serde_json::Result<()> + 'a;

impl Samples {
    fn check<F: Flow>(&mut self, artefact: Option<&str>, now: u32, read: &Read<'_>) {
        for version in 1..=now {
            let file = file(self.lock, artefact, version);
            let problem = match fs::read_to_string(&file) {
                Ok(text) => {
                    let json = &mut serde_json::Deserializer::from_str(&text);
                    let read = read(version, json).and_then(|()| json.end());
                    read.err().map(|error| {
                        let file = file.display();
                        format!("`{file}` cannot be read any more, and so could no row: {error}")
                    })
                }
                // as long as there is one version, samples are a choice
                Err(_) if now == 1 => None,
                Err(error) => Some(format!(
                    "`{}` cannot be opened ({error}): {}",
                    file.display(),
                    remedy::<F>(artefact, version, now)
                )),
            };
            self.problems.extend(problem);
        }
    }
}

impl<F: Flow> ArtefactReader<F> for Samples {
    /// What is wrong is among the problems.
    type Error = ();

    fn read<A: Artefact<F>>(&mut self) -> Result<A, ()> {
        ArtefactReader::<F>::read_optional(self)?.ok_or(())
    }

    fn read_optional<A: Artefact<F>>(&mut self) -> Result<Option<A>, ()> {
        let read = |version, json: &mut Json<'_>| A::read_version(version, json).map(drop);
        self.check::<F>(Some(A::NAME), A::VERSION, &read);
        Ok(None)
    }
}

/// How a sample that is missing comes to be.
fn remedy<F: Flow>(artefact: Option<&str>, version: u32, now: u32) -> String {
    let flow = F::NAME;
    match artefact {
        Some(_) if version == now => "call `flowstate::lock::sample` with a value before \
                                      `flowstate::lock::check`, and run this test with \
                                      `FLOWSTATE_LOCK=write`"
            .to_owned(),
        None if version == now => "call `flowstate::lock::sample_props` with a value before \
                                   `flowstate::lock::check`, and run this test with \
                                   `FLOWSTATE_LOCK=write`"
            .to_owned(),
        Some(name) => format!(
            "write into it the `payload` of any row of `flowstate_artefacts` whose `name` is `{name}` \
             and whose `version` is {version}"
        ),
        None => format!(
            "write into it the `props` of any row of `flowstate_flows` whose `flow` is `{flow}` and \
             whose `props_version` is {version}"
        ),
    }
}

/// Where a sample is: `order.v1.json` and `order.receipt.v1.json` beside `order.flow`.
fn file(lock: &Path, artefact: Option<&str>, version: u32) -> PathBuf {
    let name = lock.file_stem().unwrap_or_default().to_string_lossy();
    let artefact = artefact.map(|artefact| format!(".{artefact}")).unwrap_or_default();
    lock.with_file_name(format!("{name}{artefact}.v{version}.json"))
}
