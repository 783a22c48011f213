//! The text of a statement, cut at compile time into what is the same everywhere and what is not.

/// A part of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Sql(&'static str),
    Bind,
    /// A word of the database's own.
    Alone(Alone),
    /// One that stands on both sides of a column, or else of a bind.
    Around(Around, Option<&'static str>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alone {
    Now,
    Began,
    Key,
    Single,
    Lock,
    Skip,
    Free,
    ById,
    ByDue,
    ByLease,
    ByDeadline,
    ByCompleted,
    Current,
    String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Around {
    After,
    Ago,
    Stayed,
    At,
    Json,
    Among,
    OneOf,
    But,
    Most,
    Text,
    Time,
}

/// The most pieces of a statement.
const MOST: usize = 80;

/// All pieces of a statement.
#[derive(Debug)]
pub struct Pieces {
    pieces: [Piece; MOST],
    length: usize,
}

impl Pieces {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Piece> {
        self.pieces[..self.length].iter()
    }

    /// With `@current` at the end.
    pub(super) const fn current(self) -> Self {
        self.push(Piece::Sql(" ")).push(Piece::Alone(Alone::Current))
    }

    const fn push(mut self, piece: Piece) -> Self {
        self.pieces[self.length] = piece;
        self.length += 1;
        self
    }

    const fn push_sql(self, sql: &'static str) -> Self {
        if sql.is_empty() { self } else { self.push(Piece::Sql(sql)) }
    }
}

/// Cuts a text. One that is misspelt does not compile.
pub(super) const fn cut(sql: &'static str) -> Pieces {
    let mut pieces = Pieces { pieces: [Piece::Bind; MOST], length: 0 };
    let mut rest = sql;
    let mut at = 0;
    while at < rest.len() {
        let sign = rest.as_bytes()[at];
        if sign != b'?' && sign != b'@' {
            at += 1;
            continue;
        }
        let (before, after) = rest.split_at(at);
        pieces = pieces.push_sql(before);
        (rest, at) = (after.split_at(1).1, 0);
        if sign == b'?' {
            pieces = pieces.push(Piece::Bind);
            continue;
        }
        let (word, after) = rest.split_at(word_length(rest));
        rest = after;
        let piece = match word.as_bytes() {
            b"now" => Piece::Alone(Alone::Now),
            b"began" => Piece::Alone(Alone::Began),
            b"key" => Piece::Alone(Alone::Key),
            b"single" => Piece::Alone(Alone::Single),
            b"lock" => Piece::Alone(Alone::Lock),
            b"skip" => Piece::Alone(Alone::Skip),
            b"free" => Piece::Alone(Alone::Free),
            b"byid" => Piece::Alone(Alone::ById),
            b"bydue" => Piece::Alone(Alone::ByDue),
            b"bylease" => Piece::Alone(Alone::ByLease),
            b"bydeadline" => Piece::Alone(Alone::ByDeadline),
            b"bycompleted" => Piece::Alone(Alone::ByCompleted),
            b"current" => Piece::Alone(Alone::Current),
            b"string" => Piece::Alone(Alone::String),
            b"after" => Piece::Around(Around::After, None),
            b"ago" => Piece::Around(Around::Ago, None),
            b"stayed" => Piece::Around(Around::Stayed, None),
            b"at" => Piece::Around(Around::At, None),
            b"json" => Piece::Around(Around::Json, None),
            b"among" => Piece::Around(Around::Among, None),
            b"oneof" => Piece::Around(Around::OneOf, None),
            b"but" => Piece::Around(Around::But, None),
            b"most" => Piece::Around(Around::Most, None),
            text_or_time => {
                let (column, after) = argument(rest);
                rest = after;
                let word = match text_or_time {
                    b"text" => Around::Text,
                    b"time" => Around::Time,
                    _ => unreachable!(),
                };
                Piece::Around(word, Some(column))
            }
        };
        pieces = pieces.push(piece);
    }
    pieces.push_sql(rest)
}

const fn word_length(text: &str) -> usize {
    let mut length = 0;
    while length < text.len() && text.as_bytes()[length].is_ascii_lowercase() {
        length += 1;
    }
    length
}

/// `(column)…` as `column` and the rest.
const fn argument(text: &'static str) -> (&'static str, &'static str) {
    assert!(!text.is_empty() && text.as_bytes()[0] == b'(', "a column in parentheses");
    let mut end = 1;
    while text.as_bytes()[end] != b')' {
        end += 1;
    }
    let (column, after) = text.split_at(end);
    (column.split_at(1).1, after.split_at(1).1)
}

#[cfg(test)]
mod tests {
    use super::{Alone, Around, Piece, cut};

    #[test]
    fn cuts_at_binds_and_words() {
        let pieces = cut("a @now, @after = ? @time(b)?");
        let pieces: Vec<_> = pieces.iter().copied().collect();
        assert_eq!(
            pieces,
            [
                Piece::Sql("a "),
                Piece::Alone(Alone::Now),
                Piece::Sql(", "),
                Piece::Around(Around::After, None),
                Piece::Sql(" = "),
                Piece::Bind,
                Piece::Sql(" "),
                Piece::Around(Around::Time, Some("b")),
                Piece::Bind,
            ]
        );
    }
}
