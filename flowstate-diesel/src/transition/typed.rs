//! The typed side of a transition: rows and JSON as the user's types.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use flowstate::{
    Artefact, ArtefactReader, ArtefactSet, ArtefactWriter, Flow, Record, Row, State as _,
    TransactionOutcome, Transition,
};

use super::apply::{Applied, Newest, Subject};
use super::artefacts::Stored;
use super::callbacks::Closures;
use super::decode;
use super::labels;
use super::labels::Labels;
use crate::dialect::Dialect;
use crate::dialect::change::{Payload, Standing};
use crate::dialect::rows::{FlowRow, Stamp};
use crate::error::{Error, RecordRef, Result, What};
use crate::text::json;
use crate::transaction::explain::note_conflict;

/// The typed side of a request for the transition `T`.
pub(crate) struct Typed<'r, 'a, F: Flow, C, T: Transition<Flow = F>> {
    pub(crate) flow: &'r mut Record<F>,
    closures: Closures<'a, F, C>,
    pub(crate) outcome: Option<TransactionOutcome>,
    /// The props as the locked row has them, if `update` is to change them and this program writes
    /// the same version.
    stored: String,
    /// The props if `update` changed them.
    props: Option<Arc<F>>,
    pub(crate) loads: Option<T::Loads>,
}

impl<'r, 'a, F: Flow, C, T: Transition<Flow = F>> Typed<'r, 'a, F, C, T> {
    pub(crate) fn new(
        flow: &'r mut Record<F>,
        closures: Closures<'a, F, C>,
        outcome: Option<TransactionOutcome>,
    ) -> Self {
        Self { flow, closures, outcome, stored: String::new(), props: None, loads: None }
    }

    /// The columns after the transition.
    ///
    /// The times are estimates where it would take a further statement to read them.
    pub(crate) fn moved(
        &self,
        applied: &Applied,
        to: F::State,
        due_in: Option<TimeDelta>,
    ) -> Result<Row<F>> {
        let record = RecordRef::of::<F>(self.flow.id());
        let before = self.flow.row();
        let later =
            |time: DateTime<Utc>| (time, due_in.and_then(|due_in| time.checked_add_signed(due_in)));
        let (updated_at, due_at) = match &applied.stamp {
            Some(Stamp::Read(stamp)) => (
                decode::required_time(&stamp.updated_at, record)?,
                decode::optional_time(stamp.due_at.as_deref(), record)?,
            ),
            Some(Stamp::Dated(time)) => later(decode::required_time(time, record)?),
            Some(Stamp::Estimated(time)) => later((*time).max(before.updated_at)),
            None => (before.updated_at, None),
        };
        Ok(Row {
            state: to,
            seq: applied.seq,
            props: self.props.clone().unwrap_or_else(|| Arc::clone(&before.props)),
            attempts: applied.attempts,
            due_at,
            completed_at: to.is_completed().then_some(updated_at),
            last_errored_at: to.is_error().then_some(updated_at),
            updated_at,
            ..before.clone()
        })
    }

    fn standing(&self) -> Option<Standing<'static>> {
        let row = self.flow.row();
        let is_error = row.state.is_error();
        // nobody tries it again but the caller, who begins anew
        let attempts = if is_error && row.due_at.is_none() { 0 } else { row.attempts };
        let (seq, state) = (row.seq, row.state.as_str());
        T::FROM.contains(&row.state).then_some(Standing { seq, state, is_error, attempts })
    }
}

impl<F: Flow, C: Dialect, T: Transition<Flow = F>> Subject<C> for Typed<'_, '_, F, C, T> {
    fn remembered(&self) -> Option<Standing<'static>> {
        self.standing().filter(|_| self.closures.is_plain() && self.flow.is_certain())
    }

    fn is_plain(&self) -> bool {
        self.closures.is_plain()
    }

    fn born(&self) -> Option<DateTime<Utc>> {
        Some(self.flow.created_at())
    }

    fn refresh(&mut self, row: FlowRow) -> Result<()> {
        decode::refuse_another(self.flow, &row)?;
        if !self.closures.updates.is_empty() {
            let is_current = row.props_version == i64::from(F::VERSION);
            self.stored = if is_current { row.props.clone() } else { String::new() };
        }
        let known = self.flow.is_certain().then(|| self.flow.row());
        let row = decode::decode(row, known)?;
        self.flow.replace(row, self.outcome.clone());
        Ok(())
    }

    fn prepare(&mut self, conn: &mut C) -> Result<(Standing<'static>, Option<(String, u32)>)> {
        let record = RecordRef::of::<F>(self.flow.id());
        let standing = self.standing().ok_or_else(|| Error::InvalidTransition {
            record,
            transition: T::NAME,
            found: self.flow.state().to_string(),
            expected: T::FROM.iter().map(|state| state.as_str()).collect(),
        })?;
        let closures = &mut self.closures;
        let note = |conn: &mut C, error: Error| {
            note_conflict(conn, Some(record), &error);
            error
        };
        closures.ask_guards(self.flow, conn, record, T::NAME).map_err(|error| note(conn, error))?;

        let mut working = self.flow.clone();
        let mut text = None;
        if !closures.updates.is_empty() {
            let mut props: F = copy(self.flow.props(), record)?;
            closures.updates.iter_mut().for_each(|update| update(&mut props));
            let json = json::encode_over(&self.stored, &props, record, || What::Props)?;
            text = Some((json, F::VERSION));
            let props = Arc::new(props);
            let row = Row { props: Arc::clone(&props), ..working.row().clone() };
            // should the closures keep a copy: what it shows is never committed
            working.replace(row, Some(TransactionOutcome::elsewhere(None)));
            self.props = Some(props);
        }
        closures.work_within(&working, conn, record, T::NAME).map_err(|error| note(conn, error))?;
        Ok((standing, text))
    }

    fn labels(&self) -> Result<Option<Labels>> {
        let record = RecordRef::of::<F>(self.flow.id());
        let Some(props) = &self.props else { return Ok(None) };
        let after = labels::of::<F>(props, record)?;
        Ok((after != labels::of::<F>(self.flow.props(), record)?).then_some(after))
    }

    fn load(&mut self, remembered: bool, newest: &mut Newest<'_>) -> Result<()> {
        let flow = &*self.flow;
        let mut newest = |name: &'static str, aliases: &'static [&'static str]| match flow
            .kept(name)
            .filter(|_| remembered)
        {
            Some(json) => Ok(Some(Stored { json: json.to_owned(), version: None })),
            None => newest(name, aliases),
        };
        let mut decoder = Decoder::new(RecordRef::of::<F>(flow.id()), &mut newest);
        self.loads = Some(T::Loads::read_from(&mut decoder)?);
        Ok(())
    }
}

/// An own copy of the props, through their JSON: a flow need not be `Clone`.
fn copy<F: Flow>(props: &F, record: RecordRef) -> Result<F> {
    let text = json::encode(props, record, || What::Props)?;
    json::decode(&text, record, || What::Props)
}

/// Writes artefacts as JSON.
pub(crate) struct Encoder {
    record: RecordRef,
    pub(crate) written: Vec<Payload>,
}

impl Encoder {
    pub(crate) fn new(record: RecordRef) -> Self {
        Self { record, written: Vec::new() }
    }
}

impl<F: Flow> ArtefactWriter<F> for Encoder {
    type Error = Error;

    fn write<A: Artefact<F>>(&mut self, artefact: &A) -> Result<()> {
        let json = json::encode(artefact, self.record, || What::Artefact(A::NAME.to_owned()))?;
        self.written.push(Payload { name: A::NAME, json, version: A::VERSION });
        Ok(())
    }
}

/// Reads artefacts from JSON.
pub(crate) struct Decoder<'r, 'n> {
    record: RecordRef,
    newest: &'r mut Newest<'n>,
}

impl<'r, 'n> Decoder<'r, 'n> {
    pub(crate) fn new(record: RecordRef, newest: &'r mut Newest<'n>) -> Self {
        Self { record, newest }
    }
}

impl<F: Flow> ArtefactReader<F> for Decoder<'_, '_> {
    type Error = Error;

    fn read<A: Artefact<F>>(&mut self) -> Result<A> {
        let what = What::Artefact(A::NAME.to_owned());
        let record = self.record;
        let found = ArtefactReader::<F>::read_optional(self)?;
        found.ok_or(Error::MissingArtefact { record, what })
    }

    fn read_optional<A: Artefact<F>>(&mut self) -> Result<Option<A>> {
        let found = (self.newest)(A::NAME, A::ALIASES)?;
        found.map(|stored| decode::artefact::<F, A>(&stored, self.record)).transpose()
    }
}
