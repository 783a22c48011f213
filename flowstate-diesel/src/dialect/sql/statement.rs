//! SQL written once, spoken in each database's words, and cached as a prepared statement.
//!
//! Diesel walks a statement several times for each execution, long after its text was prepared:
//! the text is cut into pieces at compile time, so that nothing of it is looked at again.

use std::cell::Cell;
use std::marker::PhantomData;

use diesel::QueryResult;
use diesel::backend::Backend;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, HasSqlType, Nullable, Text};

use super::template;
use super::template::{Alone, Around, Piece, Pieces};

/// A statement with a text that never changes: Diesel caches it by its type, which
/// `diesel::sql_query` does not do.
///
/// In the text `?` is a bind, and a word after `@` is replaced by the database's own, see
/// [`Words`].
pub trait Statement: 'static {
    const SQL: &'static str;
    /// The text of [`Statement::SQL`], cut.
    #[doc(hidden)]
    const PIECES: &'static Pieces = &template::cut(Self::SQL);
}

/// A SELECT in a transaction that may have read before: it sees what is committed now, not what was
/// when the transaction first read.
pub(crate) struct Current<S>(PhantomData<S>);

impl<S: Statement> Statement for Current<S> {
    const SQL: &'static str = S::SQL;
    const PIECES: &'static Pieces = &template::cut(S::SQL).current();
}

/// Defines statements: unit types with their SQL.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)*) => {
        $(
            $(#[$doc])*
            pub(crate) struct $name;
            impl $crate::dialect::sql::statement::Statement for $name {
                const SQL: &'static str = $sql;
            }
        )*
    };
}
pub(crate) use statements;

/// The words of a database for what every database has.
#[derive(Debug)]
pub(crate) struct Words {
    /// `@now`: the present time by the database's clock, not the time of BEGIN.
    pub now: &'static str,
    /// `@began`: the time at which the statement began, which an index can be searched by.
    pub began: &'static str,
    /// `@key`: the column `key`, a reserved word in MySQL.
    pub key: &'static str,
    /// `@single`: what is equal to the key of the record that alone has it until it is completed.
    pub single: &'static str,
    /// `@lock`: what follows a SELECT that locks its rows for a change.
    pub lock: &'static str,
    /// `@skip`: the same, passing over rows that others have locked.
    pub skip: &'static str,
    /// `@free`: what follows a SELECT that locks its rows in order to delete them, passing over rows
    /// that others have locked, or refer to in transactions that are open.
    pub free: &'static str,
    /// `@byid`, `@bydue`, `@bylease`, `@bydeadline`, `@bycompleted`: after the name of the table, that
    /// its index is used, where the optimizer would take another.
    pub by_id: &'static str,
    pub by_due: &'static str,
    pub by_lease: &'static str,
    pub by_deadline: &'static str,
    pub by_completed: &'static str,
    /// `@current`: what follows a SELECT that must see what is committed now, not what was when the
    /// transaction first read.
    pub current: &'static str,
    /// `@after`: a bind in microseconds, on SQLite as a modifier in words, as the time so much later
    /// than now; NULL if it is.
    pub after: [&'static str; 2],
    /// `@ago`: a bind in microseconds, as the time so much earlier than when the statement began.
    pub ago: [&'static str; 2],
    /// `@stayed`: a bind in microseconds, as the time so much later than the row was last moved.
    pub stayed: [&'static str; 2],
    /// `@at`: a bind of a time in the form of [`crate::text::time`].
    pub at: [&'static str; 2],
    /// `@json`: a bind of JSON text.
    pub json: [&'static str; 2],
    /// `@among`: a bind of a JSON array of strings, as the right side of `IN`.
    pub among: [&'static str; 2],
    /// `@oneof`: a bind of a JSON array of ids, as the condition that what stands before is one of them.
    pub one_of: [&'static str; 2],
    /// `@but`: a bind of a JSON array of ids, as the condition that the column `id` is none of them.
    pub but: [&'static str; 2],
    /// `@most`: a bind of how many rows a query gives at the most.
    pub most: [&'static str; 2],
    /// `@string`: the type of text in a CAST.
    pub string: &'static str,
    /// `@text(column)`: JSON, or another column that is no text everywhere, as text.
    pub text: [&'static str; 2],
    /// `@time(column)`: a time in the form of [`crate::time`].
    pub time: [&'static str; 2],
}

impl Words {
    fn alone(&self, word: Alone) -> &'static str {
        match word {
            Alone::Now => self.now,
            Alone::Began => self.began,
            Alone::Key => self.key,
            Alone::Single => self.single,
            Alone::Lock => self.lock,
            Alone::Current => self.current,
            Alone::Skip => self.skip,
            Alone::Free => self.free,
            Alone::ById => self.by_id,
            Alone::ByDue => self.by_due,
            Alone::ByLease => self.by_lease,
            Alone::ByDeadline => self.by_deadline,
            Alone::ByCompleted => self.by_completed,
            Alone::String => self.string,
        }
    }

    fn around(&self, word: Around) -> [&'static str; 2] {
        match word {
            Around::After => self.after,
            Around::Ago => self.ago,
            Around::Stayed => self.stayed,
            Around::At => self.at,
            Around::Json => self.json,
            Around::Among => self.among,
            Around::OneOf => self.one_of,
            Around::But => self.but,
            Around::Most => self.most,
            Around::Text => self.text,
            Around::Time => self.time,
        }
    }
}

/// A Diesel backend whose words we know.
pub(crate) trait Speech: Backend {
    const WORDS: Words;
}

/// A value to bind. Below the requests only these travel.
#[derive(Clone, Copy, Debug)]
pub enum Bind<'a> {
    Int(i64),
    MaybeInt(Option<i64>),
    Text(&'a str),
    Maybe(Option<&'a str>),
}

impl From<bool> for Bind<'_> {
    fn from(flag: bool) -> Self {
        Self::Int(i64::from(flag))
    }
}

thread_local! {
    static WALKED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a statement of this crate was walked in this thread since this was last asked.
pub(crate) fn took_ours() -> bool {
    WALKED.take()
}

/// A statement with its binds, giving rows of `Columns`.
pub(crate) struct Bound<'a, S, Columns = ()> {
    binds: &'a [Bind<'a>],
    statement: PhantomData<(S, Columns)>,
}

impl<'a, S, Columns> Bound<'a, S, Columns> {
    pub(crate) fn new(binds: &'a [Bind<'a>]) -> Self {
        Self { binds, statement: PhantomData }
    }
}

impl<S: Statement, Columns: 'static> QueryId for Bound<'_, S, Columns> {
    type QueryId = Bound<'static, S, Columns>;
}

impl<S, Columns> Query for Bound<'_, S, Columns> {
    type SqlType = Columns;
}

impl<S, Columns, Conn> diesel::RunQueryDsl<Conn> for Bound<'_, S, Columns> {}

impl<DB, S, Columns> QueryFragment<DB> for Bound<'_, S, Columns>
where
    DB: Speech + HasSqlType<BigInt> + HasSqlType<Text>,
    i64: ToSql<BigInt, DB>,
    Option<i64>: ToSql<Nullable<BigInt>, DB>,
    for<'x> &'x str: ToSql<Text, DB>,
    for<'x> Option<&'x str>: ToSql<Nullable<Text>, DB>,
    S: Statement,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        WALKED.set(true);
        let words = &DB::WORDS;
        let mut binds = self.binds.iter();
        let mut push_bind = |out: &mut AstPass<'_, 'b, DB>| match binds.next() {
            Some(Bind::Int(value)) => out.push_bind_param::<BigInt, _>(value),
            Some(Bind::MaybeInt(value)) => out.push_bind_param::<Nullable<BigInt>, _>(value),
            Some(Bind::Text(value)) => out.push_bind_param::<Text, _>(value),
            Some(Bind::Maybe(value)) => out.push_bind_param::<Nullable<Text>, _>(value),
            None => Err(too_few_binds(S::SQL)),
        };
        for piece in S::PIECES.iter() {
            match *piece {
                Piece::Sql(sql) => out.push_sql(sql),
                Piece::Bind => push_bind(&mut out)?,
                Piece::Alone(word) => out.push_sql(words.alone(word)),
                Piece::Around(word, column) => {
                    let [before, after] = words.around(word);
                    out.push_sql(before);
                    match column {
                        Some(column) => out.push_sql(column),
                        None => push_bind(&mut out)?,
                    }
                    out.push_sql(after);
                }
            }
        }
        Ok(())
    }
}

/// A text of this crate's own in a database's words, signs among them that no [`Statement`] has.
#[cfg(feature = "mysql")]
pub(crate) struct Verbatim(pub(crate) &'static str);

#[cfg(feature = "mysql")]
impl QueryId for Verbatim {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

#[cfg(feature = "mysql")]
impl<Conn> diesel::RunQueryDsl<Conn> for Verbatim {}

#[cfg(feature = "mysql")]
impl<DB: Backend> QueryFragment<DB> for Verbatim {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        WALKED.set(true);
        out.push_sql(self.0);
        Ok(())
    }
}

fn too_few_binds(sql: &'static str) -> diesel::result::Error {
    diesel::result::Error::QueryBuilderError(format!("too few binds for: {sql}").into())
}
