//! Props, artefacts and metadata as JSON text that every database keeps as it is.
//!
//! What one of the databases would refuse or change is refused here, before any write, on all of
//! them: the NUL character (PostgreSQL's `jsonb`), floats that are not finite (JSON has none),
//! numbers beyond 64 bits and deep nesting (MySQL). Floats come back bit for bit: `serde_json` writes
//! the shortest digits that name one, and its feature `float_roundtrip` reads just that one.

mod floats;
mod same;
mod scan;
mod unknown;

use std::marker::PhantomData;

use serde::Serialize;
use serde::de::{DeserializeOwned, DeserializeSeed};
use serde_path_to_error::{Deserializer as PathDeserializer, Track};

pub(crate) use self::same::is_same;
use self::unknown::keep_unknown;
use super::chain::MOST_BYTES;
use crate::error::{Error, RecordRef, Result, What};

/// The largest JSON text of one value, in bytes (12 MiB): below the packet size that MariaDB
/// accepts by default (16 MiB).
pub const MAX_JSON_BYTES: usize = 12 * 1024 * 1024;

/// The deepest nesting of arrays and objects. MySQL refuses more than 100 levels, `serde_json`
/// reads at most 127. Props with a key have one less: the history keeps them a level deeper.
pub const MAX_JSON_DEPTH: usize = 100;

/// The longest key, actor or guard name, in bytes.
pub const MAX_KEY_LENGTH: usize = 255;

/// Writes a value as JSON text.
pub(crate) fn encode<T: Serialize>(
    value: &T,
    record: RecordRef,
    what: impl Fn() -> What,
) -> Result<String> {
    let refuse = |fault| Error::Unstorable { record, what: what(), fault };
    let text = serde_json::to_string(value).map_err(|error| refuse(error.to_string()))?;
    if text.len() > MAX_JSON_BYTES {
        return Err(refuse(format!("{} bytes of JSON, at most {MAX_JSON_BYTES}", text.len())));
    }
    let found = scan::scan(&text).map_err(|fault| refuse(fault.to_owned()))?;
    if found.null {
        // serde_json writes NaN and the infinities as null: look at the value itself
        floats::check(value).map_err(refuse)?;
    }
    Ok(text)
}

/// Writes a value that was changed, with what the stored text has beyond its type.
pub(crate) fn encode_over<T: Serialize + DeserializeOwned>(
    stored: &str,
    value: &T,
    record: RecordRef,
    what: impl Fn() -> What,
) -> Result<String> {
    let changed = encode(value, record, &what)?;
    let again = |text: &str| serde_json::to_string(&serde_json::from_str::<T>(text).ok()?).ok();
    let Some(text) = keep_unknown(stored, &changed, again) else { return Ok(changed) };
    let fault = if text.len() > MAX_JSON_BYTES {
        format!("{} bytes of JSON, at most {MAX_JSON_BYTES}", text.len())
    } else if let Err(fault) = scan::scan(&text) {
        fault.to_owned()
    } else {
        return Ok(text);
    };
    Err(Error::Unstorable { record, what: what(), fault })
}

/// Checks that props can be kept in the text that wraps them.
pub(crate) fn check_wrapped(text: &str, record: RecordRef) -> Result<()> {
    scan::scan(text).map(drop).map_err(|fault| Error::Unstorable {
        record,
        what: What::Props,
        fault: format!("{fault}, counting the one that comes with a key"),
    })
}

/// Reads a value from JSON text; an error names the path.
pub(crate) fn decode<T: DeserializeOwned>(
    text: &str,
    record: RecordRef,
    what: impl Fn() -> What,
) -> Result<T> {
    decode_by(PhantomData::<T>, text, record, what)
}

/// As [`decode`], by a seed that knows how.
pub(crate) fn decode_by<'de, S: DeserializeSeed<'de> + Clone>(
    seed: S,
    text: &'de str,
    record: RecordRef,
    what: impl Fn() -> What,
) -> Result<S::Value> {
    let mut json = serde_json::Deserializer::from_str(text);
    let read = seed.clone().deserialize(&mut json);
    read.and_then(|value| json.end().map(|()| value)).or_else(|_| {
        // once more, slower, for the path
        let mut json = serde_json::Deserializer::from_str(text);
        let mut track = Track::new();
        let read = seed.deserialize(PathDeserializer::new(&mut json, &mut track));
        read.and_then(|value| json.end().map(|()| value)).map_err(|source| Error::Decode {
            record,
            what: what(),
            path: track.path().to_string(),
            source,
        })
    })
}

/// Checks a short text that is stored as it is.
pub(crate) fn check_text(text: &str, record: RecordRef, what: What) -> Result<()> {
    let fault = if text.len() > MAX_KEY_LENGTH {
        format!("{} bytes long, at most {MAX_KEY_LENGTH}", text.len())
    } else if text.contains('\0') {
        "it contains the NUL character".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::Unstorable { record, what, fault })
}

/// The text of an error, for the history: kept whatever it contains.
pub(crate) fn clean_error(text: &str) -> String {
    text[..text.floor_char_boundary(MOST_BYTES)].replace('\0', "\u{fffd}")
}
