//! Doing to each of several records what could not be done to all of them.

use crate::dialect::Dialect;
use crate::dialect::fault::Fault;
use crate::error::{ConflictReason, Error, Result};

/// Does `work` to all of `items` at once, or else to as many of them at once as it can be done to: one
/// to which it cannot be done alone is handed to `refused`, with the reason, and stands in the way of
/// no other. `is_of_one`: whether a failure may be one record's alone, see [`is_of_a_record`].
///
/// # Errors
/// What no record is to blame for, such as a database that does not answer: nothing is done to those
/// that are left.
pub(crate) fn each_part<T>(
    items: &[T],
    is_of_one: fn(&Error) -> bool,
    work: &mut dyn FnMut(&[T]) -> Result<()>,
    refused: &mut dyn FnMut(&T, Error),
) -> Result<()> {
    let Some(first) = items.first() else { return Ok(()) };
    let error = match work(items) {
        Ok(()) => return Ok(()),
        Err(error) if is_of_one(&error) => error,
        Err(error) => return Err(error),
    };
    if items.len() == 1 {
        refused(first, error);
        return Ok(());
    }
    // a refusal comes at once; what is in the way of one may be waited for each time
    let size = if error.is_conflict() { 1 } else { items.len().div_ceil(2) };
    items.chunks(size).try_for_each(|part| each_part(part, is_of_one, work, refused))
}

/// The parts of a list that go to the database at once, since servers take no message of any length:
/// at most so many items and so many bytes of them, or one item.
pub(crate) fn chunks<'a, T>(
    mut all: &'a [T],
    most: usize,
    most_bytes: usize,
    bytes_of: &dyn Fn(&T) -> usize,
) -> impl Iterator<Item = &'a [T]> {
    std::iter::from_fn(move || {
        let mut bytes = 0_usize;
        let fits = |item: &&T| {
            bytes = bytes.saturating_add(bytes_of(item));
            bytes <= most_bytes
        };
        let fitting = all.iter().take(most).take_while(fits).count();
        let (chunk, rest) = all.split_at(fitting.max(1).min(all.len()));
        all = rest;
        (!chunk.is_empty()).then_some(chunk)
    })
}

/// Whether it can be done to other records, though it could not be done to one.
pub(crate) fn is_of_a_record<C: Dialect>(error: &Error) -> bool {
    use diesel::result::Error::{DatabaseError, DeserializationError};
    match error {
        // whoever writes to SQLite is in the way of all
        Error::Conflict { reason, whole_transaction, .. } => {
            *reason != ConflictReason::Busy && !whole_transaction
        }
        Error::Database {
            source: source @ (DatabaseError(..) | DeserializationError(_)), ..
        } => {
            matches!(C::classify(source), Fault::Refused | Fault::Unexplained)
        }
        Error::WriteSkipped { .. }
        | Error::CorruptTime { .. }
        | Error::UnbalancedTransaction
        | Error::Panicked { .. }
        | Error::Within { .. }
        | Error::FailureIgnored { .. }
        | Error::Decode { .. }
        | Error::UnknownVersion { .. }
        | Error::UnknownState { .. } => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Does the work to `0..100`, of which `bad` are refused; counts how often it was tried.
    fn run(bad: &[i32]) -> (Vec<i32>, Vec<i32>, usize) {
        let (all, mut done, mut refused, mut tries) =
            ((0..100).collect::<Vec<_>>(), vec![], vec![], 0);
        let ended = each_part(
            &all,
            |error| matches!(error, Error::WriteSkipped { .. }),
            &mut |part| {
                tries += 1;
                if part.iter().any(|item| bad.contains(item)) {
                    return Err(Error::skipped("it"));
                }
                done.extend_from_slice(part);
                Ok(())
            },
            &mut |item, _| refused.push(*item),
        );
        ended.expect("nobody else is to blame");
        (done, refused, tries)
    }

    #[test]
    fn all_but_the_bad_ones_are_done_in_few_tries() {
        let (done, refused, tries) = run(&[]);
        assert_eq!((done.len(), refused, tries), (100, vec![], 1));
        let (done, refused, tries) = run(&[63]);
        assert_eq!((done.len(), refused), (99, vec![63]));
        assert!(tries <= 2 * 7 + 1, "by halves: {tries}");
        let all: Vec<_> = (0..100).collect();
        let (done, refused, tries) = run(&all);
        assert_eq!((done, refused, tries), (vec![], all, 199));
    }

    #[test]
    fn chunks_are_of_records_and_bytes() {
        let lengths = |all: &[usize]| -> Vec<_> {
            chunks(all, 500, 100, &|bytes| *bytes).map(<[usize]>::len).collect()
        };
        assert_eq!(lengths(&[]), [0_usize; 0]);
        assert_eq!(lengths(&[0; 1001]), [500, 500, 1]);
        assert_eq!(lengths(&[50, 50, 51, 50, 1]), [2, 1, 2]);
        assert_eq!(lengths(&[101, 1, 100]), [1, 1, 1]);
    }

    #[test]
    fn what_no_record_is_to_blame_for_ends_it() {
        let mut tries = 0;
        let ended = each_part(
            &[1, 2, 3],
            |error| matches!(error, Error::WriteSkipped { .. }),
            &mut |_| {
                tries += 1;
                Err(Error::NoConnection { source: "away".into() })
            },
            &mut |_, _| panic!("none is refused"),
        );
        assert!(matches!(ended, Err(Error::NoConnection { .. })));
        assert_eq!(tries, 1);
    }
}
