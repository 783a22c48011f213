/// What a transaction sees of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// What others have not committed yet, too.
    ReadUncommitted,
    /// What is committed when a statement begins.
    ReadCommitted,
    /// What was committed when the transaction first read.
    RepeatableRead,
    /// As `RepeatableRead`, and what has changed since cannot be locked: `MariaDB`'s
    /// `innodb_snapshot_isolation`.
    StrictSnapshot,
    /// As if the transactions ran one after the other.
    Serializable,
}

impl Isolation {
    /// Its name in SQL.
    #[must_use]
    pub fn sql(self) -> &'static str {
        match self {
            Self::ReadUncommitted => "READ UNCOMMITTED",
            Self::ReadCommitted => "READ COMMITTED",
            Self::RepeatableRead | Self::StrictSnapshot => "REPEATABLE READ",
            Self::Serializable => "SERIALIZABLE",
        }
    }
}
