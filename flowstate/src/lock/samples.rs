//! Samples of what is stored, of each version, beside the lock file.

use std::any::type_name;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs, iter};

use serde::Serialize;
use serde_json::Value;

use crate::{Artefact, ArtefactReader, Flow};

/// Keeps a sample of what an artefact is now, for [`check`](super::check): call it before that, with
/// a value in which nothing is left out. What is `None` or empty in it tells nothing of its type. Of an
/// enum each variant that has fields of its own is worth a call.
///
/// With `FLOWSTATE_LOCK=write` in the environment it writes the value beside the lock file as the
/// sample of its version, unless there is one. A sample stays as it is, as rows do: a field that the
/// version was given since then is written as a further sample, beside the first.
///
/// # Panics
/// If the flow has no lock file; if the sample cannot be written; without that variable, if the value
/// has a field that no sample of its version has.
pub fn sample<F: Flow, A: Artefact<F>>(artefact: &A) {
    keep::<F>(&names::<F, A>(), A::VERSION, artefact);
}

/// As [`sample`], of the props.
///
/// # Panics
/// As [`sample`].
pub fn sample_props<F: Flow>(props: &F) {
    keep::<F>(&[None], F::VERSION, props);
}

fn keep<F: Flow>(names: &[Option<&str>], version: u32, value: &impl Serialize) {
    let problem = kept::<F>(names, version, value).err();
    assert!(problem.is_none(), "{}", problem.unwrap_or_default());
}

fn kept<F: Flow>(
    names: &[Option<&str>],
    version: u32,
    value: &impl Serialize,
) -> Result<(), String> {
    let lock = F::LOCK.ok_or_else(|| format!("the flow `{}` has no lock file", F::NAME))?;
    let lock = Path::new(lock.path);
    let text = serde_json::to_string_pretty(value).map_err(|error| error.to_string())? + "\n";
    let files = files(lock, names, version);
    let known: BTreeSet<_> = files.iter().flat_map(|file| fields(&content(file))).collect();
    let value = serde_json::from_str(&text).unwrap_or_default();
    let new: Vec<_> = fields(&value).difference(&known).map(|it| format!("`{it}`")).collect();
    let file = free(lock, names[0], version);
    match (files.is_empty(), is_written()) {
        (false, _) if new.is_empty() => Ok(()),
        (_, true) => fs::write(&file, text)
            .map_err(|error| format!("`{}` cannot be written: {error}", file.display())),
        // the check tells of all that are missing
        (true, false) => Ok(()),
        (false, false) => Err(format!(
            "no sample of this version has {}: run this test with `FLOWSTATE_LOCK=write`, which \
             writes `{}`",
            new.join(", "),
            file.display()
        )),
    }
}

/// What is in a sample: nothing if it cannot be read, as the check will tell.
fn content(file: &Path) -> Value {
    fs::read_to_string(file)
        .ok()
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default()
}

/// The paths of a value that say of what type something is.
fn fields(value: &Value) -> BTreeSet<String> {
    let within = |name: &str, value: &Value| -> BTreeSet<String> {
        let deeper = fields(value).into_iter();
        deeper
            .map(|path| format!("{name}{}{path}", if path.is_empty() { "" } else { "." }))
            .collect()
    };
    match value {
        Value::Null => BTreeSet::new(),
        Value::Array(values) => values.iter().flat_map(|value| within("[]", value)).collect(),
        Value::Object(fields) => {
            fields.iter().flat_map(|(name, value)| within(name, value)).collect()
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => BTreeSet::from([String::new()]),
    }
}

/// Whether files are to be written.
pub(super) fn is_written() -> bool {
    env::var_os("FLOWSTATE_LOCK").is_some_and(|wish| wish == "write")
}

/// What is wrong with the samples beside this lock file: one is missing, or cannot be read.
pub(super) fn problems<F: Flow>(lock: &'static str) -> Vec<String> {
    let mut samples = Samples { lock: Path::new(lock), problems: Vec::new(), calls: Vec::new() };
    let call = format!("sample_props::<{}>", short(type_name::<F>()));
    samples.check::<F>(&[None], F::VERSION, &call, &|version, json| {
        F::read_version(version, json).map(drop)
    });
    for artefact in F::DEFINITION.artefacts {
        // what it says is among the problems
        let _ = F::read_artefact(artefact.name, &mut samples);
    }
    let Samples { mut problems, calls, .. } = samples;
    if !calls.is_empty() {
        let calls: String =
            calls.iter().flat_map(|call| ["\n    flowstate::lock::", call, "(&…);"]).collect();
        problems.push(format!(
            "what is stored now has no sample: before `flowstate::lock::check` call, each with a \
             value, and run this test with `FLOWSTATE_LOCK=write`{calls}"
        ));
    }
    problems
}

/// Reads every sample there is as what it is a sample of.
struct Samples {
    lock: &'static Path,
    problems: Vec<String>,
    /// What writes the samples that are missing of present versions.
    calls: Vec<String>,
}

type Json<'a> = serde_json::Deserializer<serde_json::de::StrRead<'a>>;
type Read<'a> = dyn Fn(u32, &mut Json<'_>) -> serde_json::Result<()> + 'a;

impl Samples {
    /// Reads the samples of one type, which has had these names.
    fn check<F: Flow>(&mut self, names: &[Option<&str>], now: u32, call: &str, read: &Read<'_>) {
        for version in 1..=now {
            let files = files(self.lock, names, version);
            self.problems.extend(files.iter().filter_map(|file| problem(file, version, read)));
            if files.is_empty() && version < now {
                self.problems.push(missing::<F>(self.lock, names[0], version));
            }
            if files.is_empty() && version == now {
                self.calls.push(call.to_owned());
            }
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
        let call = format!("sample::<{}, {}>", short(type_name::<F>()), short(type_name::<A>()));
        self.check::<F>(&names::<F, A>(), A::VERSION, &call, &|version, json| {
            A::read_version(version, json).map(drop)
        });
        Ok(None)
    }
}

/// Why a sample cannot be read.
fn problem(file: &Path, version: u32, read: &Read<'_>) -> Option<String> {
    let name = file.display();
    match fs::read_to_string(file) {
        Ok(text) => {
            let json = &mut serde_json::Deserializer::from_str(&text);
            let error = read(version, json).and_then(|()| json.end()).err()?;
            Some(format!("`{name}` cannot be read any more, and so could no row: {error}"))
        }
        Err(error) => Some(format!("`{name}` cannot be opened: {error}")),
    }
}

/// How the sample of an earlier version comes to be.
fn missing<F: Flow>(lock: &Path, artefact: Option<&str>, version: u32) -> String {
    let (file, flow) = (free(lock, artefact, version), F::NAME);
    let row = match artefact {
        Some(name) => format!(
            "`payload` of any row of `flowstate_artefacts` whose `name` is `{name}` and whose \
             `version` is {version}"
        ),
        None => format!(
            "`props` of any row of `flowstate_flows` whose `flow` is `{flow}` and whose \
             `props_version` is {version}"
        ),
    };
    format!("`{}` is missing: write into it the {row}, without what is private", file.display())
}

/// The names that an artefact has had, the present one first.
fn names<F: Flow, A: Artefact<F>>() -> Vec<Option<&'static str>> {
    iter::once(A::NAME).chain(A::ALIASES.iter().copied()).map(Some).collect()
}

/// The samples that are there of a version, under whichever name they were written.
fn files(lock: &Path, names: &[Option<&str>], version: u32) -> Vec<PathBuf> {
    let of = |name| (1..).map(move |number| file(lock, name, version, number));
    names.iter().flat_map(|name| of(*name).take_while(|file| file.exists())).collect()
}

/// Where the next sample goes.
fn free(lock: &Path, artefact: Option<&str>, version: u32) -> PathBuf {
    let number = 1 + files(lock, &[artefact], version).len();
    file(lock, artefact, version, number)
}

/// Where a sample is: `order.v1.json` and `order.receipt.v1.json` beside `order.flow`, and a further
/// one in `order.v1.2.json`.
fn file(lock: &Path, artefact: Option<&str>, version: u32, number: usize) -> PathBuf {
    let name = lock.file_stem().unwrap_or_default().to_string_lossy();
    let artefact = artefact.map(|artefact| format!(".{}", in_file(artefact))).unwrap_or_default();
    let number = if number == 1 { String::new() } else { format!(".{number}") };
    lock.with_file_name(format!("{name}{artefact}.v{version}{number}.json"))
}

/// A stored name, which may have any sign, in the name of a file.
fn in_file(name: &str) -> String {
    let is_plain = |sign: char| sign.is_alphanumeric() || "_-".contains(sign);
    let sign = |sign| if is_plain(sign) { sign.into() } else { format!("%{:x}", u32::from(sign)) };
    name.chars().map(sign).collect()
}

/// The name of a type as code says it that has imported it and what it is made of.
fn short(name: &str) -> String {
    let parts = name.split_inclusive(|sign: char| !(sign.is_alphanumeric() || "_:".contains(sign)));
    parts.map(|part| part.rsplit("::").next().unwrap_or(part)).collect()
}
