//! Labels, which are kept beside their record. Flows without labels pay nothing for them.

use flowstate::Flow;

use crate::dialect::Dialect;
use crate::dialect::sql::shared::{DeleteLabels, InsertLabel};
use crate::dialect::sql::statement::Bind;
use crate::error::{RecordRef, Result, What};
use crate::text::json;
use crate::transaction::explain::Explain as _;

/// The labels of a record: names and values.
pub(crate) type Labels = Vec<(&'static str, String)>;

/// The labels of a record with these props, each fit to be stored.
pub(crate) fn of<F: Flow>(props: &F, record: RecordRef) -> Result<Labels> {
    let labels = if F::DEFINITION.labels.is_empty() { Vec::new() } else { props.labels() };
    for (name, value) in &labels {
        json::check_text(value, record, What::Label(name))?;
    }
    Ok(labels)
}

/// Keeps the labels of a record that has none.
pub(crate) fn insert<C: Dialect>(
    conn: &mut C,
    record: RecordRef,
    id: i64,
    labels: &Labels,
) -> Result<()> {
    for (name, value) in labels {
        let binds = [Bind::Int(id), Bind::Text(name), Bind::Text(record.flow), Bind::Text(value)];
        conn.run::<InsertLabel>(&binds).explain_for(conn, record)?;
    }
    Ok(())
}

/// Puts these labels in the place of those that a record has. It should be locked.
pub(crate) fn replace<C: Dialect>(
    conn: &mut C,
    record: RecordRef,
    id: i64,
    labels: &Labels,
) -> Result<()> {
    conn.run::<DeleteLabels>(&[Bind::Int(id)]).explain_for(conn, record)?;
    insert(conn, record, id, labels)
}
