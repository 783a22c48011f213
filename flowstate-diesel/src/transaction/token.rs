//! Names that nobody else draws.

use crate::error::{Error, Result};

/// 128 random bits of the system's, by which a transaction recognizes its own rows.
///
/// A generator in the process would give a forked child the numbers of its parent.
pub(crate) fn token() -> Result<String> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut bits = [0; 16];
    fill(&mut bits)?;
    let mut text = [0; 32];
    for (digits, byte) in text.chunks_exact_mut(2).zip(bits) {
        digits[0] = DIGITS[usize::from(byte >> 4)];
        digits[1] = DIGITS[usize::from(byte & 15)];
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Names a worker: random for each, so that a former life of the same process, or a forked child, is
/// somebody else.
pub(crate) fn worker_id() -> Result<String> {
    let mut bits = [0; 8];
    fill(&mut bits)?;
    Ok(format!("{}-{:016x}", std::process::id(), u64::from_ne_bytes(bits)))
}

fn fill(bits: &mut [u8]) -> Result<()> {
    getrandom::fill(bits)
        .map_err(|error| Error::NoRandomNumbers { source: error.to_string().into() })
}

#[cfg(test)]
mod tests {
    use super::{token, worker_id};

    #[test]
    fn no_two_are_alike() {
        let (one, other) = (token().expect("random"), token().expect("random"));
        assert_ne!(one, other);
        assert!(one.len() == 32 && u128::from_str_radix(&one, 16).is_ok(), "{one}");
        assert_ne!(worker_id().expect("random"), worker_id().expect("random"));
    }
}
